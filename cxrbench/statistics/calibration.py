"""Average precision, Brier score, expected calibration error and the reliability curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import (
    FAR_APART,
    as_labels,
    as_probabilities,
    as_scores,
    check_classes,
    check_length,
    check_level,
)


@dataclass(frozen=True)
class ReliabilityBin:
    """Images whose predicted probability lies in one interval.

    Parameters
    ----------
    low, high: the interval, [low, high), the last one closed.
    n_images: how many images lie in it.
    mean_score: mean predicted probability; None in an empty bin.
    observed: share of positives, with its Wilson interval ``ci_low`` to ``ci_high``; None in an empty bin.
    """

    low: float
    high: float
    n_images: int
    mean_score: float | None
    observed: float | None
    ci_low: float | None
    ci_high: float | None


@dataclass(frozen=True)
class Calibration:
    """How far predicted probabilities can be taken at their word.

    Parameters
    ----------
    brier: mean squared distance between probability and label.
    expected_calibration_error: mean distance between predicted and observed share over the bins, by images.
    bins: the reliability curve; empty bins are kept.
    """

    brier: float
    expected_calibration_error: float
    bins: tuple[ReliabilityBin, ...]


@FAR_APART
def average_precision(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the average precision: precision averaged over the steps of recall, without interpolation.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    from sklearn.metrics import average_precision_score

    truth, values = as_labels(labels), as_scores(scores)
    check_length(values.size, truth.size, "scores")
    check_classes(truth)
    return float(average_precision_score(truth, values))


def assess_calibration(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, *, bins: int = 10, level: float = 0.95
) -> Calibration:
    """Return the calibration of predicted probabilities, over bins of equal width.

    Expected calibration error after Naeini, Cooper and Hauskrecht (AAAI 2015) and Guo et al. (ICML 2017, eq.
    3), for the probability of the positive class.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    probabilities: (n,) of the positive class, 0 to 1.
    bins: number of bins.
    level: confidence of the bins' Wilson intervals, images counted as independent.

    Raises
    ------
    StatisticsError: a score is not a probability (say, a logit), or the input gives no number; rows are
        named.
    """
    # Imported here: both libraries take seconds to load.
    from sklearn.metrics import brier_score_loss
    from statsmodels.stats.proportion import proportion_confint

    if bins < 1:
        raise StatisticsError(f"bins: at least 1 is needed, not {bins}")
    alpha = 1 - check_level(level)
    truth, values = as_labels(labels), as_probabilities(probabilities, "probabilities")
    check_length(values.size, truth.size, "probabilities")
    check_classes(truth)
    edges = np.arange(bins + 1) / bins  # not linspace, whose 0.3 is 0.30000000000000004
    member = np.minimum(np.searchsorted(edges, values, side="right") - 1, bins - 1)
    sizes = np.bincount(member, minlength=bins)
    totals = np.bincount(member, weights=values, minlength=bins)
    positives = np.bincount(member, weights=truth, minlength=bins)
    rows = []
    for k in range(bins):
        low, high, n = float(edges[k]), float(edges[k + 1]), int(sizes[k])
        if n == 0:
            rows.append(ReliabilityBin(low, high, 0, None, None, None, None))
            continue
        ci_low, ci_high = proportion_confint(int(positives[k]), n, alpha=alpha, method="wilson")
        rows.append(
            ReliabilityBin(
                low, high, n, float(totals[k] / n), float(positives[k] / n), float(ci_low), float(ci_high)
            )
        )
    error = float(np.sum(np.abs(positives - totals)) / values.size)
    return Calibration(float(brier_score_loss(truth, values)), error, tuple(rows))
