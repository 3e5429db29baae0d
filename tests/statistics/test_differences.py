"""The limits of a difference: a score test, by its definition and by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.optimize import brentq
from scipy.special import stdtrit

from cxrbench.statistics import compare
from cxrbench.statistics.clustered import components
from cxrbench.statistics.differences import _SMALLEST_TAIL, Side, score_limits
from cxrbench.statistics.means import compare_means


def two_curves(seed, positives, negatives, gain=1.2, shared=0.7):
    rng = np.random.default_rng(seed)
    labels = np.arange(positives + negatives) < positives
    common = rng.normal(size=labels.size)
    own = rng.normal(size=(2, labels.size))
    return labels, np.sqrt(shared) * common + np.sqrt(1 - shared) * own + gain * labels


def test_limits_solve_the_equation_of_the_score_test():
    """The equation, written out again for plain numbers and solved by another method."""
    labels, scores = two_curves(3, 14, 30)
    parts = components(labels, scores, None)
    m, n = 14, 30
    d = float(parts.degrees.min()) + 8
    a, b = parts.auc
    r = (parts.factor[0] @ parts.factor[1]) / (parts.se[0] * parts.se[1]) * d / (d + 0.2)

    def model(theta):
        mean = (m + n) / 2 - 1
        return theta * (1 - theta) / (m * n) * (1 + mean * ((1 - theta) / (2 - theta) + theta / (1 + theta)))

    rho = [
        max((own * se**2 / model(auc) + 8) / (own + 8), 120 / (own + 120))
        for auc, se, own in zip(parts.auc, parts.se, parts.degrees, strict=True)
    ]

    def variance(delta):
        def parts_at(centre):
            va, vb = rho[0] * model(centre + delta / 2), rho[1] * model(centre - delta / 2)
            return va, vb, r * np.sqrt(va * vb)

        va, vb, c = parts_at((a + b) / 2)
        w = min(max((vb - c) / (va + vb - 2 * c), 0), 1)
        weighted = w * (a - delta / 2) + (1 - w) * (b + delta / 2)
        va, vb, c = parts_at(((a + b) / 2 + weighted) / 2)
        return va + vb - 2 * c

    t = stats.t.ppf(0.975, d)
    ends = [
        brentq(lambda delta: (a - b - delta) ** 2 - t**2 * variance(delta), *bracket)
        for bracket in ((a - b - 0.3, a - b), (a - b, a - b + 0.3))
    ]
    sides = Side.of(parts)
    correlation = (parts.factor[0] @ parts.factor[1]) / (parts.se[0] * parts.se[1])
    low, high = score_limits(sides.curve(0), sides.curve(1), np.array([correlation]), 0.025)
    assert [low[0], high[0]] == pytest.approx(ends, abs=1e-9)


@settings(max_examples=40)
@given(
    st.integers(0, 10_000),
    st.integers(2, 40),
    st.integers(2, 40),
    st.floats(0, 3),
    st.sampled_from([0.0, 0.7, 0.99]),
    st.sampled_from([0.8, 0.95, 0.99]),
)
def test_a_limit_is_where_the_one_sided_test_has_its_tail(seed, positives, negatives, gain, shared, level):
    labels, scores = two_curves(seed, positives, negatives, gain, shared)
    pair = compare(labels, *scores, level=level)
    assert -1 <= pair.ci_low <= pair.difference <= pair.ci_high <= 1
    tail = (1 - level) / 2
    for margin in (0.0, 0.05, 0.2):
        found = compare(labels, *scores, level=level, margin=margin).noninferiority
        if abs(pair.ci_low + margin) > 1e-9:
            assert (found.p_value < tail) == (pair.ci_low > -margin)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 40), st.floats(0, 3))
def test_the_other_way_round_the_limits_change_sides_and_signs(seed, positives, negatives, gain):
    labels, scores = two_curves(seed, positives, negatives, gain)
    ab = compare(labels, scores[0], scores[1])
    ba = compare(labels, scores[1], scores[0])
    assert [ba.ci_low, ba.ci_high] == pytest.approx([-ab.ci_high, -ab.ci_low], abs=1e-9)


def test_with_many_images_the_limits_are_delongs():
    labels, scores = two_curves(4, 20_000, 20_000)
    pair = compare(labels, scores[0], scores[1])
    reach = 1.959964 * pair.se
    wald = [pair.difference - reach, pair.difference + reach]
    assert [pair.ci_low, pair.ci_high] == pytest.approx(wald, abs=0.02 * reach)


def test_two_curves_that_are_almost_the_same_have_narrow_limits():
    """The correlation's own uncertainty must not blur a re-run that differs by rounding."""
    labels, scores = two_curves(5, 1800, 1800, shared=0.9999)
    pair = compare(labels, scores[0], scores[1])
    assert pair.ci_high - pair.ci_low < 6 * pair.se


@pytest.mark.parametrize("shift", [0.02, 0.2, 2.0, 20.0])
def test_seeds_far_apart_have_a_p_value_too(shift):
    """SciPy's quantile of Student's t is NaN for some degrees of freedom in a tail of 1e-150."""
    rng = np.random.default_rng(3)
    labels = np.arange(200) < 60
    for _ in range(20):
        common = rng.normal(size=200) + labels
        curves = {
            f"{side}{seed}": common + rng.normal(scale=0.05, size=200) + shift * labels * (side == "b")
            for side in "ab"
            for seed in range(3)
        }
        means = compare_means(labels, curves, ["a0", "a1", "a2"], ["b0", "b1", "b2"])
        assert 0 < means.p_below(0) <= 1
        assert means.p_below(0) < 0.5 or means.difference >= 0


@given(st.floats(0.5, 1e6))
def test_the_smallest_tail_is_one_that_has_a_quantile(degrees):
    assert stats.t.cdf(stdtrit(degrees, _SMALLEST_TAIL), degrees) == pytest.approx(_SMALLEST_TAIL, rel=1e-6)
