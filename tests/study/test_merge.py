"""A run of some schemes leaves the others' results alone, and says why where it cannot."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from cxrbench.study.finished import FinishedStudy
from cxrbench.study.merge import with_earlier

CONTROL, FINDINGS, SEQUENTIAL = (1.0, 1), (0.8, 2), (0.6, 3)


@pytest.fixture(scope="module")
def made(made_up, tmp_path_factory):
    noises = {"control": CONTROL, "findings": FINDINGS, "sequential": SEQUENTIAL}
    return made_up(tmp_path_factory.mktemp("made"), noises)


@pytest.fixture
def whole(made, tmp_path):
    """A copy, in which a test may damage what it likes."""
    return replace(made, folder=shutil.copytree(made.folder, tmp_path / "whole"))


@pytest.fixture
def merged(made_up, tmp_path, whole):
    """Return a function that runs findings anew in the folder of all three; and what was said."""

    def run(**changes):
        alone = made_up(tmp_path / "alone", {"findings": (2.0, 9)}, **changes)
        shutil.copytree(alone.folder / "predictions", whole.folder / "predictions", dirs_exist_ok=True)
        said = []
        return with_earlier(FinishedStudy(whole.folder, alone.results), said.append), said

    return run


def test_the_other_schemes_stay_and_the_pairs_are_those_of_all(merged, whole, made_up, tmp_path):
    study, said = merged()
    assert study.results.names == ("control", "findings", "sequential")
    assert study.results.scheme("control") == whole.results.scheme("control")
    assert study.results.scheme("findings") != whole.results.scheme("findings")
    assert said == ["schemes of an earlier run are kept: control, sequential"]
    study.check()
    noises = {"control": CONTROL, "findings": (2.0, 9), "sequential": SEQUENTIAL}
    at_once = made_up(tmp_path / "once", noises)
    assert study.results.pairs == at_once.results.pairs
    assert study.results.comparisons == at_once.results.comparisons
    assert {stage.run for stage in study.results.stages} == {s.run for s in at_once.results.stages}


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"image_size": 64}, "image_size"),
        ({"network": "resnet18"}, "network"),
        ({"code": "1" * 64}, "code"),
        ({"sample": "fedcba9876543210"}, "sample"),
        ({"seeds": (7,)}, "seeds"),
        ({"device": {"type": "cuda"}}, "device"),
        ({"settings": {"study": {"name": "other"}}}, "settings"),
        ({"training": {"covid": {"epochs": 9, "precision": "float32"}}}, "training"),
    ],
)
def test_nothing_is_kept_of_another_experiment_and_that_is_reported(merged, changes, what):
    study, said = merged(**changes)
    assert study.results.names == ("findings",)
    assert said == [f"schemes of an earlier run are not kept (control, sequential): other {what}"]


def test_a_role_that_changed_is_another_experiment(merged, whole):
    role = replace(whole.results.roles["covid"], pack_key="a" * 64)
    study, said = merged(roles={"covid": role})
    assert study.results.names == ("findings",)
    assert said[0].endswith("other roles")


def test_a_scheme_whose_predictions_were_changed_is_not_kept(merged, whole):
    (whole.folder / "predictions/seed-0/test/control.csv").write_text("")
    study, said = merged()
    assert study.results.names == ("findings",)
    assert "control.csv is not the file that the results were computed from" in said[0]


def test_damaged_results_are_replaced_and_that_is_reported(merged, whole):
    (whole.folder / "results.json").write_text("{")
    study, said = merged()
    assert study.results.names == ("findings",)
    assert said[0].startswith("results of an earlier run are not kept: ")


def test_nothing_is_reported_where_all_are_run_again(whole):
    said = []
    assert with_earlier(whole, said.append) == whole
    assert said == []
