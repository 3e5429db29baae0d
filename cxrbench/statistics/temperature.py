"""Temperature scaling: one number that makes a network's probabilities mean what they say.

Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", ICML 2017: log odds are divided
by one temperature, fitted on validation images. The order of the scores, and so every AUC, stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit, logit

from cxrbench.statistics.inputs import as_labels, as_probabilities, check_classes, check_length

BOUNDS = (0.05, 20.0)
"""Where a temperature is looked for. Separated classes have their best one at 0, and scores that say nothing
at infinity; neither is one to calibrate by."""

_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class FittedTemperature:
    """A temperature, and the mean log loss (natural) of the probabilities before and after it."""

    temperature: float
    loss_before: float
    loss_after: float


def fit_temperature(labels: npt.ArrayLike, probabilities: npt.ArrayLike) -> FittedTemperature:
    """Return the temperature within :data:`BOUNDS` of the least log loss.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    probabilities: (n,) of the positive class, 0 to 1.

    Raises
    ------
    StatisticsError: a score is not a probability, or there is one class only.
    """
    truth, values = as_labels(labels), as_probabilities(probabilities, "probabilities")
    check_length(values.size, truth.size, "probabilities")
    check_classes(truth)
    # Of the label that is right: its log odds.
    odds = np.where(truth, 1.0, -1.0) * _log_odds(values)

    def loss(temperature: float) -> float:
        return float(-np.mean(log_expit(odds / temperature)))

    # In 1 / temperature the loss is convex, so that in its logarithm there is one minimum as well.
    found = minimize_scalar(
        lambda logarithm: loss(np.exp(logarithm)),
        bounds=tuple(np.log(BOUNDS)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    best = min((float(np.exp(found.x)), *BOUNDS), key=loss)
    return FittedTemperature(best, loss(1.0), loss(best))


def at_temperature(probabilities: npt.ArrayLike, temperature: float) -> npt.NDArray[np.float64]:
    """Return ``probabilities`` (n,) with their log odds divided by ``temperature``, (n,)."""
    scaled: npt.NDArray[np.float64] = expit(_log_odds(np.asarray(probabilities, np.float64)) / temperature)
    return scaled


def _log_odds(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the log odds, finite also where float64 holds a probability as 0 or 1."""
    bounded = np.clip(probabilities, _TINY, 1 - np.finfo(np.float64).epsneg)
    odds: npt.NDArray[np.float64] = logit(bounded)
    return odds
