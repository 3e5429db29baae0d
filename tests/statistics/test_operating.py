"""Operating points: thresholds from validation, Wilson intervals, McNemar's test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from cxrbench.errors import StatisticsError
from cxrbench.statistics import (
    at_threshold,
    mcnemar_tests,
    operating_points,
    sensitivity_threshold,
    youden_threshold,
)


@pytest.mark.parametrize(
    ("labels", "scores", "threshold"),
    [
        ([0, 0, 1, 1], [1, 2, 3, 4], 3),  # separated
        ([0, 0, 1, 0, 1, 1], [1, 2, 3, 4, 5, 6], 3),  # 3 and 5 are equally good: 3 has the higher sensitivity
        ([0, 1, 0, 1], [2, 2, 2, 2], 2),  # no skill
        ([0, 0, 0, 1, 1], [1, 1, 2, 2, 3], 2),  # a tie between the classes
        ([0] * 9 + [1], [*range(9), 8], 8),
    ],
)
def test_youden_threshold(labels, scores, threshold):
    assert youden_threshold(labels, scores) == threshold


def test_youden_threshold_is_the_best_of_all():
    rng = np.random.default_rng(1)
    labels = rng.random(200) < 0.3
    scores = np.round(rng.normal(size=200) + labels, 1)
    gains = {t: (scores[labels] >= t).mean() - (scores[~labels] >= t).mean() for t in np.unique(scores)}
    assert gains[youden_threshold(labels, scores)] == pytest.approx(max(gains.values()), abs=1e-15)


@pytest.mark.parametrize(
    ("sensitivity", "threshold"),
    [(0.90, 3), (0.95, 2), (0.951, 1), (1.0, 1), (0.05, 20), (0.0501, 19), (1e-10, 20)],
)
def test_fixed_sensitivity_is_reached_by_the_highest_score_that_does(sensitivity, threshold):
    labels = [1] * 20 + [0] * 5
    scores = [*range(1, 21), *range(5)]
    assert sensitivity_threshold(labels, scores, sensitivity) == threshold


def test_fixed_sensitivity_counts_whole_images_whatever_the_last_bit():
    # 0.07 * 100 is 7.000000000000001 in floating point and 7 images in truth.
    labels = [1] * 100 + [0]
    assert sensitivity_threshold(labels, [*range(100), 0], 0.07) == 93


@pytest.mark.parametrize("sensitivity", [0, 1.1, float("nan")])
def test_a_sensitivity_that_is_none_is_refused(sensitivity):
    with pytest.raises(StatisticsError, match="sensitivity: must be above 0 and at most 1"):
        sensitivity_threshold([0, 1], [0, 1], sensitivity)


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombe(right, n, low, high):
    """Newcombe, Statistics in Medicine 17:857-872 (1998), table I, method 3."""
    labels = [1] * n + [0]
    scores = [1] * right + [0] * (n - right) + [0]
    found = at_threshold(labels, scores, 1).sensitivity
    assert (found.count, found.n, found.n_effective, found.value) == (right, n, n, right / n)
    assert (round(found.ci_low, 4), round(found.ci_high, 4)) == (low, high)


def test_an_image_at_the_threshold_is_called_positive():
    found = at_threshold([1, 1, 0, 0], [2, 1, 2, 1], 2)
    assert (found.sensitivity.value, found.specificity.value, found.threshold) == (0.5, 0.5, 2.0)


def test_operating_points_choose_on_validation_and_measure_on_test():
    validation = [0] * 10 + [1] * 10, [*range(10), *range(5, 15)]
    test = [0, 0, 0, 1, 1, 1], [4, 6, 9, 5, 10, 12]
    youden, ninety, ninety_five = operating_points(*validation, *test)
    assert [point.rule for point in (youden, ninety, ninety_five)] == [
        "youden",
        "sensitivity 0.90",
        "sensitivity 0.95",
    ]
    assert (youden.threshold, ninety.threshold, ninety_five.threshold) == (5, 6, 5)
    assert (youden.sensitivity.value, youden.specificity.value) == (1, pytest.approx(1 / 3))
    assert (ninety.sensitivity.count, ninety.specificity.count) == (2, 1)


def test_correlated_images_widen_the_wilson_interval():
    rng = np.random.default_rng(2)
    labels = np.repeat(rng.random(100) < 0.5, 4)
    scores = np.repeat(rng.normal(size=100), 4) + labels
    alone = at_threshold(labels, scores, 0.5)
    grouped = at_threshold(labels, scores, 0.5, np.repeat(np.arange(100), 4))
    assert grouped.sensitivity.value == alone.sensitivity.value
    # Four copies of each image count as one.
    patients = labels[::4].sum()
    assert grouped.sensitivity.n_effective == pytest.approx(patients, rel=0.03)
    assert grouped.sensitivity.ci_low < alone.sensitivity.ci_low


def test_one_image_a_patient_gives_the_plain_wilson_interval():
    labels, scores = [1] * 30 + [0] * 20, [*range(30), *range(20)]
    plain, grouped = at_threshold(labels, scores, 7), at_threshold(labels, scores, 7, range(50))
    assert grouped.sensitivity.n_effective == pytest.approx(30, rel=1e-12)
    assert grouped.specificity.ci_high == pytest.approx(plain.specificity.ci_high, rel=1e-12)


def test_a_proportion_of_one_counts_patients_not_images():
    labels, scores, patients = (
        [1] * 12 + [0] * 4,
        [5] * 12 + [0] * 4,
        [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0, 1, 2, 3],
    )
    found = at_threshold(labels, scores, 1, patients).sensitivity
    assert (found.value, found.n, found.n_effective, found.ci_high) == (1.0, 12, 4.0, 1.0)


def test_mcnemar_by_hand():
    # 10 and 2 discordant of 20 positives: 2 (1 + 12 + 66) / 4096; no discordant negative.
    labels = [1] * 20 + [0] * 5
    a = [1] * 10 + [0] * 2 + [1] * 8 + [0] * 5
    b = [0] * 10 + [1] * 2 + [1] * 8 + [0] * 5
    sensitivity, specificity = mcnemar_tests(labels, a, b)
    assert (sensitivity.only_a_right, sensitivity.only_b_right) == (10, 2)
    assert sensitivity.p_value == pytest.approx(158 / 4096)
    assert (specificity.only_a_right, specificity.only_b_right, specificity.p_value) == (0, 0, 1.0)


def test_mcnemar_of_specificity_counts_negative_calls_as_right():
    _, specificity = mcnemar_tests([1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0])
    assert (specificity.only_a_right, specificity.only_b_right, specificity.p_value) == (2, 0, 0.5)


def test_clustered_mcnemar_by_hand():
    # Patients' differences 3, 1, -1: (2/3) 3^2 / 11.
    labels = [1] * 5 + [0] * 2
    a, b = [1, 1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]
    sensitivity, specificity = mcnemar_tests(labels, a, b, ["p", "p", "p", "q", "r", "p", "q"])
    assert sensitivity.p_value == pytest.approx(chi2.sf(6 / 11, 1))
    assert specificity.p_value == 1.0


def test_clustered_mcnemar_sees_through_repeated_images():
    rng = np.random.default_rng(3)
    labels = np.array([1] * 40 + [0] * 2)
    a = rng.random(42) < 0.7
    b = rng.random(42) < 0.5
    repeated = [np.repeat(values, 6) for values in (labels, a, b)]
    once = mcnemar_tests(labels, a, b, np.arange(42))[0].p_value
    clustered = mcnemar_tests(*repeated, np.repeat(np.arange(42), 6))[0].p_value
    assert clustered == pytest.approx(once, rel=1e-12)
    assert mcnemar_tests(*repeated)[0].p_value < clustered / 10


def test_calls_must_be_calls():
    with pytest.raises(StatisticsError, match=r"calls_b: must be 0 or 1, found 0\.5 in row 1"):
        mcnemar_tests([0, 1], [0, 1], [0, 0.5])
    with pytest.raises(StatisticsError, match="calls_a: 3 values for 2 labels"):
        mcnemar_tests([0, 1], [0, 1, 1], [0, 1])


def test_a_threshold_that_is_no_number_is_refused():
    with pytest.raises(StatisticsError, match="threshold: must be a number"):
        at_threshold([0, 1], [0.1, 0.9], float("nan"))
