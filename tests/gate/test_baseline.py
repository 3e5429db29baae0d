"""Baselines: saved whole, checked when read, and a state of their own where there is none."""

from __future__ import annotations

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from cxrbench.errors import CxrbenchError, GateError
from cxrbench.gate.baseline import NoBaselineError, load_baseline, save_baseline
from cxrbench.study.finished import FinishedStudy


@pytest.fixture
def study(make_study):
    return make_study("study", {"control": (1.0, 1), "sequential": (0.5, 2)})


def test_what_is_saved_is_read_back(study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    stored = load_baseline(tmp_path / "baseline")
    assert stored.results == study.results
    for name in ("control", "sequential"):
        path = f"predictions/seed-0/test/{name}.csv"
        assert (stored.folder / path).read_bytes() == (study.folder / path).read_bytes()


def test_a_study_is_named_by_its_folder_or_its_results(study):
    assert (
        FinishedStudy.open(study.folder).results == FinishedStudy.open(study.folder / "results.json").results
    )


def test_an_older_baseline_is_replaced(study, make_study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    other = make_study("other", {"control": (2.0, 9)})
    save_baseline(other, tmp_path / "baseline")
    assert load_baseline(tmp_path / "baseline").results.names == ("control",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "other", "study"]


@pytest.fixture
def other(make_study):
    return make_study("other", {"control": (2.0, 9)})


def test_what_a_killed_save_left_does_not_become_the_baseline(study, other, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    # Its own, complete, under the name that saves once used.
    save_baseline(study, tmp_path / "baseline.new")
    save_baseline(other, tmp_path / "baseline")
    assert load_baseline(tmp_path / "baseline").results == other.results


def test_an_older_baseline_that_a_killed_save_left_does_no_harm(study, other, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    save_baseline(study, tmp_path / "baseline.replaced")
    save_baseline(other, tmp_path / "baseline")
    assert load_baseline(tmp_path / "baseline").results == other.results
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "other", "study"]


def test_somebodys_folder_in_the_way_is_neither_removed_nor_an_obstacle(study, other, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    (tmp_path / "baseline.replaced").mkdir()
    (tmp_path / "baseline.replaced" / "file").write_text("mine")
    save_baseline(other, tmp_path / "baseline")
    assert load_baseline(tmp_path / "baseline").results == other.results
    assert (tmp_path / "baseline.replaced" / "file").read_text() == "mine"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["baseline", "baseline.replaced", "other", "study"]


@pytest.mark.parametrize("error", [OSError("the disk is gone"), KeyboardInterrupt()])
def test_a_save_that_fails_at_the_last_step_leaves_the_old_baseline(
    study, other, tmp_path, monkeypatch, error
):
    directory = tmp_path / "baseline"
    save_baseline(study, directory)
    rename = Path.rename

    failed = []

    def fail(self, target):
        if target == directory and not failed:
            failed.append(self)
            raise error
        return rename(self, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail)
        with pytest.raises(GateError if isinstance(error, OSError) else KeyboardInterrupt):
            save_baseline(other, directory)
    assert load_baseline(directory).results == study.results
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "other", "study"]


def test_a_save_killed_between_its_last_steps_is_distinguished_from_no_baseline(study, other, tmp_path):
    directory = tmp_path / "baseline"
    save_baseline(study, directory)
    directory.rename(tmp_path / "baseline.replaced")
    with pytest.raises(
        GateError, match=r"a save was interrupted; the older baseline is at .*\.replaced"
    ) as caught:
        load_baseline(directory)
    assert not isinstance(caught.value, NoBaselineError)
    save_baseline(other, directory)
    assert load_baseline(directory).results == other.results
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "other", "study"]


def test_a_link_to_a_baseline_stays_a_link(study, other, tmp_path):
    save_baseline(study, tmp_path / "kept")
    (tmp_path / "baseline").symlink_to(tmp_path / "kept", target_is_directory=True)
    save_baseline(other, tmp_path / "baseline")
    assert (tmp_path / "baseline").is_symlink()
    assert load_baseline(tmp_path / "kept").results == other.results


def test_a_folder_of_something_else_is_not_overwritten(study, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("mine")
    with pytest.raises(GateError, match="exists and is not a baseline"):
        save_baseline(study, tmp_path / "precious")
    assert (tmp_path / "precious" / "file").read_text() == "mine"


def test_a_missing_prediction_file_leaves_the_old_baseline(study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    (study.folder / "predictions/seed-0/test/control.csv").unlink()
    with pytest.raises(GateError, match="No such file"):
        save_baseline(study, tmp_path / "baseline")
    assert load_baseline(tmp_path / "baseline").results == study.results


@pytest.mark.parametrize("made", [False, True])
def test_no_baseline_yet_says_how_to_write_one(tmp_path, made):
    directory = tmp_path / "baseline"
    if made:
        directory.mkdir()
    with pytest.raises(NoBaselineError, match=r"no baseline yet at .*cxrbench baseline save"):
        load_baseline(directory)


def test_a_changed_file_is_noticed(study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    path = tmp_path / "baseline" / "predictions/seed-0/test/control.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(GateError, match=r"control\.csv is not the file that the results were computed from"):
        load_baseline(tmp_path / "baseline")


def test_a_missing_file_is_noticed(study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    (tmp_path / "baseline" / "predictions/seed-0/test/control.csv").unlink()
    with pytest.raises(GateError, match=r"control\.csv: predictions cannot be read"):
        load_baseline(tmp_path / "baseline")


def test_a_folder_that_is_no_baseline_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GateError, match=r"has no baseline\.json"):
        load_baseline(tmp_path)


def test_a_study_without_results_is_refused(tmp_path):
    with pytest.raises(CxrbenchError, match="run a study first"):
        FinishedStudy.open(tmp_path)


def test_predictions_of_another_run_are_not_kept(study, other, tmp_path):
    path = "predictions/seed-0/test/control.csv"
    (study.folder / path).write_bytes((other.folder / path).read_bytes())
    with pytest.raises(CxrbenchError, match="not the file that the results were computed from"):
        save_baseline(study, tmp_path / "baseline")
    assert not (tmp_path / "baseline").exists()


def test_results_of_another_run_are_noticed_even_with_its_predictions(study, other, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    shutil.rmtree(tmp_path / "baseline" / "predictions")
    shutil.copytree(other.folder, tmp_path / "baseline", dirs_exist_ok=True)
    with pytest.raises(GateError, match=r"results\.json is not the one that was saved"):
        load_baseline(tmp_path / "baseline")


def test_a_name_that_leads_out_is_never_written(study, tmp_path):
    """Not even by a Results object that was made without its checks."""
    scheme = study.results.schemes[0]
    entry = copy.copy(scheme.seeds[0])
    object.__setattr__(entry, "predictions", "../escaped.csv")
    (study.folder.parent / "escaped.csv").write_bytes(
        (study.folder / scheme.seeds[0].predictions).read_bytes()
    )
    leading_out = copy.copy(study.results)
    object.__setattr__(leading_out, "schemes", (replace(scheme, seeds=(entry,)),))
    (tmp_path / "in").mkdir()
    with pytest.raises(CxrbenchError, match="leads out of the folder"):
        save_baseline(FinishedStudy(study.folder, leading_out), tmp_path / "in" / "baseline")
    assert list((tmp_path / "in").iterdir()) == []


def test_a_users_own_files_are_kept(study, other, tmp_path):
    directory = tmp_path / "baseline"
    save_baseline(study, directory)
    (directory / "README.md").write_text("why this baseline")
    (directory / "notes").mkdir()
    (directory / "notes" / "a.txt").write_text("more")
    (directory / ".gitattributes").write_text("* binary\n")
    save_baseline(other, directory)
    assert load_baseline(directory).results == other.results
    assert (directory / "README.md").read_text() == "why this baseline"
    assert (directory / "notes" / "a.txt").read_text() == "more"
    assert (directory / ".gitattributes").read_text() == "* binary\n"
    assert not (directory / "predictions" / "seed-0" / "test" / "sequential.csv").exists()


def test_a_folder_to_commit_ends_its_lines_and_keeps_git_from_changing_them(study, tmp_path):
    save_baseline(study, tmp_path / "baseline")
    for name in ("baseline.json", "results.json", ".gitattributes"):
        assert (tmp_path / "baseline" / name).read_bytes().endswith(b"\n")
    assert (tmp_path / "baseline" / ".gitattributes").read_text() == "* -text\n"


def test_other_line_ends_are_named_as_a_cause_and_harm_only_predictions(study, tmp_path):
    directory = tmp_path / "baseline"
    save_baseline(study, directory)
    for path in (directory / "results.json", directory / "baseline.json"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_baseline(directory).results == study.results
    path = directory / "predictions/seed-0/test/control.csv"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(GateError, match="rewrites line ends, such as git with autocrlf"):
        load_baseline(directory)
