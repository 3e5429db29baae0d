"""The benchmark of planted faults from end to end, on a study of seconds whose AUCs mean nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score
from tiny_study import profile_text

from cxrbench.cli import main
from cxrbench.errors import TrainingError
from cxrbench.faults.catalogue import FAULTS, NO_NORMALISATION, SAME_SEED
from cxrbench.faults.records import AUDIT, ELSEWHERE, PLAIN, TRACE
from cxrbench.faults.run import measure
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.where import Where

pytestmark = pytest.mark.slow

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "test_sensitivity.py"

# Margin and test part are so large that no difference between two hardly trained networks fails the gate:
# what is seen of a fault is not the question here.
PROFILE = profile_text(
    {
        "study.gate_margin": 0.49,
        "roles.findings.options.n_images": 40,
        "roles.covid.options": {
            "cohort": "covid",
            "n_images": 60,
            "n_test_images": 300,
            "images_per_test_patient": 1.0,
        },
        "stages.default.precision": "float32",
        "targets": None,
    },
    roles=("findings", "pneumonia", "covid"),
)


class Log(Silent):
    """Keeps the lines that a study says."""

    def __init__(self):
        self.lines = []

    def say(self, line):
        self.lines.append(line)


def study(out, scheme, seeds=(0,)):
    profile = parse_profile(PROFILE, "small.toml").with_seeds(seeds)
    return profile, run_study(
        profile, out, schemes=(scheme,), where=Where(devices=(torch.device("cpu"),)), progress=Silent()
    )


def measured(profile, finished, faults, log=None, schemes=()):
    return measure(
        profile,
        finished,
        schemes=schemes,
        where=Where(devices=(torch.device("cpu"),)),
        progress=log or Silent(),
        faults=faults,
    )


@pytest.fixture(scope="module")
def control(tmp_path_factory):
    """The control of two seeds, with the faults that its one stage can have measured."""
    profile, finished = study(tmp_path_factory.mktemp("control"), "control", (0, 1))
    faults = (SAME_SEED, NO_NORMALISATION, *(fault for fault in FAULTS if fault.start != "parent"))
    return profile, finished, faults, measured(profile, finished, faults)


def test_the_same_seed_gives_the_same_bits(control):
    *_, found = control
    row = found.row(SAME_SEED.name)
    assert row.measured.same_scores
    assert row.measured.difference == 0
    # Not exact like the difference: of two seeds the interval allows for seed-to-seed variance too.
    assert row.measured.gate.outcome != "fail"
    assert not row.seen


def test_the_difference_is_that_of_the_mean_aucs_of_the_files(control):
    _, finished, _, found = control
    clean, faulty = [], []
    for seed in finished.results.scheme("control").seeds:
        table = pd.read_csv(finished.folder / seed.predictions)
        clean.append(roc_auc_score(table["label"], table["score"]))
    for described in (finished.folder / "faults").glob("*/stage.json"):
        if json.loads(described.read_text())["fault"] == NO_NORMALISATION.name:
            table = pd.read_csv(described.with_name("test.csv"))
            faulty.append(roc_auc_score(table["label"], table["score"]))
    numbers = found.row(NO_NORMALISATION.name).measured
    assert len(clean) == len(faulty) == 2
    assert numbers.clean == pytest.approx(np.mean(clean), abs=1e-12)
    assert numbers.faulty == pytest.approx(np.mean(faulty), abs=1e-12)
    assert numbers.difference == pytest.approx(np.mean(faulty) - np.mean(clean), abs=1e-12)
    assert not numbers.same_scores


def test_a_chain_of_one_stage_has_no_wrong_parent_and_the_table_says_why(control):
    *_, found = control
    reasons = {row.fault: row.not_applicable for row in found.rows if row.measured is None}
    assert reasons == {
        "wrong parent: grandparent": "no stage comes before the target stage's parent",
        "wrong parent: untrained": "the scheme's one stage starts from the initial parameters anyway",
    }


def test_faults_are_planted_into_the_scheme_that_is_named_where_the_folder_holds_others(tmp_path):
    study(tmp_path, "control")
    profile, both = study(tmp_path, "sequential")
    assert set(both.results.names) == {"control", "sequential"}
    assert measured(profile, both, (SAME_SEED,), schemes=("control",)).scheme == "control"
    assert measured(profile, both, (SAME_SEED,), schemes=("control", "sequential")).scheme == "sequential"
    assert measured(profile, both, (SAME_SEED,)).scheme == "sequential"


def test_what_is_finished_is_kept(control):
    profile, finished, faults, found = control
    log = Log()
    assert measured(profile, finished, faults, log) == found
    assert len(log.lines) == 4
    assert all("kept from an earlier run" in line for line in log.lines)


def test_predictions_that_were_changed_are_made_again(control):
    profile, finished, faults, found = control
    path = next((finished.folder / "faults").glob("*/test.csv"))
    before = path.read_bytes()
    path.write_bytes(before.replace(b"0.", b"0.1", 5))
    again = measured(profile, finished, faults)
    # Predicting took its own time again.
    assert [replace(row, seconds=None) for row in again.rows] == [
        replace(row, seconds=None) for row in found.rows
    ]
    assert path.read_bytes() == before


def test_the_command_writes_the_table_into_the_studys_folder(control, tmp_path):
    _, finished, _, _ = control
    (tmp_path / "small.toml").write_text(PROFILE)
    arguments = ["faults", "--profile", str(tmp_path / "small.toml"), "--scheme", "control", "--seeds", "0,1"]
    result = CliRunner().invoke(main, [*arguments, "--out", str(finished.folder), "--quiet"])
    assert result.exit_code == 0, result.output
    rows = json.loads((finished.folder / "sensitivity.json").read_text())["rows"]
    assert [row["fault"] for row in rows] == [fault.name for fault in FAULTS]
    assert all(name in result.output for name in ("leak, 5%", "not applicable"))
    assert "| leak, 5% " in (finished.folder / "sensitivity.md").read_text()


def test_a_study_without_its_checkpoint_must_run_again(control):
    profile, finished, faults, _ = control
    done = next((finished.folder / "stages").glob("*/done.json"))
    moved = done.rename(done.with_name("away.json"))
    try:
        with pytest.raises(TrainingError, match=r"is missing from .*; run the study again"):
            measured(profile, finished, faults)
    finally:
        moved.rename(done)


def test_the_benchmark_from_end_to_end(pytester):
    pytester.makefile(
        ".toml", small=PROFILE, calibrated=PROFILE.replace("[study]", "[study]\ncalibrated = true")
    )
    pytester.makepyfile(test_sensitivity=BENCHMARK.read_text(encoding="utf-8"))
    options = ("-p", "no:cacheprovider", "-p", "no:benchmark", "-m", "nightly", "--cxr-scheme", "sequential")
    first = pytester.runpytest(*options, "--cxr-profile", "small.toml", "--cxr-study-dir", "kept")
    outcomes = first.parseoutcomes()
    assert outcomes["inconclusive"] == len(PLAIN)
    assert not {"failed", "errors"} & set(outcomes)
    content = json.loads((pytester.path / "kept" / "sensitivity.json").read_text())
    rows = {row["fault"]: row for row in content["rows"]}
    assert list(rows) == [fault.name for fault in FAULTS]
    assert {name for name, row in rows.items() if not row["measured"]} == {
        "another epoch predicts",  # of one epoch
        "split by image",  # tests other images
        "loss without the mask",  # in a scheme that was not run
    }
    planted = [row for row in rows.values() if not row["control"] and (row["measured"] or row["applied"])]
    assert all(TRACE in row["seen_by"] and row["named"] for row in planted)
    # All else gives other predictions; of so few labels, those that change may all be in validation.
    same = {name for name, row in rows.items() if row["measured"] and row["measured"]["same_scores"]}
    assert SAME_SEED.name in same
    assert same <= {SAME_SEED.name, "labels shuffled, 5%", "labels shuffled, 10%"}
    assert "names 15 of 15 and stops the study" in rows["leak, 5%"]["audit"]
    assert rows["leak, 5%"]["seen_by"] == [TRACE, ELSEWHERE, AUDIT]
    assert content["unseen"] == []
    assert not rows[SAME_SEED.name]["seen_by"]
    assert "kept from" not in " ".join(first.outlines)

    # Nothing but the assertions differs on a calibrated profile, and these do bite.
    second = pytester.runpytest(
        *options, "--cxr-profile", "calibrated.toml", "--cxr-study-dir", "kept", "--cxr-report-dir", "report"
    )
    assert second.parseoutcomes() == {"passed": outcomes["passed"], "failed": len(PLAIN)}
    assert "| MONOCHROME1 not inverted " in (pytester.path / "report" / "sensitivity.md").read_text()
