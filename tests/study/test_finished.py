"""A finished study's predictions: one curve per seed, from files inside its folder with the recorded hash."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.statistics.predictions import read_predictions
from cxrbench.study.finished import FinishedStudy, inside


def with_entry(study, **changes):
    """Return ``study`` with its control's only seed changed."""
    scheme = study.results.scheme("control")
    changed = replace(scheme, seeds=(replace(scheme.seeds[0], **changes),))
    return replace(study, results=replace(study.results, schemes=(changed,)))


def test_one_curve_per_seed(tiny):
    (entry,) = tiny.results.scheme("control").seeds
    scheme = replace(tiny.results.scheme("control"), seeds=(entry, replace(entry, seed=7)))
    study = replace(tiny.study, results=replace(tiny.results, schemes=(scheme,)))
    whole = read_predictions(tiny.out / entry.predictions)
    (scores,) = whole.scores.values()
    found = study.predictions("control", "now")
    assert list(found.scores) == ["now, seed 0", "now, seed 7"]
    assert all(np.array_equal(curve, scores) for curve in found.scores.values())
    assert np.array_equal(found.image_ids, whole.image_ids)
    assert list(study.predictions("control").scores) == ["control, seed 0", "control, seed 7"]
    assert list(study.by_seed("control")) == [0, 7]


def test_a_scheme_that_was_not_run_is_named(tiny):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        tiny.study.predictions("sequential")


def test_a_missing_file_is_named(tiny, tmp_path):
    with pytest.raises(CxrbenchError, match=r"control\.csv: predictions cannot be read"):
        replace(tiny.study, folder=tmp_path).predictions("control")


def test_a_file_with_another_hash_is_refused(tiny):
    other = tiny.results.scheme("findings").seeds[0]
    for wrong in (with_entry(tiny.study, predictions=other.predictions), with_entry(tiny.study, sha256="0")):
        with pytest.raises(CxrbenchError, match="not the file that the results were computed from"):
            wrong.predictions("control")


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a.csv", "a/../../b", "/a", "a\\b", "C:/a", "a\0b", "a\nb", "a/..", "a?"]
)
def test_no_name_leads_out_of_the_folder(tiny, name):
    with pytest.raises(CxrbenchError, match="leads out of the folder"):
        inside(tiny.out, name)
    with pytest.raises(CxrbenchError, match="leads out of the folder"):
        with_entry(tiny.study, predictions=name).predictions("control")


def test_a_plain_name_is_in_the_folder(tmp_path):
    assert inside(tmp_path, "predictions/seed-0/test/control.csv").is_relative_to(tmp_path)
    assert inside(tmp_path, "x").parent == tmp_path


def test_it_is_opened_by_its_folder_or_its_results(tiny):
    assert FinishedStudy.open(tiny.out) == FinishedStudy.open(tiny.out / "results.json") == tiny.study
