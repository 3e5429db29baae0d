"""What a measured profile states is what its evidence in the documentation says, and no more."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxrbench.calibration.calibrate import PAPER
from cxrbench.calibration.fit import fit
from cxrbench.calibration.records import Row
from cxrbench.calibration.statements import statements
from cxrbench.calibration.targets import margins, summaries
from cxrbench.schemes import claims
from cxrbench.statistics.verdicts import verdict
from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"
EVIDENCE = {
    "phantom": DOCS / "calibration" / "evidence.csv",
    "phantom-bfloat16": DOCS / "calibration" / "bfloat16.csv",
    "public-small": DOCS / "public" / "evidence.csv",
    "paediatric-small": DOCS / "real" / "evidence.csv",
}
RUNS = {"phantom": 27, "phantom-bfloat16": 14, "public-small": 5, "paediatric-small": 5}
CONTROL = DOCS / "calibration" / "control.csv"
KNOB = "covid.severity_median"
MOVING = DOCS / "calibration" / "moving.csv"
MACHINES = DOCS / "calibration" / "machines.csv"
EXPLORED = DOCS / "calibration" / "exploration.csv"


def evidence(path, stage="confirm"):
    """Return the rows of ``stage`` in the file ``path``, by default the confirmation's."""
    table = pd.read_csv(path)
    rows = table[table["stage"] == stage].to_dict("records")
    return [
        Row(knobs={KNOB: row.pop(KNOB)} if KNOB in row else {}, **{str(k): v for k, v in row.items()})
        for row in rows
    ]


def runs(name):
    """Return all runs that the targets of a profile rest on; of phantom, those on two kinds of processors."""
    return [*evidence(EVIDENCE[name]), *(evidence(MACHINES) if name == "phantom" else ())]


@pytest.fixture(scope="module")
def confirmed():
    return evidence(EVIDENCE["phantom"])


def test_the_profile_draws_the_target_as_the_sweep_says():
    sweep = evidence(MOVING, "sweep")
    values = tuple(sorted({row.knobs[KNOB] for row in sweep}))
    severity = load_profile("phantom").roles["covid"].options["severity_median"]
    assert fit(sweep, {KNOB: values}, PAPER).knobs == {KNOB: severity}


def test_the_calibration_tested_the_images_that_the_sweeps_severity_was_confirmed_on(confirmed):
    before = {(row.seed, row.scheme): row.sample for row in evidence(MOVING)}
    assert {row.sample for row in confirmed} == set(before.values())


@pytest.mark.parametrize("name", EVIDENCE)
def test_every_target_is_the_evidences_mean_and_spread_over_its_seeds(name):
    profile = load_profile(name)
    table = {scheme.scheme: scheme for scheme in summaries(runs(name))}
    assert set(profile.targets) == set(table) == {scheme.name for scheme in profile.select(())}
    if name == "phantom":
        # On more seeds, below.
        del table["control"]
    for scheme, of in table.items():
        target = profile.targets[scheme]
        assert target.auc == pytest.approx(of.mean, abs=6e-5)
        assert target.sd == pytest.approx(of.sd, abs=6e-6)
        assert target.seeds == len(of.aucs) == RUNS[name]
        assert target.measured_on == of.sample


def test_the_controls_target_is_that_of_sixty_seeds_of_which_twenty_are_the_others(confirmed):
    elsewhere = [row for row in evidence(MACHINES) if row.scheme == "control"]
    (of,) = summaries([*evidence(CONTROL), *elsewhere])
    target = load_profile("phantom").targets["control"]
    assert (target.auc, target.sd, target.seeds) == (round(of.mean, 4), round(of.sd, 5), 60 + len(elsewhere))
    assert target.measured_on == of.sample
    sixty = {row.seed: row.auc for row in evidence(CONTROL)}
    assert sorted(sixty) == list(range(200, 260))
    shared = {row.seed: row.auc for row in confirmed if row.scheme == "control"}
    assert shared == {seed: sixty[seed] for seed in shared}


@pytest.mark.parametrize("name", ["phantom", "phantom-bfloat16", "paediatric-small"])
def test_every_claim_is_the_evidences_paired_difference(name):
    profile = load_profile(name)
    made = claims(profile.select(()), profile.target)
    assert dict(profile.claims) == dict(margins(summaries(runs(name)), made))


def test_the_calibration_saw_no_seed_that_settings_were_chosen_on(confirmed):
    assert not {row.seed for row in confirmed} & set(pd.read_csv(EXPLORED)["seed"])


def stated(rows):
    """Return the ten statements that ``rows`` make about the phantom's schemes."""
    profile = load_profile("phantom")
    made = statements(summaries(rows), PAPER, rows, claims(profile.select(()), profile.target))
    assert len(made) == 10
    return made


def untrue(rows):
    """Return what is untrue of the phantom's schemes by ``rows``, with the numbers."""
    return [f"{statement.claim}: {statement.numbers}" for statement in stated(rows) if not statement.holds]


def test_the_profile_calls_itself_calibrated_and_every_statement_about_its_aucs_is_true(confirmed):
    assert load_profile("phantom").settings["study"]["calibrated"] is True
    # A maximum over seeds, which grows with them: the documentation says that it is untrue.
    (sample,) = untrue(confirmed)
    assert sample.startswith("the largest DeLong standard error is below 0.01: 0.01004")
    assert len({row.seed for row in confirmed}) >= 5


def test_every_statement_about_the_phantom_in_bfloat16_is_true():
    assert load_profile("phantom-bfloat16").settings["study"]["calibrated"] is True
    assert untrue(evidence(EVIDENCE["phantom-bfloat16"])) == []


def test_on_no_other_machine_does_unchanged_code_fail():
    targets = load_profile("phantom").targets
    precision = load_profile("phantom").default_stage.precision
    rows = [row for row in evidence(MACHINES) if row.precision == precision == "float32"]
    assert rows
    for row in rows:
        found = verdict(targets[row.scheme].for_sample(row.sample), row.auc, row.auc, row.auc)
        assert found.outcome != "fail", found.sentence


def test_the_public_profile_asserts_no_claim_of_the_papers():
    assert load_profile("public-small").settings["study"].get("calibrated", False) is False
