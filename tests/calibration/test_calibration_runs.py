"""A tiny calibration from the command line to its files; what is shared, kept and refused."""

from __future__ import annotations

import csv
import json
import statistics
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from cxrbench.calibration.calibrate import aims_of
from cxrbench.cli import main
from cxrbench.statistics.predictions import read_predictions
from cxrbench.study.executor import threads_each
from cxrbench.study.profile import load_profile

FILES = (
    "evidence.csv",
    "calibration.json",
    "profile.toml",
    "calibration.md",
    "calibration.svg",
    "calibration.png",
)

SCHEMES = ("--scheme", "control", "--scheme", "findings")
AIMS = ("--aim", "control=0.6", "--aim", "findings=0.6")
SWEEP = ("--sweep", "covid.severity_median=0.4,0.8", "--seeds", "0,1")


@dataclass(frozen=True)
class Calibrated:
    folder: Path
    arguments: tuple[str, ...]
    output: str

    def evidence(self):
        return list(csv.DictReader((self.folder / "evidence.csv").read_text().splitlines()))

    def content(self):
        return json.loads((self.folder / "calibration.json").read_text())


def calibrate(*arguments):
    result = CliRunner().invoke(main, ["calibrate", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def done(tmp_path_factory, calibration_text):
    folder = tmp_path_factory.mktemp("calibration")
    profile = folder / "tiny.toml"
    profile.write_text(calibration_text)
    arguments = (str(profile), *SCHEMES, *AIMS, *SWEEP, "--out", str(folder / "out"))
    return Calibrated(folder / "out", arguments, calibrate(*arguments).stdout)


@pytest.mark.slow
def test_the_evidence_has_a_row_a_stage_point_seed_and_scheme(done):
    fitted = done.content()["knobs"]["covid.severity_median"]
    assert 0.4 <= fitted <= 0.8
    assert [
        (r["stage"], float(r["covid.severity_median"]), r["seed"], r["scheme"]) for r in done.evidence()
    ] == [
        *(("sweep", value, "0", scheme) for value in (0.4, 0.8) for scheme in ("control", "findings")),
        *(("confirm", fitted, seed, scheme) for seed in "01" for scheme in ("control", "findings")),
    ]


@pytest.mark.slow
def test_the_evidence_is_what_the_predictions_say(done):
    for row in done.evidence():
        point = f"covid.severity_median={float(row['covid.severity_median']):g}"
        run = done.folder / "runs" / point / f"seed-{row['seed']}"
        test = read_predictions(run / "predictions" / f"seed-{row['seed']}" / "test" / f"{row['scheme']}.csv")
        (scores,) = test.scores.values()
        assert float(row["auc"]) == pytest.approx(roc_auc_score(test.labels, scores), abs=1e-12)
        assert 0 < float(row["se_image"]) < 0.5
        assert float(row["se_clustered"]) != float(row["se_image"])
        assert row["torch"] == torch.__version__.partition("+")[0]


@pytest.mark.slow
def test_a_stage_that_the_knob_does_not_touch_is_trained_once_per_seed(done):
    stages = [json.loads(path.read_text()) for path in done.folder.glob("stages/*/stage.json")]
    alone = [stage["seed"] for stage in stages if stage["run"] == "init > findings"]
    assert sorted(alone) == [0, 1]
    # Two swept points and the fitted one, which may be one of the two, for seed 0; the fitted one for seed 1.
    target = [stage["seed"] for stage in stages if stage["run"] == "init > covid"]
    assert target.count(0) in (2, 3)
    assert target.count(1) == 1


@pytest.mark.slow
def test_the_profile_has_the_knobs_and_the_targets_of_the_confirmation(done):
    profile = tomllib.loads((done.folder / "profile.toml").read_text())
    content = done.content()
    assert (
        profile["roles"]["covid"]["options"]["severity_median"] == content["knobs"]["covid.severity_median"]
    )
    for scheme in ("control", "findings"):
        aucs = [float(r["auc"]) for r in done.evidence() if (r["stage"], r["scheme"]) == ("confirm", scheme)]
        target = profile["targets"][scheme]
        assert target["auc"] == pytest.approx(statistics.mean(aucs), abs=5e-5)
        assert target["sd"] == pytest.approx(statistics.stdev(aucs), abs=5e-6)
        assert target["seeds"] == 2
        assert "cxrbench calibrate tiny.toml --sweep covid.severity_median=0.4,0.8" in target["source"]
        assert "out/evidence.csv" in target["source"]
        assert target == content["targets"][scheme]


@pytest.mark.slow
def test_the_summary_is_printed_and_written(done):
    text = (done.folder / "calibration.md").read_text()
    assert text in done.output
    for statement in done.content()["statements"]:
        word = "true" if statement["holds"] else "false"
        assert f"- **{word}**: {statement['claim']} ({statement['numbers']})" in text


@pytest.mark.slow
def test_the_figure_is_there_as_png_and_svg(done):
    assert (done.folder / "calibration.png").read_bytes().startswith(b"\x89PNG")
    svg = (done.folder / "calibration.svg").read_text()
    assert svg.rstrip().endswith("</svg>")


@pytest.mark.slow
def test_no_file_names_this_machines_folders(done):
    for name in FILES:
        assert str(done.folder.parent).encode() not in (done.folder / name).read_bytes()


@pytest.mark.slow
def test_a_calibration_that_lost_a_stage_goes_on_from_the_others(done):
    before = {name: (done.folder / name).read_bytes() for name in FILES}
    (lost,) = [
        path.parent / "done.json"
        for path in done.folder.glob("stages/*/stage.json")
        if (stage := json.loads(path.read_text()))["seed"] == 1 and stage["run"] == "init > covid"
    ]
    lost.unlink()
    kept = {path: path.stat().st_mtime_ns for path in done.folder.glob("stages/*/best.safetensors")}
    calibrate(*done.arguments)
    for path, time in kept.items():
        assert (path.stat().st_mtime_ns == time) == (path.parent != lost.parent)
    assert {name: (done.folder / name).read_bytes() for name in FILES} == before


def test_without_a_sweep_the_knobs_are_kept_and_only_the_targets_measured(tmp_path, calibration_text):
    (tmp_path / "tiny.toml").write_text(calibration_text)
    own = "twice=init > covid > covid"
    calibrate(
        *(tmp_path / "tiny.toml", "--scheme", "control", "--scheme", own),
        *("--seeds", "0,1", "--out", tmp_path),
    )
    assert all((tmp_path / name).stat().st_size > 0 for name in FILES)
    content = json.loads((tmp_path / "calibration.json").read_text())
    assert content["fit"] is None
    assert content["knobs"] == {}
    assert content["aims"] == {"control": 0.757}
    assert {row["stage"] for row in content["rows"]} == {"confirm"}
    profile = tomllib.loads((tmp_path / "profile.toml").read_text())
    assert profile["roles"]["covid"]["options"]["severity_median"] == 0.75
    assert list(profile["targets"]) == ["control", "twice"]
    assert profile["schemes"] == content["added"] == {"twice": "init > covid > covid"}
    assert content["command"].endswith("--scheme control --scheme 'twice=init > covid > covid'")
    # Another sitting without time: what is there is kept, and nothing more is begun.
    more = (tmp_path / "tiny.toml", "--scheme", "control", "--scheme", own, "--seeds", "0,1,2")
    calibrate(*more, "--minutes", "0", "--out", tmp_path)
    assert json.loads((tmp_path / "calibration.json").read_text())["seeds"] == [0, 1]
    assert not (tmp_path / "runs" / "as-in-the-profile" / "seed-2").exists()
    none = CliRunner().invoke(
        main, ["calibrate", *map(str, more), "--minutes", "0", "--out", str(tmp_path / "empty")]
    )
    assert none.exit_code == 2
    assert "0 of 3 seeds are finished, and a spread needs two: give the command again" in none.output


@pytest.mark.slow
def test_two_jobs_measure_the_same_seeds_with_their_share_of_the_threads(done, tmp_path):
    calibrate(*done.arguments[:-1], tmp_path, "--jobs", "2")
    rows = json.loads((tmp_path / "calibration.json").read_text())["rows"]
    assert [(r["stage"], r["seed"], r["scheme"]) for r in rows] == [
        (r["stage"], int(r["seed"]), r["scheme"]) for r in done.evidence()
    ]
    assert {r["threads"] for r in rows} == {threads_each()}


@pytest.mark.slow
def test_an_error_in_a_worker_is_reported_like_any_other(tmp_path, calibration_text):
    profile = tmp_path / "tiny.toml"
    profile.write_text(calibration_text.replace("n_test_images = 40", "n_test_images = 0"))
    arguments = [
        "calibrate",
        profile,
        "--scheme",
        "control",
        "--seeds",
        "0,1",
        "--jobs",
        2,
        "--out",
        tmp_path,
    ]
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == 2
    assert "has no official test list" in result.stderr


def test_calibrations_that_share_a_store_train_each_stage_and_the_formulas_trunk_once(
    tmp_path, calibration_text
):
    formula = 'kind = "formula"\nclasses = 4\neach = 8\nepochs = 1\nbatch_size = 8'
    assert calibration_text.count('kind = "random"') == 1
    (tmp_path / "tiny.toml").write_text(calibration_text.replace('kind = "random"', formula))
    store = tmp_path / "store"

    def rows(out, seeds):
        shared = ("--scheme", "control", "--store", store)
        calibrate(tmp_path / "tiny.toml", *shared, "--seeds", seeds, "--out", tmp_path / out)
        assert not any((tmp_path / out / made).exists() for made in ("packs", "splits", "stages"))
        return json.loads((tmp_path / out / "calibration.json").read_text())["rows"]

    first = rows("first", "0,1")
    kept = {path: path.stat().st_mtime_ns for path in store.glob("*/*/*") if path.is_file()}
    trained = [json.loads(path.read_text())["run"] for path in store.glob("stages/*/stage.json")]
    assert sorted(trained) == ["init", "init > covid", "init > covid"]
    assert rows("second", "1,0") == first[::-1]
    assert {path: path.stat().st_mtime_ns for path in store.glob("*/*/*") if path.is_file()} == kept


def test_the_papers_aims_go_to_the_schemes_that_are_run_on_phantoms():
    phantom = load_profile("phantom")
    assert aims_of(phantom, ()) == {"control": 0.757, "sequential": 0.857}
    assert aims_of(phantom, ("control", "findings")) == {"control": 0.757}
    assert aims_of(load_profile("public-small"), ()) == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["phantm"], "did you mean 'phantom'"),
        (["phantom", "--sweep", "covid.severity_median"], "write ROLE.OPTION=V1,V2"),
        (["phantom", "--sweep", "covid.severity_median=a,b"], "must be numbers"),
        (["phantom", "--sweep", "covid.severity_median=0.7"], "two or more different values"),
        (["phantom", "--sweep", "covid.severity_mediann=0.7,0.8"], "did you mean 'severity_median'"),
        (["phantom", "--sweep", "covid.n_images=500,600"], "whole number"),
        (["phantom", "--seeds", "0"], "seeds must be 2 or more"),
        (["phantom", "--seeds", "0,0"], "different whole numbers"),
        (["phantom", "--seeds", "a"], "write whole numbers"),
        (["phantom", "--aim", "control"], "write SCHEME=AUC"),
        (["phantom", "--aim", "control=75.7"], "between 0 and 1"),
        (["phantom", "--aim", "contrl=0.7"], "did you mean 'control'"),
        (["phantom", "--scheme", "contrl"], "did you mean 'control'"),
        (["phantom", "--jobs", "0"], "jobs must be 1 or more"),
        (["phantom", "--jobs", "999999999"], "is not in the range"),
        (
            ["phantom", "--scheme", "findings", "--sweep", "covid.severity_median=0.7,0.8"],
            "something to aim at",
        ),
        (["public-small", "--sweep", "covid.severity_median=0.7,0.8"], "has no option 'severity_median'"),
        (["public-small"], "--data-root"),
    ],
)
def test_a_mistake_is_said_before_anything_is_run(arguments, message, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["calibrate", *arguments, "--out", str(out)])
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert not (out / "stages").exists()
