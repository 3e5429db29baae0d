"""Shortcuts: a covariate that tells the label is found, out of fold; one that does not is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import auc
from cxrbench.statistics.shortcuts import bands, held_out, shortcut_scores


@pytest.fixture
def labels():
    return np.random.default_rng(1).permutation(np.arange(600) % 2)


def of(columns, labels, groups=None):
    scores = shortcut_scores(pd.DataFrame(columns), labels, held_out(labels, groups))
    return auc(labels, scores).auc


def test_a_view_that_goes_with_the_label_ranks_as_well_as_its_share(labels):
    draws = np.random.default_rng(2).random(600)
    view = np.where(draws < np.where(labels == 1, 0.8, 0.2), "AP", "PA")
    assert of({"view": view}, labels) == pytest.approx(0.8, abs=0.04)


def test_both_ends_of_a_number_can_go_with_the_label(labels):
    draws = np.random.default_rng(3).normal(size=600)
    assert of({"brightness": np.where(labels == 1, draws * 5, draws)}, labels) > 0.75


def test_not_being_known_can_tell_too(labels):
    age = np.where(labels == 1, np.nan, 50.0) + np.random.default_rng(4).normal(size=600)
    view = pd.Series(np.where(labels == 1, None, "PA"), dtype=object)
    assert of({"age": age}, labels) > 0.99
    assert of({"view": view}, labels) > 0.99


def test_noise_tells_nothing_for_it_is_scored_by_a_fit_on_other_patients(labels):
    noise = np.random.default_rng(5).normal(size=(600, 40))
    assert of({f"n{i}": column for i, column in enumerate(noise.T)}, labels) == pytest.approx(0.5, abs=0.08)


def test_a_patients_images_are_never_fitted_and_scored_together(labels):
    # Each patient has a value of her own and two images: only a fit on her other image could tell.
    patients = np.repeat(np.arange(300), 2)
    truth = np.repeat(labels[:300], 2)
    words = pd.Series(patients).map("p{}".format)
    assert of({"who": words}, truth, patients) == pytest.approx(0.5, abs=0.1)


def test_too_few_patients_of_a_class_are_refused():
    with pytest.raises(StatisticsError, match="4 patients of a class, and 5 folds"):
        held_out([1] * 4 + [0] * 46)


def test_numbers_are_cut_into_bands_of_as_many_images_and_words_stay():
    numbers = bands(pd.Series([*range(100), None], dtype=float))
    assert numbers.value_counts().to_dict() | {"unknown": 1} == numbers.value_counts().to_dict()
    assert sorted(numbers.value_counts()) == [1, 20, 20, 20, 20, 20]
    assert bands(pd.Series(["PA", None, "AP"], dtype=object)).tolist() == ["PA", "unknown", "AP"]
    assert bands(pd.Series([2.0, 1.0, 2.0])).tolist() == ["2", "1", "2"]
