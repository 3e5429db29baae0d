"""Average precision, Brier score, expected calibration error and the reliability curve, by hand."""

from __future__ import annotations

import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import assess_calibration, average_precision

LABELS = [0, 0, 1, 1]
PROBABILITIES = [0.1, 0.4, 0.35, 0.8]


def test_average_precision_by_hand():
    # Recall 1/2 at precision 1, then recall 1 at precision 2/3.
    assert average_precision(LABELS, PROBABILITIES) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_average_precision_takes_any_scores():
    assert average_precision(LABELS, [-3, 0, -1, 7]) == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_brier_score_by_hand():
    assert assess_calibration(LABELS, PROBABILITIES).brier == pytest.approx((0.01 + 0.16 + 0.4225 + 0.04) / 4)


def test_reliability_curve_by_hand():
    found = assess_calibration(LABELS, PROBABILITIES, bins=2)
    low, high = found.bins
    assert (low.low, low.high, low.n_images) == (0, 0.5, 3)
    assert (low.mean_score, low.observed) == (pytest.approx(0.85 / 3), pytest.approx(1 / 3))
    assert (round(low.ci_low, 4), round(low.ci_high, 4)) == (0.0615, 0.7923)
    assert (high.n_images, high.mean_score, high.observed) == (1, 0.8, 1)
    # 3/4 |1/3 - 0.85/3| + 1/4 |1 - 0.8|
    assert found.expected_calibration_error == pytest.approx(0.15 / 4 + 0.05)


def test_empty_bins_are_kept():
    bins = assess_calibration(LABELS, [0.05, 0.05, 0.95, 0.95]).bins
    assert len(bins) == 10
    assert [one.n_images for one in bins] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert (bins[4].mean_score, bins[4].observed, bins[4].ci_low) == (None, None, None)


def test_a_probability_on_an_edge_belongs_to_the_bin_above_and_one_to_the_last():
    bins = assess_calibration(LABELS, [0.0, 0.3, 0.7, 1.0]).bins
    assert [k for k, one in enumerate(bins) if one.n_images] == [0, 3, 7, 9]


def test_perfect_calibration_has_no_error():
    found = assess_calibration([0, 1] * 50, [0.5] * 100)
    assert (found.expected_calibration_error, found.brier) == (0.0, 0.25)


@pytest.mark.parametrize(
    ("labels", "scores", "options", "message"),
    [
        (LABELS, [-1, 0.2, 0.3, 2.5], {}, "must be probabilities between 0 and 1, found -1 in rows 0, 3"),
        (LABELS, [0.1, 0.2, 0.3], {}, "probabilities: 3 values for 4 labels"),
        ([1, 1, 1, 1], PROBABILITIES, {}, "none is negative"),
        (LABELS, PROBABILITIES, {"bins": 0}, "bins: at least 1"),
        (LABELS, PROBABILITIES, {"level": 2}, "level: must lie between"),
    ],
)
def test_what_has_no_calibration_is_refused(labels, scores, options, message):
    with pytest.raises(StatisticsError, match=message):
        assess_calibration(labels, scores, **options)
