"""The difference of AUCs on different images, from their intervals alone."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbench.statistics import auc, compare_unpaired
from cxrbench.statistics.unpaired import Estimate, unpaired_difference


def sample(seed, signal):
    rng = np.random.default_rng(seed)
    labels = np.arange(300) % 2
    return labels, labels * signal + rng.normal(size=300)


def estimate(labels, scores):
    curve = auc(labels, scores)
    return Estimate(curve.auc, curve.se, curve.ci_low, curve.ci_high)


def test_one_curve_a_side_agrees_with_the_comparison_from_scores():
    a, b = sample(1, 1.6), sample(2, 1.0)
    found = unpaired_difference(estimate(*a), estimate(*b))
    exact = compare_unpaired(*a, *b)
    assert found.difference == pytest.approx(exact.difference)
    assert (found.ci_low, found.ci_high) == pytest.approx((exact.ci_low, exact.ci_high), abs=0.003)
    assert found.p_value == pytest.approx(exact.p_value, abs=0.002)


def test_turned_round_it_is_the_same_with_the_other_sign():
    a, b = Estimate(0.9, 0.02, 0.85, 0.93), Estimate(0.8, 0.03, 0.73, 0.86)
    there, back = unpaired_difference(a, b), unpaired_difference(b, a)
    assert there.difference == -back.difference
    assert (there.ci_low, there.ci_high) == (-back.ci_high, -back.ci_low)
    assert there.p_value == back.p_value


def test_without_any_variance_only_equal_auc_are_equal():
    same, other = Estimate(1.0, 0.0, 1.0, 1.0), Estimate(0.5, 0.0, 0.5, 0.5)
    assert unpaired_difference(same, same).p_value == 1
    assert unpaired_difference(same, other).p_value == 0
