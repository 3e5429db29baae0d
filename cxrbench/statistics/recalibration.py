"""How far probabilities can be trusted: intercept, slope, Spiegelhalter's test, a smooth curve."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtr

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import (
    as_groups,
    as_labels,
    as_probabilities,
    check_classes,
    check_length,
    check_level,
)
from cxrbench.statistics.intervals import normal_quantile

SMALLEST = 1e-6
"""Probabilities nearer to 0 or 1 count as this near: their logit would say that no doubt at all was left."""

CURVE_POINTS = 51


@dataclass(frozen=True)
class Recalibration:
    """A logistic recalibration of predicted probabilities (Cox, Biometrika 45:562-565, 1958).

    Parameters
    ----------
    intercept: calibration in the large: how much the log odds are too low (above 0) or too high, the slope
        held at 1; 0 is right. ``intercept_low`` to ``intercept_high`` is its interval.
    slope: of the log odds; 1 is right, below 1 the probabilities are too extreme. None, with its interval,
        where the classes are separated.
    spiegelhalter_z, spiegelhalter_p: Spiegelhalter's test that all probabilities are right (Statistics in
        Medicine 5:421-433, 1986), two-sided, images counted as independent; None where every probability is
        0, 0.5 or 1.
    curve: (probability, smoothed share of positives) at up to 51 probabilities in ascending order: lowess
        over two thirds of the images.
    notes: what a reader must know.
    """

    intercept: float
    intercept_low: float
    intercept_high: float
    slope: float | None
    slope_low: float | None
    slope_high: float | None
    spiegelhalter_z: float | None
    spiegelhalter_p: float | None
    curve: tuple[tuple[float, float], ...]
    notes: tuple[str, ...] = ()


def recalibration(
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> Recalibration:
    """Return the calibration intercept and slope of probabilities, Spiegelhalter's test and a smooth curve.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    probabilities: (n,) of the positive class, 0 to 1.
    groups: (n,) the patient of each image; given, intercept and slope have standard errors that allow for it.
    level: confidence of the intervals (Wald).

    Raises
    ------
    StatisticsError: a score is not a probability, or the input allows no honest number; rows are named.
    """
    # Imported here: it takes seconds to load.
    import statsmodels.api as sm
    from scipy.optimize import brentq

    check_level(level)
    truth, values = as_labels(labels), as_probabilities(probabilities, "probabilities")
    check_length(values.size, truth.size, "probabilities")
    check_classes(truth)
    patients = None if groups is None else as_groups(groups, truth.size)
    if patients is not None and patients.n_groups < 2:
        raise StatisticsError("calibration: one patient says nothing about its uncertainty")
    notes = []
    bounded = np.clip(values, SMALLEST, 1 - SMALLEST)
    if changed := int(np.count_nonzero(bounded != values)):
        notes.append(f"{changed} probabilities nearer than {SMALLEST:g} to 0 or 1 count as that near")
    odds = logit(bounded)
    robust = {} if patients is None else {"cov_type": "cluster", "cov_kwds": {"groups": patients.codes}}
    y = truth.astype(np.float64)
    z = normal_quantile(level)
    # The one root of the score equation: iterated least squares may run away from a far start.
    root = float(brentq(lambda shift: float(np.sum(y - expit(odds + shift))), -100.0, 100.0))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        large = sm.GLM(y, np.ones((y.size, 1)), family=sm.families.Binomial(), offset=odds)
        error = float(large.fit(start_params=[root], **robust).bse[0])
        fitted = _slope(y, odds, robust)
    slope = slope_low = slope_high = None
    if fitted is None:
        notes.append("no slope: a logistic curve has none to fit, as where the classes are separated")
    else:
        slope, slope_low, slope_high = fitted[0], fitted[0] - z * fitted[1], fitted[0] + z * fitted[1]
    spread = float(np.sqrt(np.sum((1 - 2 * values) ** 2 * values * (1 - values))))
    test = float(np.sum((y - values) * (1 - 2 * values))) / spread if spread > 0 else None
    return Recalibration(
        root,
        root - z * error,
        root + z * error,
        slope,
        slope_low,
        slope_high,
        test,
        None if test is None else float(2 * ndtr(-abs(test))),
        _smooth(y, values),
        tuple(notes),
    )


def _slope(
    y: npt.NDArray[np.float64], odds: npt.NDArray[np.float64], robust: dict[str, Any]
) -> tuple[float, float] | None:
    """Return the slope of the log odds and its standard error; None where there is none to fit."""
    import statsmodels.api as sm

    of_positive, of_negative = odds[y == 1], odds[y == 0]
    if of_positive.min() >= of_negative.max() or of_positive.max() <= of_negative.min():
        return None
    model = sm.GLM(y, sm.add_constant(odds, has_constant="add"), family=sm.families.Binomial())
    try:
        fitted = model.fit(**robust)
    except np.linalg.LinAlgError:
        return None
    slope, error = float(fitted.params[1]), float(fitted.bse[1])
    return (slope, error) if fitted.converged and np.isfinite(slope) and np.isfinite(error) else None


def _smooth(y: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    from statsmodels.nonparametric.smoothers_lowess import lowess

    width = float(np.ptp(values))
    if width == 0:
        return ((float(values[0]), float(y.mean())),)
    # Local fits only every 0.5% of the width, straight lines between them: seconds instead of hours.
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = lowess(y, values, frac=2 / 3, it=0, delta=0.005 * width)
    # Where a neighbourhood holds one probability only there is no line to fit.
    fitted = fitted[np.isfinite(fitted[:, 1])]
    if not len(fitted):
        return ()
    at = np.unique(np.round(np.linspace(0, len(fitted) - 1, CURVE_POINTS)).astype(np.int64))
    return tuple((float(p), float(np.clip(share, 0, 1))) for p, share in fitted[at])
