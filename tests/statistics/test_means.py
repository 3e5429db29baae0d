"""The difference of mean AUCs: equal to the pair's where each side is one curve."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cxrbench.errors import StatisticsError
from cxrbench.statistics import across_seeds, compare
from cxrbench.statistics.differences import score_variance
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
    assert means.p_value == pytest.approx(pair.p_value, rel=1e-9)


@pytest.mark.parametrize("null", [-0.1, -0.03, 0.0, 0.02])
def test_the_one_sided_p_value_is_below_a_tail_exactly_where_its_limit_excludes_the_value(sample, null):
    labels, curves, patients = sample
    means = compare_means(labels, curves, ["a", "b"], ["c", "d"], patients)
    p = means.p_below(null)
    assert 1e-12 < p < 1
    for level in (1 - 2.002 * p, 1 - 1.998 * p) if p < 0.5 else ():
        found = compare_means(labels, curves, ["a", "b"], ["c", "d"], patients, level=level)
        assert (found.ci_high < null) == ((1 - level) / 2 > p)


def test_perfect_separation_on_both_sides_is_no_certainty():
    # Eight images of four patients: two pairs of different patients.
    labels, patients = [1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 2, 2, 3, 3, 4, 4]
    curves = {"now": [8, 7, 6, 5, 4, 3, 2, 1], "before": [5, 6, 7, 8, 1, 2, 3, 4]}
    means = compare_means(labels, curves, ["now"], ["before"], patients)
    pair = compare(labels, curves["now"], curves["before"], patients)
    assert (means.difference, means.se) == (0, 0)
    assert (means.ci_low, means.ci_high) == (pair.ci_low, pair.ci_high)
    assert means.ci_low == pytest.approx(-(1 - 0.025 ** (1 / 2)))
    assert means.p_below(0) == 1
    assert means.p_below(0.9) == pytest.approx(0.1**2)


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


def seeded(random, n_images, sides, spread, shift=0.0, own=0.5):
    """Return labels and curves: what all seeds see, each one's own noise, and each one's own skill."""
    labels = np.arange(n_images) % 2
    shared = random.normal(size=n_images)
    curves = {}
    for side, count in sides.items():
        for seed in range(count):
            skill = 1.3 + spread * random.normal() + (shift if side == "a" else 0.0)
            curves[f"{side}{seed}"] = shared + own * random.normal(size=n_images) + skill * labels
    return labels, curves


def side(curves, name):
    return [key for key in curves if key.startswith(name)]


def test_the_seeds_chance_by_its_definition():
    labels, curves = seeded(np.random.default_rng(5), 400, {"a": 3, "b": 4}, spread=0.5)
    means = compare_means(labels, curves, side(curves, "a"), side(curves, "b"))
    a, b = (across_seeds(labels, {key: curves[key] for key in side(curves, name)}) for name in "ab")
    assert means.var_seeds_a == a.var_seeds > 0
    assert means.var_seeds_b == b.var_seeds > 0
    assert means.se**2 == pytest.approx(means.var_sample + a.var_seeds / 3 + b.var_seeds / 4, rel=1e-12)
    seeds = (a.sd_between_seeds**2 / 3) ** 2 / 2 + (b.sd_between_seeds**2 / 4) ** 2 / 3
    assert means.df == pytest.approx(means.se**4 / seeds, rel=1e-12)
    # At each limit the reach through the sample and that through the seeds add up, squared.
    tested = means.tested
    part = stats.t.ppf(0.975, means.df) * np.sqrt(a.var_seeds / 3 + b.var_seeds / 4)
    through_sample = stats.t.ppf(0.975, min(tested.a.degrees[0], tested.b.degrees[0]))
    for end in (means.ci_low, means.ci_high):
        variance = score_variance(tested.a, tested.b, np.array([tested.correlation]), np.array([end]))[0]
        reach = np.hypot(through_sample * np.sqrt(variance), part)
        assert abs(means.difference - end) == pytest.approx(reach, rel=1e-9)
    assert tested.p_above(means.ci_low) == pytest.approx(0.025, rel=1e-6)
    assert tested.p_above(means.ci_high) == pytest.approx(0.975, rel=1e-6)
    t = means.difference / means.se
    assert means.p_value == pytest.approx(2 * stats.t.sf(abs(t), means.df), rel=1e-9)


def test_by_hand():
    # Four positives and four negatives; a's seeds have the AUCs 16/16 and 8/16, b's both 12/16.
    labels = [1, 1, 1, 1, 0, 0, 0, 0]
    curves = {
        "a0": [8, 7, 6, 5, 4, 3, 2, 1],
        "a1": [8, 7, 2, 1, 6, 5, 4, 3],
        "b0": [8, 7, 6, 1, 5, 4, 3, 2],
        "b1": [8, 7, 6, 1, 5, 4, 3, 2],
    }
    means = compare_means(labels, curves, ["a0", "a1"], ["b0", "b1"])
    # a0 has components of no variance; a1's positives win (4, 4, 0, 0)/4, its negatives 2/4 each: so its
    # variance is (4 * 0.25)/(4 * 3) = 1/12, half of which is particular to one of two seeds.
    assert means.difference == 0
    assert means.var_seeds_a == pytest.approx(0.125 - 1 / 24)
    assert means.var_seeds_b == 0
    # b's positives win (4, 4, 4, 0)/4. Halves of a1's deviations minus b's: (0, 0, -1/2, 1/2).
    assert means.var_sample == pytest.approx(0.5 / 12)
    variance = 0.5 / 12 + (0.125 - 1 / 24) / 2
    assert means.se == pytest.approx(np.sqrt(variance))
    assert means.df == pytest.approx(variance**2 / (0.125 / 2) ** 2)


def test_seeds_that_do_not_differ_leave_the_sample_alone(sample):
    labels, curves, patients = sample
    twice = {f"{name}{i}": curves[name] for name in "ac" for i in range(2)}
    means = compare_means(labels, twice, ["a0", "a1"], ["c0", "c1"], patients)
    alone = compare_means(labels, curves, ["a"], ["c"], patients)
    assert (means.var_seeds_a, means.var_seeds_b, means.df) == (0, 0, None)
    assert (means.ci_low, means.ci_high) == (alone.ci_low, alone.ci_high)
    assert means.p_below(0) == alone.p_below(0)


def test_seeds_held_against_themselves_keep_their_degrees_of_freedom():
    """The seeds' own part may be a small rest of what was observed: no fewer than n - 1 remain."""
    random = np.random.default_rng(4)
    found = []
    for _ in range(50):
        labels, curves = seeded(random, 60, {"a": 3}, spread=0.1)
        again = {name.replace("a", "b"): scores for name, scores in curves.items()}
        means = compare_means(labels, {**curves, **again}, side(curves, "a"), list(again))
        assert means.difference == 0
        if means.df is not None:
            assert means.df >= 2
            assert means.ci_high == pytest.approx(stats.t.ppf(0.975, means.df) * means.se)
            assert means.ci_low == -means.ci_high
        found.append(means.df)
    # Both kinds are among them: seeds with a part of their own, and without.
    assert None in found
    assert 2 in found


def test_one_seed_on_a_side_says_nothing_of_seeds():
    labels, curves = seeded(np.random.default_rng(6), 200, {"a": 4, "b": 1}, spread=1.0)
    means = compare_means(labels, curves, side(curves, "a"), ["b0"])
    assert (means.var_seeds_a, means.var_seeds_b, means.df) == (None, None, None)
    assert means.se**2 == pytest.approx(means.var_sample)


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("counts", [(5, 5), (3, 3)])
def test_the_interval_holds_new_seeds_on_new_images(spread, counts):
    """95% of intervals cover and 2.5% of one-sided tests err, within what 1,500 repeats and few seeds allow.

    Too careful (up to 0.98) where seeds do not differ, since an estimated variance cannot be below 0.
    """
    random = np.random.default_rng(7)
    repeats = 1500
    covered = worse = naive = 0
    for _ in range(repeats):
        labels, curves = seeded(random, 200, dict(zip("ab", counts, strict=True)), spread)
        means = compare_means(labels, curves, side(curves, "a"), side(curves, "b"))
        covered += means.ci_low <= 0 <= means.ci_high
        worse += means.p_below(0) < 0.025
        naive += abs(means.difference) <= 1.959964 * np.sqrt(means.var_sample)
    # The standard error of a share of 0.95 from 1,500 repeats is 0.0056.
    assert 0.935 <= covered / repeats <= 0.987
    assert worse / repeats <= 0.037
    if spread >= 0.15:
        # The test sample's chance alone takes another seed for another quality.
        assert naive / repeats < 0.75


@pytest.mark.parametrize(("a", "b", "message"), [(["a"], ["z"], "no curve 'z'"), ([], ["a"], "at least one")])
def test_curves_that_are_not_there_are_refused(sample, a, b, message):
    labels, curves, patients = sample
    with pytest.raises(StatisticsError, match=message):
        compare_means(labels, curves, a, b, patients)
