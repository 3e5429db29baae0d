"""What reviewers ask for, held against pROC, base R, published examples and definitions written out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score
from statsmodels.stats.proportion import confint_proportions_2indep

from cxrbench.errors import StatisticsError
from cxrbench.statistics import (
    Resampling,
    at_threshold,
    auc,
    auc_power,
    compare,
    design_effect,
    images_for_power,
    images_for_precision,
    net_benefit,
    net_benefit_difference,
    partial_auc,
    pooled_auc,
    predictive_values,
    reader_study,
    recalibration,
    resampled,
    resampled_difference,
    sensitivities_at,
    sensitivity_at,
)
from cxrbench.statistics.intervals import hoeffding_interval
from cxrbench.statistics.power import planned_se
from cxrbench.statistics.readers import hillis

PROC = Path(__file__).parents[2] / "fixtures" / "reference" / "proc"


@pytest.fixture(scope="module")
def scores():
    return pd.read_csv(PROC / "scores.csv")


@pytest.fixture(scope="module")
def expected():
    return json.loads((PROC / "expected.json").read_text())


@pytest.mark.parametrize("curve", ["a", "b"])
@pytest.mark.parametrize("specificity", [0.8, 0.9, 0.95])
def test_sensitivity_at_a_specificity_is_procs(scores, expected, curve, specificity):
    stated = expected[f"sensitivity_{curve}_at_specificity_{specificity:g}"]
    assert sensitivity_at(scores["y"], scores[curve], specificity) == pytest.approx(stated, abs=1e-12)
    # Specificity at a sensitivity is the same curve seen from the other side.
    turned = sensitivity_at(1 - scores["y"], -scores[curve], specificity)
    assert turned == pytest.approx(expected[f"specificity_{curve}_at_sensitivity_{specificity:g}"], abs=1e-12)


@pytest.mark.parametrize("curve", ["a", "b"])
def test_partial_auc_is_procs(scores, expected, curve):
    for specificity in (0.9, 0.7):
        stated = expected[f"pauc_specificity_1_{specificity:g}_{curve}"]
        found = partial_auc(scores["y"], scores[curve], specificity)
        assert found * (1 - specificity) == pytest.approx(stated, abs=1e-12)
    assert partial_auc(scores["y"], scores[curve], 0) == pytest.approx(expected[f"auc_{curve}"], abs=1e-12)


def test_bootstrap_intervals_and_tests_are_procs_within_chance(scores, expected):
    def part(labels, values):
        return partial_auc(labels, values, 0.9)

    how = Resampling(1, 400)
    found = resampled(scores["y"], scores["a"], part, how=how)
    low, high = (10 * end for end in expected["bootstrap_percentile_pauc_a"])
    assert (found.ci_low, found.ci_high) == pytest.approx((low, high), abs=0.04)
    pair = resampled_difference(scores["y"], scores["a"], scores["b"], part, how=how)
    assert pair.value / pair.se == pytest.approx(expected["bootstrap_z_pauc"], rel=0.1)
    assert pair.value == pytest.approx(
        10 * (expected["pauc_specificity_1_0.9_a"] - expected["pauc_specificity_1_0.9_b"]), abs=1e-12
    )


def test_the_bootstrap_of_an_auc_agrees_with_its_closed_form(scores):
    closed = auc(scores["y"], scores["a"])
    found = resampled(
        scores["y"],
        scores["a"],
        lambda labels, values: auc(labels, values).auc,
        how=Resampling(2, 400),
    )
    assert found.value == closed.auc
    assert found.se == pytest.approx(closed.se, rel=0.15)
    assert (found.ci_low, found.ci_high) == pytest.approx((closed.ci_low, closed.ci_high), abs=0.03)


def test_average_precision_has_an_interval_and_a_paired_test(scores):
    one = resampled(scores["y"], scores["a"], average_precision_score, how=Resampling(3, 300))
    assert one.value == average_precision_score(scores["y"], scores["a"])
    assert one.ci_low < one.value < one.ci_high
    same = resampled_difference(
        scores["y"], scores["a"], 2 * scores["a"], average_precision_score, how=Resampling(3, 100)
    )
    assert (same.value, same.p_value, same.ci_low) == (0, 1, None)
    assert "same in every resample" in same.note


def test_what_varies_and_has_no_bca_interval_is_not_said_to_be_the_same():
    """A sensitivity of 1 that no one patient changes, and that a negative drawn three times does."""
    labels = np.arange(32) >= 20
    values = np.concatenate([np.arange(1, 21), [19.5], np.arange(30, 41)])
    found = resampled(
        labels, values, lambda truth, given: sensitivity_at(truth, given, 0.9), how=Resampling(4, 300)
    )
    assert found.value == 1
    assert found.se > 0
    assert found.ci_low is None
    assert found.note == "no BCa interval exists for this sample at this level"


def test_the_bootstrap_draws_whole_patients():
    rng = np.random.default_rng(4)
    patients = np.repeat(np.arange(60), 4)
    labels = patients % 2
    values = rng.normal(size=60)[patients] + labels + 0.1 * rng.normal(size=240)

    def area(truth, given):
        return auc(truth, given).auc

    clustered = resampled(labels, values, area, patients, Resampling(5, 300))
    plain = resampled(labels, values, area, how=Resampling(5, 300))
    assert clustered.se == pytest.approx(auc(labels, values, patients).se, rel=0.2)
    assert clustered.se > 1.6 * plain.se


def test_calibration_is_that_of_base_r(scores, expected):
    found = recalibration(scores["y"], scores["p"])
    assert found.slope == pytest.approx(expected["calibration_slope"], rel=1e-6)
    assert found.intercept == pytest.approx(expected["calibration_intercept"], rel=1e-6)
    for name in ("slope", "intercept"):
        width = getattr(found, f"{name}_high") - getattr(found, f"{name}_low")
        assert width == pytest.approx(2 * 1.959964 * expected[f"calibration_{name}_se"], rel=1e-5)
    assert found.spiegelhalter_z == pytest.approx(expected["spiegelhalter_z"], rel=1e-9)
    ends = found.curve[0][1], found.curve[-1][1]
    assert ends == pytest.approx((expected["lowess_iter0_first"], expected["lowess_iter0_last"]), abs=0.003)
    assert [point[0] for point in found.curve] == sorted(point[0] for point in found.curve)


def test_right_probabilities_have_slope_one_and_intercept_nought():
    rng = np.random.default_rng(6)
    p = rng.uniform(0.02, 0.98, 20_000)
    found = recalibration(rng.random(20_000) < p, p)
    assert found.slope_low < 1 < found.slope_high
    assert found.intercept_low < 0 < found.intercept_high
    assert found.spiegelhalter_p > 0.01
    assert all(abs(share - probability) < 0.05 for probability, share in found.curve)


def test_calibration_knows_of_patients_and_of_separation():
    rng = np.random.default_rng(7)
    p = np.repeat(rng.uniform(0.1, 0.9, 100), 4)
    y = np.repeat(rng.random(100) < p[::4], 4)
    plain, clustered = recalibration(y, p), recalibration(y, p, np.repeat(np.arange(100), 4))
    assert clustered.slope == pytest.approx(plain.slope)
    assert clustered.slope_high - clustered.slope_low > 1.6 * (plain.slope_high - plain.slope_low)
    apart = recalibration([0, 0, 1, 1], [0.0, 0.2, 0.7, 1.0])
    assert (apart.slope, apart.slope_low, apart.slope_high) == (None, None, None)
    assert len(apart.notes) == 2
    certain = recalibration([0, 1, 0, 1], [0.0, 1.0, 0.5, 0.5])
    assert (certain.spiegelhalter_z, certain.spiegelhalter_p) == (None, None)


def test_predictive_values_by_bayes_and_ratios_with_score_intervals():
    labels = [1] * 40 + [0] * 160
    calls = [1] * 32 + [0] * 8 + [1] * 24 + [0] * 136
    found = predictive_values(at_threshold(labels, calls, 0.5), 0.1)
    assert found.lr_positive.value == pytest.approx(0.8 / 0.15)
    assert found.lr_negative.value == pytest.approx(0.2 / 0.85)
    assert found.ppv.value == pytest.approx(0.8 * 0.1 / (0.8 * 0.1 + 0.15 * 0.9))
    assert found.npv.value == pytest.approx(0.85 * 0.9 / (0.85 * 0.9 + 0.2 * 0.1))
    low, high = confint_proportions_2indep(32, 40, 24, 160, compare="ratio", method="score", correction=False)
    assert (found.lr_positive.ci_low, found.lr_positive.ci_high) == pytest.approx((low, high), rel=1e-6)
    odds = low * 0.1 / 0.9
    assert found.ppv.ci_low == pytest.approx(odds / (1 + odds), rel=1e-6)
    assert found.npv.ci_low < found.npv.value < found.npv.ci_high


def test_predictive_values_without_a_single_false_call():
    found = predictive_values(at_threshold([1] * 10 + [0] * 10, [1] * 10 + [0] * 10, 0.5), 0.05)
    assert (found.ppv.value, found.npv.value) == (1, 1)
    assert (found.lr_positive.value, found.lr_positive.ci_high) == (None, None)
    assert 0 < found.ppv.ci_low < 0.5 < found.ppv.ci_high == 1
    assert found.lr_negative.value == 0
    nobody = predictive_values(at_threshold([1, 1, 0, 0], [0, 0, 0, 0], 0.5), 0.05)
    assert nobody.ppv.value is None
    with pytest.raises(StatisticsError, match="prevalence"):
        predictive_values(at_threshold([1, 0], [1, 0], 0.5), 0)


def test_net_benefit_by_hand():
    labels, p = [1, 1, 0, 0, 0], [0.9, 0.3, 0.6, 0.2, 0.1]
    (found,) = net_benefit(labels, p, [0.25])
    # Two true and one false positive of five, one false weighing a third.
    assert found.model == pytest.approx((2 - 1 / 3) / 5)
    assert found.everybody == pytest.approx((2 - 3 / 3) / 5)
    assert found.gain == pytest.approx(found.model - found.everybody)
    worth = np.array([1, 1, -1 / 3, 0, 0])
    assert found.se == pytest.approx(worth.std(ddof=1) / np.sqrt(5))
    other = [0.9, 0.2, 0.1, 0.2, 0.1]
    difference = net_benefit_difference(labels, p, other, 0.25)
    assert difference.difference == pytest.approx(found.model - net_benefit(labels, other, [0.25])[0].model)
    assert net_benefit_difference(labels, p, p, 0.25).p_value == 1
    for threshold in (0, 1, float("nan")):
        with pytest.raises(StatisticsError, match="threshold: must lie strictly"):
            net_benefit(labels, p, [threshold])


def test_net_benefit_knows_of_patients():
    rng = np.random.default_rng(8)
    p = np.repeat(rng.random(50), 4)
    y = np.repeat(rng.random(50) < p[::4], 4)
    (plain,), (clustered,) = net_benefit(y, p, [0.4]), net_benefit(y, p, [0.4], np.repeat(np.arange(50), 4))
    assert clustered.se == pytest.approx(2 * plain.se, rel=0.02)


def test_within_sites_only_pairs_of_one_site_count():
    rng = np.random.default_rng(9)
    site = np.repeat([0, 1, 2], 100)
    labels = rng.random(300) < np.array([0.1, 0.4, 0.8])[site]
    # The scores know the site, and nothing else.
    values = site + rng.normal(scale=0.3, size=300)
    found = pooled_auc(labels, values, site)
    assert auc(labels, values).auc > 0.7
    assert found.within_low < 0.5 < found.within_high
    assert found.over_low < 0.5 < found.over_high
    assert found.sites == ("0", "1", "2")


def test_one_site_is_its_auc_and_empty_sites_are_named():
    rng = np.random.default_rng(10)
    labels = np.arange(80) % 2
    values = rng.normal(size=80) + labels
    one = pooled_auc(labels, values, ["x"] * 80)
    alone = auc(labels, values, interval="logit")
    assert (one.within, one.within_low, one.within_high) == pytest.approx(
        (alone.auc, alone.ci_low, alone.ci_high)
    )
    assert (one.over, one.tau) == (None, None)
    more = pooled_auc([*labels, 1, 1], [*values, 0, 1], [*["x"] * 80, "y", "y"])
    assert more.left_out == ("y",)
    assert more.within == pytest.approx(one.within)
    with pytest.raises(StatisticsError, match="none has two"):
        pooled_auc([0, 1], [0, 1], ["x", "x"])


def test_random_effects_over_sites_by_dersimonian_and_laird():
    rng = np.random.default_rng(11)
    site = np.repeat(np.arange(5), 80)
    labels = np.arange(400) % 2
    values = rng.normal(size=400) + labels * np.array([0.3, 0.9, 1.5, 2.0, 1.1])[site]
    found = pooled_auc(labels, values, site)
    parts = [auc(labels[site == s], values[site == s]) for s in range(5)]
    effects = np.array([np.log(p.auc / (1 - p.auc)) for p in parts])
    v = np.array([(p.se / (p.auc * (1 - p.auc))) ** 2 for p in parts])
    w = 1 / v
    q = np.sum(w * (effects - np.sum(w * effects) / w.sum()) ** 2)
    tau2 = max(0, (q - 4) / (w.sum() - np.sum(w**2) / w.sum()))
    mean = np.sum(effects / (v + tau2)) / np.sum(1 / (v + tau2))
    assert found.tau == pytest.approx(np.sqrt(tau2), rel=1e-9)
    assert found.over == pytest.approx(1 / (1 + np.exp(-mean)), rel=1e-9)
    assert found.i2 == pytest.approx((q - 4) / q, rel=1e-9)


def test_the_reader_study_of_van_dyke():
    """Two methods, five readers, 114 patients: as RJafroc and MRMCaov publish it for empirical AUCs."""
    found = hillis(
        [("cine", 0.8970370), ("spin echo", 0.9408366)],
        5,
        0.004796171,
        0.0005510306,
        (0.0003466137, 0.0003440748, 0.0002390284),
    )
    assert found.f == pytest.approx(4.456319, rel=1e-5)
    assert found.ddf == pytest.approx(15.25967, rel=1e-5)
    assert found.p_value == pytest.approx(0.05166569, rel=1e-4)
    (pair,) = found.differences
    assert (pair.ci_low, pair.ci_high) == pytest.approx((-0.08795949, 0.0003602), abs=2e-4)


def test_a_reader_study_from_scores():
    rng = np.random.default_rng(12)
    labels = np.arange(120) % 2
    truth = rng.normal(size=120) + 1.2 * labels
    scores = {
        method: {f"r{r}": truth + rng.normal(size=120) - worse * labels for r in range(4)}
        for method, worse in (("new", 0.0), ("old", 0.6))
    }
    found = reader_study(labels, scores)
    means = dict(found.means)
    assert means["new"] == pytest.approx(np.mean([auc(labels, s).auc for s in scores["new"].values()]))
    (pair,) = found.differences
    assert pair.difference == pytest.approx(means["new"] - means["old"])
    # One degree of freedom: the test of all methods is that of the one pair.
    assert pair.p_value == pytest.approx(found.p_value, rel=1e-9)
    new = list(scores["new"].values())
    pairs = [compare(labels, new[r], new[s]) for r in range(4) for s in range(r)]
    se = [auc(labels, s).se for s in new]
    shared = [
        (se[r] ** 2 + se[s] ** 2 - pair.se**2) / 2
        for pair, (r, s) in zip(pairs, [(r, s) for r in range(4) for s in range(r)], strict=True)
    ]
    assert 0.5 * np.mean(shared) < found.cov2 < 2 * np.mean(shared)
    with pytest.raises(StatisticsError, match="other readers"):
        reader_study(labels, {"new": scores["new"], "old": {"r0": truth, "x": truth}})
    with pytest.raises(StatisticsError, match="two methods and two readers"):
        reader_study(labels, {"new": scores["new"]})


def test_equivalence_is_both_one_sided_tests(scores):
    found = compare(scores["y"], scores["a"], scores["b"], margin=0.15)
    test = found.equivalence
    assert test.hypothesis == "equivalence"
    assert test.p_value >= found.noninferiority.p_value
    assert test.holds == (found.ci_low > -0.15 and found.ci_high < 0.15)
    turned = compare(scores["y"], scores["b"], scores["a"], margin=0.15)
    assert turned.equivalence.p_value == pytest.approx(test.p_value, rel=1e-9)
    wide = compare(scores["y"], scores["a"], scores["b"], margin=0.3)
    assert wide.equivalence.holds


def test_power_of_one_auc():
    # At the null the power is the one-sided level.
    assert auc_power(0.7001, 0.7, 50, 50) == pytest.approx(0.025, abs=0.001)
    single = planned_se(0.8, 0.8, 40, 60, correlation=0) / np.sqrt(2)
    null = planned_se(0.5, 0.5, 40, 60, correlation=0) / np.sqrt(2)
    from scipy.stats import norm

    assert auc_power(0.8, 0.5, 40, 60) == pytest.approx(norm.cdf((0.3 - 1.959964 * null) / single), rel=1e-6)
    needed = images_for_power(0.8, 0.7, 0.2)
    assert auc_power(0.8, 0.7, round(0.2 * needed), needed - round(0.2 * needed)) >= 0.8
    doubled = images_for_power(0.8, 0.7, 0.2, design_effect=2.0)
    assert doubled == pytest.approx(2 * needed, rel=0.02)


def test_precision_of_one_auc_and_design_effect():
    needed = images_for_precision(0.85, 0.05, 0.5)
    se = planned_se(0.85, 0.85, needed // 2, needed - needed // 2, correlation=0) / np.sqrt(2)
    assert 1.959964 * se == pytest.approx(0.05, rel=0.01)
    assert design_effect(3, 0.5) == 2
    for arguments in ((0.5, 0.1), (2, 1.5), (float("nan"), 0.5)):
        with pytest.raises(StatisticsError):
            design_effect(*arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda: images_for_power(0.8, 0.8, 0.5),
        lambda: images_for_power(0.8, 0.7, 0.0),
        lambda: images_for_precision(0.8, 0.0, 0.5),
        lambda: images_for_precision(0.8, 1e-9, 0.5),
        lambda: auc_power(1.0, 0.5, 10, 10),
        lambda: auc_power(0.8, 0.5, 10, 10, design_effect=0.5),
        lambda: sensitivity_at([0, 1], [0, 1], 1.5),
        lambda: partial_auc([0, 1], [0, 1], 1),
    ],
)
def test_what_has_no_answer_is_refused(call):
    with pytest.raises(StatisticsError):
        call()


def test_a_band_of_the_curve_reads_off_every_point():
    labels, values = [0, 0, 1, 0, 1, 1], [1, 2, 3, 4, 5, 6]
    found = sensitivities_at(labels, values, np.array([1.0, 2 / 3, 0.5, 0.0]))
    assert found.tolist() == pytest.approx([2 / 3, 1, 1, 1])


def test_calls_instead_of_probabilities_have_a_calibration_too():
    labels = [1] * 11 + [0] * 19
    calls = [1] * 6 + [0] * 5 + [1] * 8 + [0] * 11
    found = recalibration(labels, calls)
    assert np.isfinite([found.intercept_low, found.intercept, found.intercept_high]).all()
    assert found.intercept_low <= found.intercept <= found.intercept_high
    assert "30 probabilities" in found.notes[0]


def test_sites_that_differ_less_than_their_samples_would_are_pooled_as_one():
    # Below its expectation, the variance between sites is taken as 0, and never as less.
    labels = np.tile([0, 1], 200)
    site = np.repeat(["a", "b", "c", "d"], 100)
    scores = np.tile(labels[:100] + np.random.default_rng(3).normal(size=100), 4)
    found = pooled_auc(labels, scores, site)
    assert found.tau == 0
    assert found.over == pytest.approx(found.within, abs=1e-9)
    assert found.over_low < found.over < found.over_high


@pytest.mark.parametrize(("scores", "auc"), [([1, 2, 3, 4] * 2, 1.0), ([5] * 8, 0.5)])
def test_sites_that_have_no_variance_are_not_certain(scores, auc):
    labels, sites = [0, 0, 1, 1] * 2, ["a"] * 4 + ["b"] * 4
    found = pooled_auc(labels, scores, sites)
    assert (found.within, found.within_se) == (auc, 0)
    # Two sites of two pairs each weigh alike: as one of four pairs.
    assert (found.within_low, found.within_high) == pytest.approx(hoeffding_interval(auc, 4, 0.95))
    assert found.within_high - found.within_low > 0.5
