"""Parts of the ROC curve: sensitivity at a fixed specificity, and the area over high specificities."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import (
    FAR_APART,
    FloatArray,
    as_labels,
    as_scores,
    check_classes,
    check_length,
)

_ROUNDING = 1e-12
"""1 - 0.9 is not the 0.1 of ten in a hundred."""


def sensitivity_at(labels: npt.ArrayLike, scores: npt.ArrayLike, specificity: float) -> float:
    """Return the sensitivity of the empirical ROC curve at a specificity, straight lines between its points.

    Where the curve rises at that very specificity, the highest sensitivity. It is read off the test images'
    own curve, so no threshold goes with it that could be used elsewhere: for that see
    :func:`~cxrbench.statistics.operating_points`.

    Raises
    ------
    StatisticsError: the specificity does not lie from 0 to 1, or the input allows no honest number.
    """
    _check(specificity)
    false, true = roc(labels, scores)
    return float(_read_off(false, true, np.array([1 - specificity]))[0])


def partial_auc(labels: npt.ArrayLike, scores: npt.ArrayLike, specificity: float) -> float:
    """Return the area under the ROC curve over specificities from ``specificity`` to 1, divided by its width.

    So it is the mean sensitivity there: from (1 - specificity) / 2 for a curve on the diagonal to 1. pROC's
    ``partial.auc`` is this times (1 - specificity).

    Raises
    ------
    StatisticsError: the specificity does not lie from 0 to below 1, or the input allows no honest number.
    """
    _check(specificity)
    if specificity == 1:
        raise StatisticsError("specificity: a part of the curve that begins at 1 has no width")
    false, true = roc(labels, scores)
    width = 1 - specificity
    inside = false <= width + _ROUNDING
    end = _read_off(false, true, np.array([width]))
    rates = np.minimum(np.append(false[inside], width), width)
    # Not roc_auc_score, which takes three times as long, and a bootstrap asks thousands of times.
    return float(np.trapezoid(np.append(true[inside], end), rates) / width)


def area(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the AUC alone, for a bootstrap."""
    false, true = roc(labels, scores)
    return float(np.trapezoid(true, false))


@FAR_APART
def roc(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return the points (false positive rate, sensitivity) of the empirical ROC curve, both ascending."""
    from sklearn.metrics import roc_curve

    truth, values = _one_curve(labels, scores)
    false, true, _ = roc_curve(truth, values, drop_intermediate=False)
    return np.asarray(false, dtype=np.float64), np.asarray(true, dtype=np.float64)


def sensitivities_at(labels: npt.ArrayLike, scores: npt.ArrayLike, specificities: FloatArray) -> FloatArray:
    """Return :func:`sensitivity_at` for several specificities (m,)."""
    return _read_off(*roc(labels, scores), 1 - specificities)


def _read_off(false: FloatArray, true: FloatArray, at: FloatArray) -> FloatArray:
    at = np.clip(at, 0.0, 1.0) + _ROUNDING
    left = np.searchsorted(false, at, side="right") - 1
    right = np.minimum(left + 1, false.size - 1)
    width = false[right] - false[left]
    part = np.divide(at - false[left], width, out=np.zeros_like(at), where=width > 0)
    found: FloatArray = true[left] + np.clip(part, 0, 1) * (true[right] - true[left])
    return found


def _one_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[npt.NDArray[np.bool_], FloatArray]:
    truth, values = as_labels(labels), as_scores(scores)
    check_length(values.size, truth.size, "scores")
    check_classes(truth)
    return truth, values


def _check(specificity: float) -> None:
    if not 0 <= specificity <= 1:
        raise StatisticsError(f"specificity: must lie from 0 to 1, not {specificity:g}")
