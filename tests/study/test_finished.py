"""A finished study's predictions: one curve per seed, from files inside its folder with the recorded hash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrbench.errors import CxrbenchError, RecordError
from cxrbench.statistics.predictions import read_predictions
from cxrbench.study.finished import FinishedStudy, inside


@pytest.fixture
def study(made_up, tmp_path):
    """A study with two seeds."""
    return made_up(tmp_path / "study", {"control": [(1.0, 1), (1.0, 2)], "findings": [(1.0, 3), (1.0, 4)]})


def with_entry(study, **changes):
    """Return ``study`` with its control's first seed changed."""
    control, findings = study.results.schemes
    first, second = control.seeds
    control = replace(control, seeds=(replace(first, **changes), second))
    return replace(study, results=replace(study.results, schemes=(control, findings)))


def test_one_curve_per_seed(study):
    parts = [
        read_predictions(study.folder / seed.predictions) for seed in study.results.scheme("control").seeds
    ]
    found = study.predictions("control", "now")
    assert list(found.scores) == ["now, seed 0", "now, seed 1"]
    for part, curve in zip(parts, found.scores.values(), strict=True):
        (scores,) = part.scores.values()
        assert np.array_equal(curve, scores)
    assert np.array_equal(found.image_ids, parts[0].image_ids)
    assert list(study.predictions("control").scores) == ["control, seed 0", "control, seed 1"]
    assert list(study.by_seed("control")) == [0, 1]


def test_a_scheme_that_was_not_run_is_named(study):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        study.predictions("sequential")


def test_a_missing_file_is_named(study, tmp_path):
    away = replace(study, folder=tmp_path / "nowhere")
    for read in (lambda: away.predictions("control"), away.check):
        with pytest.raises(CxrbenchError, match=r"control\.csv: predictions cannot be read"):
            read()


def test_a_file_with_another_hash_is_refused(study):
    study.check()
    other = study.results.scheme("findings").seeds[0]
    for wrong in (with_entry(study, predictions=other.predictions), with_entry(study, sha256="0" * 64)):
        for read in (lambda wrong=wrong: wrong.predictions("control"), wrong.check):
            with pytest.raises(CxrbenchError, match="not the file that the results were computed from"):
                read()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a.csv", "a/../../b", "/a", "a\\b", "C:/a", "a\0b", "a\nb", "a/..", "a?"]
)
def test_no_name_leads_out_of_the_folder(study, name):
    with pytest.raises(CxrbenchError, match="leads out of the folder"):
        inside(study.folder, name)
    with pytest.raises(ValueError, match="leads out of the study's folder"):
        with_entry(study, predictions=name)


def test_a_plain_name_is_in_the_folder(tmp_path):
    assert inside(tmp_path, "predictions/seed-0/test/control.csv").is_relative_to(tmp_path)
    assert inside(tmp_path, "x").parent == tmp_path


def test_it_is_opened_by_its_folder_or_its_results(study):
    assert FinishedStudy.open(study.folder) == FinishedStudy.open(study.folder / "results.json") == study


def test_results_that_were_changed_by_hand_are_refused(study):
    path = study.folder / "results.json"
    path.write_text(path.read_text().replace('"n_images": 600', '"n_images": 601'))
    with pytest.raises(RecordError, match=r"changed after it was written.*run the study again"):
        FinishedStudy.open(study.folder)
