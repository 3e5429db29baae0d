"""The correlation of two AUCs: where both vary, and where one separates the classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cxrbench.statistics import compare
from cxrbench.statistics.clustered import components
from cxrbench.statistics.correlation import component_correlation, rank_correlation
from cxrbench.statistics.differences import Difference, Side
from cxrbench.statistics.means import compare_means


def two_curves(seed, positives, negatives, gains, shared=0.7):
    rng = np.random.default_rng(seed)
    labels = np.arange(positives + negatives) < positives
    common = rng.normal(size=labels.size)
    own = rng.normal(size=(2, labels.size))
    return labels, np.sqrt(shared) * common + np.sqrt(1 - shared) * own + np.outer(gains, labels)


@pytest.mark.parametrize("shared", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("gain", [0.4, 1.2, 2.3])
def test_of_normal_scores_ranks_and_components_give_the_same(gain, shared):
    labels, scores = two_curves(1, 20_000, 20_000, (gain, gain), shared)
    parts = components(labels, scores, None)
    found = rank_correlation(labels, scores[:1], scores[1:], float(parts.auc.mean()))
    assert found == pytest.approx(component_correlation(*parts.factor), abs=0.02)


@pytest.mark.parametrize("area", [0.55, 0.8, 0.97])
def test_it_is_the_ratio_of_covariances_of_the_binormal_model(area):
    """By the distribution of two normal scores, and not by Owen's function."""
    labels, scores = two_curves(2, 40, 50, (1, 1))
    ranks = [stats.spearmanr(*scores[:, labels == truth]).statistic for truth in (True, False)]
    rho = 2 * np.sin(np.pi / 6 * np.mean(ranks))
    z = stats.norm.ppf(area)

    def covariance(q):
        return stats.multivariate_normal([0, 0], [[1, q], [q, 1]]).cdf([z, z]) - area**2

    found = rank_correlation(labels, scores[:1], scores[1:], area)
    assert found == pytest.approx(covariance(rho / 2) / covariance(0.5), abs=1e-6)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 20), st.integers(2, 20), st.floats(0, 1))
def test_its_laws(seed, positives, negatives, auc):
    labels, (a, b) = two_curves(seed, positives, negatives, (1, 1))
    found = rank_correlation(labels, a[None], b[None], auc)
    assert -1 <= found <= 1
    assert rank_correlation(labels, b[None], a[None], auc) == pytest.approx(found, abs=1e-12)
    assert rank_correlation(labels, np.exp(a)[None], 9 * b[None] - 5, auc) == pytest.approx(found, abs=1e-12)
    # What lies between the classes plays no part.
    assert rank_correlation(labels, (a + 9 * labels)[None], b[None], auc) == pytest.approx(found, abs=1e-12)
    assert rank_correlation(labels, a[None], a[None], auc) == pytest.approx(1)
    assert rank_correlation(labels, a[None], np.zeros((1, labels.size)), auc) == pytest.approx(0, abs=1e-12)


def test_beside_a_perfect_auc_the_pairing_counts():
    labels, scores = two_curves(3, 20, 20, (1.2, 9.0))
    parts = components(labels, scores, None)
    assert component_correlation(*parts.factor) is None
    pair = compare(labels, *scores)
    sides = Side.of(parts)
    unpaired = Difference(sides.curve(0), sides.curve(1), pair.se, 0.0, 20, same_order=False)
    low, high = unpaired.interval(0.95)
    assert low <= pair.ci_low
    assert pair.ci_high < high - 0.01


def test_beside_a_perfect_auc_seeds_that_are_all_alike_are_as_one():
    labels, (a, b) = two_curves(4, 15, 25, (1.2, 9.0))
    pair = compare(labels, a, b)
    one = compare_means(labels, {"a": a, "b": b}, ["a"], ["b"])
    assert [one.ci_low, one.ci_high] == pytest.approx([pair.ci_low, pair.ci_high], abs=1e-12)
    curves = {"a": a, "b0": b, "b1": np.exp(b)}
    twice = compare_means(labels, curves, ["a"], ["b0", "b1"])
    assert [twice.ci_low, twice.ci_high] == pytest.approx([pair.ci_low, pair.ci_high], abs=1e-12)
