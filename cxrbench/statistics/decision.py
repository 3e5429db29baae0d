r"""Net benefit: is acting on a classifier's probabilities better than treating everybody, or nobody?

Vickers and Elkin (Medical Decision Making 26:565-574, 2006). Who acts from a probability of t on holds one
missed positive as bad as (1 - t) / t needless actions:

.. math:: \mathrm{NB}(t) = \frac{TP}{n} - \frac{FP}{n} \frac{t}{1-t}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import (
    BoolArray,
    FloatArray,
    Groups,
    as_groups,
    as_labels,
    as_probabilities,
    check_classes,
    check_length,
)
from cxrbench.statistics.intervals import normal_quantile


@dataclass(frozen=True)
class NetBenefit:
    """Net benefit at one threshold, in true positives per image.

    Parameters
    ----------
    threshold: the probability from which on one acts.
    model: net benefit of acting on the classifier, with its interval ``ci_low`` to ``ci_high``.
    everybody: of acting on all; acting on nobody has net benefit 0.
    gain: of the classifier over the better of the two.
    """

    threshold: float
    model: float
    se: float
    ci_low: float
    ci_high: float
    everybody: float
    gain: float


@dataclass(frozen=True)
class NetBenefitDifference:
    """The difference of two classifiers' net benefits on the same images, with its paired test."""

    threshold: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float | None


def net_benefit(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    thresholds: Sequence[float],
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> tuple[NetBenefit, ...]:
    """Return the decision curve at some thresholds: net benefit is a mean over images, with its interval.

    The share of positives is that of the images given: net benefit means something for a sample that is
    mixed as the patients are.

    Raises
    ------
    StatisticsError: a score is not a probability, a threshold does not lie strictly between 0 and 1, or the
        input allows no honest number.
    """
    truth, values, patients = _checked(labels, probabilities, groups)
    z = normal_quantile(level)
    rows = []
    for threshold in thresholds:
        worth = _worth(truth, values >= _check(threshold), threshold)
        mean, se = float(worth.mean()), _standard_error(worth, patients)
        everybody = float(_worth(truth, np.ones_like(truth), threshold).mean())
        rows.append(
            NetBenefit(
                threshold, mean, se, mean - z * se, mean + z * se, everybody, mean - max(everybody, 0.0)
            )
        )
    return tuple(rows)


def net_benefit_difference(
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    threshold: float,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> NetBenefitDifference:
    """Return the net benefit of a minus that of b at a threshold; errors as :func:`net_benefit`."""
    truth, first, patients = _checked(labels, a, groups)
    _, second, _ = _checked(labels, b, groups)
    _check(threshold)
    worth = _worth(truth, first >= threshold, threshold) - _worth(truth, second >= threshold, threshold)
    mean, se, z = float(worth.mean()), _standard_error(worth, patients), normal_quantile(level)
    p = float(2 * ndtr(-abs(mean) / se)) if se > 0 else 1.0 if mean == 0 else None
    return NetBenefitDifference(threshold, mean, se, mean - z * se, mean + z * se, p)


def _checked(
    labels: npt.ArrayLike, probabilities: npt.ArrayLike, groups: npt.ArrayLike | None
) -> tuple[BoolArray, FloatArray, Groups | None]:
    truth, values = as_labels(labels), as_probabilities(probabilities, "probabilities")
    check_length(values.size, truth.size, "probabilities")
    check_classes(truth)
    return truth, values, None if groups is None else as_groups(groups, truth.size)


def _worth(truth: BoolArray, called: BoolArray, threshold: float) -> FloatArray:
    return np.where(called, np.where(truth, 1.0, -threshold / (1 - threshold)), 0.0)


def _standard_error(worth: FloatArray, patients: Groups | None) -> float:
    """Return the standard error of the mean, of sums by patient where these are given."""
    n = worth.size
    deviations: FloatArray = worth - worth.mean()
    if patients is not None:
        deviations = _by_patient(deviations, patients)
    k = deviations.size
    if k < 2:
        raise StatisticsError("net benefit: one patient says nothing about its uncertainty")
    return float(np.sqrt(k / (k - 1) * np.sum(deviations**2)) / n)


def _by_patient(values: FloatArray, patients: Groups) -> FloatArray:
    sums = np.bincount(patients.codes, weights=values, minlength=patients.n_groups)
    return np.asarray(sums, dtype=np.float64)


def _check(threshold: float) -> float:
    if not 0 < threshold < 1:
        raise StatisticsError(f"threshold: must lie strictly between 0 and 1, not {threshold:g}")
    return threshold
