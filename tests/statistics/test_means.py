"""The difference of mean AUCs: equal to the pair's where each side is one curve."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import compare
from cxrbench.statistics.means import compare_means


@pytest.fixture
def sample():
    rng = np.random.default_rng(3)
    labels = np.arange(200) % 3 == 0
    patients = np.repeat(np.arange(100), 2)
    truth = labels + rng.normal(size=200)
    curves = {
        name: truth + rng.normal(scale=noise, size=200)
        for name, noise in zip("abcd", (1, 1, 2, 2), strict=True)
    }
    return labels.astype(int), curves, patients


@pytest.mark.parametrize("grouped", [False, True])
def test_one_curve_a_side_is_the_paired_comparison(sample, grouped):
    labels, curves, patients = sample
    groups = patients if grouped else None
    pair = compare(labels, curves["a"], curves["c"], groups)
    means = compare_means(labels, curves, ["a"], ["c"], groups)
    assert means.difference == pytest.approx(pair.difference, abs=1e-15)
    assert means.se == pytest.approx(pair.se, rel=1e-12)
    assert (means.ci_low, means.ci_high) == pytest.approx((pair.ci_low, pair.ci_high), abs=1e-12)
    assert 2 * min(means.p_below(0), 1 - means.p_below(0)) == pytest.approx(pair.p_value, rel=1e-9)


def test_averaging_curves_averages_aucs_and_narrows_the_interval(sample):
    labels, curves, patients = sample
    single = compare_means(labels, curves, ["a"], ["c"], patients)
    double = compare_means(labels, curves, ["a", "b"], ["c", "d"], patients)
    parts = [
        compare_means(labels, curves, [x], [y], patients).difference for x, y in (("a", "c"), ("b", "d"))
    ]
    assert double.difference == pytest.approx(np.mean(parts), abs=1e-12)
    assert double.se < single.se


def test_curves_that_rank_alike_do_not_differ(sample):
    labels, curves, patients = sample
    means = compare_means(labels, {"x": curves["a"], "y": np.exp(curves["a"])}, ["x"], ["y"], patients)
    assert (means.difference, means.se, means.ci_low, means.ci_high) == (0, 0, 0, 0)
    assert means.p_below(0) == 1
    assert means.p_below(0.01) == 0


def test_turning_the_sides_round_changes_the_sign_only(sample):
    labels, curves, patients = sample
    there = compare_means(labels, curves, ["a", "b"], ["c"], patients)
    back = compare_means(labels, curves, ["c"], ["a", "b"], patients)
    assert back.difference == -there.difference
    assert back.se == there.se


@pytest.mark.parametrize(("a", "b", "message"), [(["a"], ["z"], "no curve 'z'"), ([], ["a"], "at least one")])
def test_curves_that_are_not_there_are_refused(sample, a, b, message):
    labels, curves, patients = sample
    with pytest.raises(StatisticsError, match=message):
        compare_means(labels, curves, a, b, patients)
