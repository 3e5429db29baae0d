"""Intervals of one AUC, and what replaces them where the variance is zero."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.stats import beta

from cxrbench.errors import StatisticsError
from cxrbench.statistics import auc
from cxrbench.statistics.clustered import components
from cxrbench.statistics.intervals import hoeffding_interval, hoeffding_tail, normal_quantile


def test_logit_interval_of_the_ovarian_data(ovarian):
    found = auc(ovarian["y"], ovarian["albumin"], interval="logit")
    # logit(0.736559) = 1.028261; SE / (auc (1 - auc)) = 0.477705; times 1.959964.
    assert found.ci_low == pytest.approx(0.522951, abs=5e-7)
    assert found.ci_high == pytest.approx(0.877014, abs=5e-7)


def test_newcombe_limits_solve_the_equation_of_method_5():
    rng = np.random.default_rng(5)
    m, n = 12, 40
    labels = np.arange(m + n) < m
    scores = rng.normal(size=m + n) + 1.2 * labels
    found = auc(labels, scores)

    def variance(theta):
        mean = (m + n) / 2 - 1
        return theta * (1 - theta) / (m * n) * (1 + mean * ((1 - theta) / (2 - theta) + theta / (1 + theta)))

    degrees = float(components(labels, scores[None], None).degrees[0])
    moderated = max((degrees * found.se**2 / variance(found.auc) + 8) / (degrees + 8), 120 / (degrees + 120))
    t = stats.t.ppf(0.975, degrees + 8)
    for end in (found.ci_low, found.ci_high):
        assert abs(found.auc - end) == pytest.approx(t * np.sqrt(moderated * variance(end)), rel=1e-6)


def test_newcombe_limits_from_few_images_keep_the_models_width_when_the_sample_looks_too_good():
    """All negatives but one below all positives: the sample's own variance is next to nothing."""
    scores = np.array([*range(21, 41), 40.5, *range(1, 20)], dtype=np.float64)
    found = auc(np.arange(40) < 20, scores)
    assert found.ci_high - found.ci_low > 2 * 1.96 * found.se


def test_newcombe_limits_are_widened_where_the_samples_own_variance_is_larger():
    """A fifth of the positives is missed altogether, which exponential scores do not do."""
    rng = np.random.default_rng(5)
    labels = np.arange(2200) < 200
    scores = rng.normal(size=2200) + np.where(labels & (np.arange(2200) % 5 > 0), 3.0, 0.0)
    found = auc(labels, scores)
    assert found.ci_high - found.ci_low == pytest.approx(2 * 1.96 * found.se, rel=0.03)


def test_newcombe_limits_know_of_patients():
    rng = np.random.default_rng(6)
    patients = np.repeat(np.arange(60), 3)
    labels = patients % 2 == 0
    scores = rng.normal(size=60)[patients] + 0.1 * rng.normal(size=180) + labels
    plain, clustered = auc(labels, scores), auc(labels, scores, patients)
    assert clustered.ci_high - clustered.ci_low > 1.4 * (plain.ci_high - plain.ci_low)
    # One image per patient is the same as images that are independent.
    alone = auc(labels, scores, np.arange(180))
    assert (alone.ci_low, alone.ci_high) == pytest.approx((plain.ci_low, plain.ci_high), rel=1e-9)


def test_wald_interval_of_the_ovarian_data(ovarian):
    found = auc(ovarian["y"], ovarian["albumin"], interval="wald")
    assert found.ci_low == pytest.approx(0.736559 - 1.959964 * 0.0926943, abs=1e-6)
    assert found.ci_high == pytest.approx(0.736559 + 1.959964 * 0.0926943, abs=1e-6)


def test_wald_interval_ends_at_one():
    found = auc([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], interval="wald")
    assert found.auc < 1
    assert found.ci_high == 1


def test_a_higher_level_gives_a_wider_interval(ovarian):
    narrow = auc(ovarian["y"], ovarian["albumin"], level=0.9)
    wide = auc(ovarian["y"], ovarian["albumin"], level=0.99)
    assert wide.ci_low < narrow.ci_low < narrow.auc < narrow.ci_high < wide.ci_high


@pytest.mark.parametrize("interval", ["newcombe", "logit", "wald"])
@pytest.mark.parametrize(("n", "low"), [(2, 0.158114), (10, 0.691503), (100, 0.963783)])
def test_perfect_separation_gets_the_clopper_pearson_bound_and_says_so(interval, n, low):
    found = auc([0] * n + [1] * n, range(2 * n), interval=interval)
    assert (found.auc, found.se, found.ci_high) == (1.0, 0.0, 1.0)
    assert found.ci_low == pytest.approx(low, abs=1e-6)
    assert found.ci_low == pytest.approx(beta.ppf(0.025, n, 1), rel=1e-12)
    assert f"Hoeffding's bound for {n} independent pairs" in found.note


def test_separation_the_wrong_way_round_is_the_mirror_image():
    right, wrong = auc([0] * 5 + [1] * 5, range(10)), auc([1] * 5 + [0] * 5, range(10))
    assert (wrong.auc, wrong.ci_low, wrong.ci_high) == (0.0, 0.0, pytest.approx(1 - right.ci_low, rel=1e-15))
    assert "wrong way round" in wrong.note


def test_constant_scores_have_an_interval_around_one_half():
    found = auc([0] * 20 + [1] * 20, [3] * 40)
    assert (found.auc, found.se) == (0.5, 0.0)
    assert found.ci_low == pytest.approx(1 - found.ci_high, abs=1e-9)
    assert 0.2 < found.ci_low < 0.3
    assert "contribute alike" in found.note


def test_pairs_of_perfect_separation_are_of_different_patients():
    # Eight images of each class, but three patients: one pair of two different patients.
    found = auc([0] * 8 + [1] * 8, range(16), ["p", "q"] * 4 + ["q", "r"] * 4)
    assert "for 1 independent pairs" in found.note
    assert found.ci_low == pytest.approx(0.025)


@pytest.mark.parametrize("mean", [0.0, 0.001, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("pairs", [1, 7, 200])
def test_hoeffding_interval_holds_just_what_its_tail_does_not_exclude(mean, pairs):
    low, high = hoeffding_interval(mean, pairs, 0.95)
    assert 0 <= low <= mean <= high <= 1
    if low > 0:
        assert hoeffding_tail(mean, low, pairs) == pytest.approx(0.025, rel=1e-6)
    if 1 - high > 1e-6:  # closer to 1 the digits of 1 - high run out
        assert hoeffding_tail(1 - mean, 1 - high, pairs) == pytest.approx(0.025, rel=1e-6)


def test_hoeffding_interval_covers_what_it_promises():
    rng = np.random.default_rng(11)
    for theta, pairs in ((0.7, 10), (0.9, 30)):
        means = rng.binomial(pairs, theta, size=2000) / pairs
        ends = {mean: hoeffding_interval(mean, pairs, 0.95) for mean in set(means.tolist())}
        covered = np.mean([ends[mean][0] <= theta <= ends[mean][1] for mean in means.tolist()])
        assert covered >= 0.95


def test_normal_quantile():
    assert normal_quantile(0.95) == pytest.approx(1.959963984540054, rel=1e-15)


@pytest.mark.parametrize("level", [0, 1, 95, -0.1, float("nan")])
def test_a_level_that_is_no_confidence_is_refused(level):
    with pytest.raises(StatisticsError, match="level: must lie between 0 and 1"):
        auc([0, 0, 1, 1], [1, 3, 2, 4], level=level)


def test_an_unknown_interval_is_refused():
    with pytest.raises(StatisticsError, match="interval: must be one of newcombe, logit, wald, not 'exact'"):
        auc([0, 0, 1, 1], [1, 3, 2, 4], interval="exact")
