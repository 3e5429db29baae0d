"""Inputs at the edge of what can be computed: finite numbers that hold together, or a refusal in one line."""

from __future__ import annotations

import itertools
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import (
    Resampling,
    age_bands,
    at_threshold,
    auc,
    auc_power,
    average_precision,
    compare,
    images_for_comparison,
    partial_auc,
    patients_needed,
    planned_se,
    predictive_values,
    recalibration,
    resampled,
    roc_band,
)
from cxrbench.statistics.means import compare_means

SCORES = st.sampled_from([0.0, -0.0, 5e-324, 1e-300, 0.5, 1 - 1e-16, 1.0, 1.7e308, -1.7e308])
LEVELS = st.sampled_from([1e-9, 0.1, 0.95, 0.999999, 1 - 1e-15])
MARGINS = st.sampled_from([0.0, 1e-300, 0.02, 0.999999, 1 - 1e-16])


@st.composite
def samples(draw):
    """Labels of both classes, four curves, patients or none."""
    n = draw(st.integers(2, 12))
    labels = np.array([1, 0, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))])
    curves = [np.array(draw(st.lists(SCORES, min_size=n, max_size=n))) for _ in range(3)]
    groups = draw(st.none() | st.lists(st.integers(0, 5), min_size=n, max_size=n))
    return labels, [*curves, labels.astype(float)], groups


@settings(max_examples=150)
@given(samples(), LEVELS, MARGINS, st.sampled_from(["newcombe", "logit", "wald"]))
def test_a_comparison_of_anything_is_whole_and_turns_round(sample, level, margin, interval):
    labels, (a, b, *_), groups = sample
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = compare(labels, a, b, groups, margin=margin, level=level, interval=interval)
        except StatisticsError:
            # Too few images or patients of a class, whatever the scores.
            with pytest.raises(StatisticsError):
                auc(labels, a, groups)
            return
        turned = compare(labels, b, a, groups, margin=margin, level=level, interval=interval)
    assert -1 <= found.ci_low <= found.difference <= found.ci_high <= 1
    assert turned.ci_high == pytest.approx(-found.ci_low, abs=1e-7)
    for test in (found, found.noninferiority, found.superiority, found.equivalence):
        assert 0 <= test.p_value <= 1
    assert found.superiority.p_value >= found.noninferiority.p_value - 1e-12


@settings(max_examples=60)
@given(samples(), LEVELS)
def test_one_sided_p_values_of_means_fall_as_the_null_rises(sample, level):
    labels, curves, groups = sample
    names = dict(zip("abcd", curves, strict=True))
    try:
        found = compare_means(labels, names, ["a", "b"], ["c", "d"], groups, level=level)
    except StatisticsError:
        return
    nulls = sorted({-1.0, -(1 - 1e-16), found.ci_low, found.difference, 0.0, found.ci_high, 1 - 1e-16, 1.0})
    p_values = [found.p_below(null) for null in nulls]
    assert all(0 <= p <= 1 for p in p_values)
    assert all(b <= a + 1e-6 for a, b in itertools.pairwise(p_values))


def test_seeds_that_each_show_no_variance_but_differ_are_compared():
    # One seed collapsed to a constant, the other separates the classes: neither varies with the test sample.
    labels = [1, 0, 0, 1] * 20
    constant = [0] * 80
    curves = {"a": constant, "b": constant, "c": constant, "d": labels}
    found = compare_means(labels, curves, ["a", "b"], ["c", "d"])
    assert found.difference == -0.25
    assert 0 < found.p_below(0) < 0.5
    assert found.p_below(-0.75) > 0.5


def test_scores_further_apart_than_a_float_holds_are_ranked_without_a_warning():
    labels, scores = [0, 1, 0, 1], [-1.7e308, 1.7e308, -1.7e308, 1.7e308]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert average_precision(labels, scores) == 1
        assert partial_auc(labels, scores, 0.5) == 1
        assert roc_band(labels, scores, how=Resampling(count=100))[-1].sensitivity == 1


@pytest.mark.parametrize("value", [10**400, -(10**400), Fraction(10**400, 3)])
def test_numbers_beyond_a_float_are_named_by_their_row(value):
    with pytest.raises(StatisticsError, match="not a number in row 1"):
        auc([1, 0, 1, 0], [1, value, 2, 3])
    with pytest.raises(StatisticsError, match="labels: not a number in row 1"):
        auc([1, value, 1, 0], [1, 0, 2, 3])
    with pytest.raises(StatisticsError, match="ages: must be years"):
        age_bands([40, value])


def test_whole_numbers_that_would_become_ties_are_refused():
    with pytest.raises(StatisticsError, match="float64 cannot hold the value exactly in rows 0, 1"):
        auc([1, 0, 1, 0], [10**30, 10**30 + 1, 3, 4])
    # A power of two is held exactly.
    assert auc([1, 0, 1, 0], [2**100, 1, 2**101, 2]).auc == 1


@pytest.mark.parametrize(("scores", "groups"), [([[1], [1, 2], 3, 4], None), ([1, 2, 3, 4], [[1]] * 4)])
def test_what_is_no_array_is_refused(scores, groups):
    with pytest.raises(StatisticsError, match=r"not an array of numbers|a patient is a text or a number"):
        auc([1, 0, 1, 0], scores, groups)


def test_calibration_of_one_patient_and_of_constant_scores_in_clusters():
    with pytest.raises(StatisticsError, match="one patient says nothing"):
        recalibration([1, 0, 1, 0], [0.9, 0.2, 0.8, 0.4], [1, 1, 1, 1])
    found = recalibration([1, 0, 1, 0, 1], [0.0] * 5, [0, 0, 1, 1, 1])
    assert found.slope is None
    assert math.isfinite(found.intercept)


def test_predictive_values_where_an_interval_is_a_point():
    point = at_threshold([1, 0, 1, 0], [0.9, 0.2, 0.8, 0.4], 0.5, level=1e-9)
    found = predictive_values(point, 0.1, level=1e-9)
    assert found.ppv.value == 1
    assert 0 <= found.ppv.ci_low <= found.ppv.ci_high <= 1


def test_a_level_too_high_for_bca_gives_no_interval_the_wrong_way_round():
    rng = np.random.default_rng(5)
    labels = np.arange(30) % 3 == 0
    for level in (0.95, 1 - 1e-15):
        found = resampled(
            labels, rng.normal(size=30) + labels, average_precision, None, Resampling(0, 100, level)
        )
        assert (found.ci_low is None) == (found.ci_high is None)
        assert found.ci_low is None or found.ci_low <= found.ci_high
    with pytest.raises(StatisticsError, match="seed: must be 0 or more"):
        Resampling(seed=-1)


@pytest.mark.parametrize(
    "planned",
    [
        lambda: planned_se(0.8, 0.7, 10**400, 5),
        lambda: auc_power(0.8, 0.7, 5, 10**400),
        lambda: patients_needed(0.1, 0.05, 10**400),
        lambda: images_for_comparison(0.8, 0.7, 0.5, design_effect=-1),
        lambda: images_for_comparison(0.8, 0.7, 0.5, design_effect=math.nan),
    ],
)
def test_a_plan_beyond_all_bounds_is_refused(planned):
    with pytest.raises(StatisticsError):
        planned()
