"""Folds of whole groups are scikit-learn's."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from cxrbench.statistics.folds import GroupedFolds


def folds_of(kind, k, classes, groups, **how):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = np.full(len(groups), -1)
        for number, (_, inside) in enumerate(kind(k, **how).split(classes, classes, groups)):
            found[inside] = number
    return found.tolist()


@settings(max_examples=30, deadline=None)
@given(
    k=st.integers(2, 12),
    kinds=st.integers(1, 4),
    images=st.integers(12, 60),
    patients=st.integers(12, 40),
    seed=st.integers(0, 2**32 - 1),
)
def test_they_are_scikit_learns(k, kinds, images, patients, seed):
    random = np.random.default_rng(seed)
    groups = np.concatenate([np.arange(patients), random.integers(0, patients, images)])
    # One class has an image in each fold: scikit-learn asks for that.
    classes = np.concatenate([np.zeros(12), random.integers(0, kinds, groups.size - 12)])
    for how in ({}, {"shuffle": True, "random_state": seed}):
        same = [folds_of(kind, k, classes, groups, **how) for kind in (GroupedFolds, StratifiedGroupKFold)]
        assert same[0] == same[1]


@pytest.mark.parametrize(("k", "kinds"), [(20, 1), (20, 15), (40, 2)])
def test_many_folds_and_classes_are_too(k, kinds):
    random = np.random.default_rng(k)
    groups, classes = random.integers(0, 80, 300), random.integers(0, kinds, 300)
    assert folds_of(GroupedFolds, k, classes, groups) == folds_of(StratifiedGroupKFold, k, classes, groups)


def test_scikit_learn_asks_for_each_groups_fold():
    class Counting(GroupedFolds):
        asked = 0

        def _find_best_fold(self, **given):
            Counting.asked += 1
            return super()._find_best_fold(**given)

    folds_of(Counting, 3, np.arange(30) % 2, np.arange(30) % 10)
    assert Counting.asked == 10
