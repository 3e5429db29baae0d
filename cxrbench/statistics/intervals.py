r"""Confidence limits of one AUC, and what replaces them where the variance is zero.

*Newcombe* (the default): method 5 of Newcombe (Statistics in Medicine 25:559-573, 2006), the AUCs θ with

.. math::

    |\hat\theta - \theta| \le t \sqrt{\rho\, V(\theta)} \qquad
    V(\theta) = \frac{\theta(1-\theta)}{MN} \Bigl(1 + N^* \Bigl(\frac{1-\theta}{2-\theta}
      + \frac{\theta}{1+\theta}\Bigr)\Bigr) \qquad N^* = \frac{M+N}{2} - 1

V is the variance of exponential scores. Other scores, and images of one patient, have another variance, which
the sample shows the better the larger it is: :math:`\rho` is the sample's variance over V, moderated (Smyth,
Statistical Applications in Genetics and Molecular Biology 3:3, 2004),

.. math::

    \rho = \frac{\hat V}{\hat V_{\text{images}}} \max\Bigl(
      \frac{d\,\hat V_{\text{images}} / V(\hat\theta) + 8}{d + 8},\ \frac{120}{d + 120}\Bigr)

with :math:`\hat V` DeLong's or Obuchowski's variance on d degrees of freedom, and :math:`\hat
V_{\text{images}}` DeLong's. A sample in which the AUC came out too high shows too small a variance: only with
many images may the interval be much narrower than V makes it. t is Student's quantile on d + 8 degrees of
freedom, or on d where images share patients, on which the model says nothing. The constants were chosen by
simulation (docs/statistics.md) and play no part in large samples.

*Logit*: :math:`\operatorname{expit}(\operatorname{logit}\hat\theta \pm
z\,\mathrm{SE}/(\hat\theta(1-\hat\theta)))` (Pepe, The Statistical Evaluation of Medical Tests, 2003, section
5.2), and *Wald*: estimate ± z SE, cut off at 0 and 1. They are right in large samples, give the numbers of
other programs, and fall short in small ones (docs/statistics.md).

*Zero variance*: perfect separation, or scores that are all equal, give SE 0, and an interval of no width
would claim certainty from any handful of images. There the interval is the bound of Hoeffding (JASA 58:13-30,
1963, section 5) for a two-sample U-statistic, which rests on the k disjoint pairs of a positive and a
negative image:

.. math::

    P(\hat\theta \ge t) \le e^{-k\,\mathrm{KL}(t \,\|\, \theta)} \text{ for } t > \theta, \qquad
    \mathrm{KL}(t \,\|\, \theta) = t \ln\tfrac{t}{\theta} + (1-t) \ln\tfrac{1-t}{1-\theta}

The interval holds every θ that this does not make rarer than (1 - level)/2. For an AUC of exactly 1 it runs
from :math:`((1-\text{level})/2)^{1/k}` to 1, the Clopper-Pearson interval of k successes in k trials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, ndtri, rel_entr, stdtrit

from cxrbench.errors import StatisticsError
from cxrbench.statistics.delong import Components
from cxrbench.statistics.inputs import FloatArray, check_level

IntervalMethod = Literal["newcombe", "logit", "wald"]

MODEL_DEGREES = 8.0
"""Degrees of freedom that the variance of exponential scores counts for in rho above."""

FLOOR_DEGREES = 120.0
"""Degrees of freedom at which the sample may halve the variance of exponential scores."""


def normal_quantile(level: float) -> float:
    """Return the z of a two-sided normal interval: 1.96 for level 0.95."""
    return float(ndtri(0.5 + check_level(level) / 2))


def check_interval(method: str) -> None:
    """Refuse an unknown kind of interval.

    Raises
    ------
    StatisticsError: ``method`` is none of :data:`IntervalMethod`.
    """
    if method not in get_args(IntervalMethod):
        raise StatisticsError(
            f"interval: must be one of {', '.join(get_args(IntervalMethod))}, not {method!r}"
        )


def wald_interval(
    estimate: FloatArray, se: FloatArray, level: float, bounds: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return estimate ± z SE, cut off at ``bounds``; arrays of one shape."""
    margin = normal_quantile(level) * se
    return np.maximum(estimate - margin, bounds[0]), np.minimum(estimate + margin, bounds[1])


def logit_interval(
    auc: FloatArray, se: FloatArray, quantile: FloatArray | float
) -> tuple[FloatArray, FloatArray]:
    """Return the interval made on the logit scale; every ``auc`` strictly between 0 and 1."""
    centre = logit(auc)
    margin = quantile * se / (auc * (1 - auc))
    return expit(centre - margin), expit(centre + margin)


def hanley_mcneil_variance(auc: FloatArray | float, positives: int, negatives: int) -> FloatArray:
    r"""Return the variance of AUCs with exponential scores (Hanley and McNeil, Radiology 143:29-36, 1982).

    .. math::

        \frac{\theta(1-\theta) + (M-1)(Q_1-\theta^2) + (N-1)(Q_2-\theta^2)}{MN}
        \qquad Q_1 = \frac{\theta}{2-\theta} \quad Q_2 = \frac{2\theta^2}{1+\theta}
    """
    return _exponential_variance(auc, positives - 1, negatives - 1) / (positives * negatives)


def newcombe_variance(auc: FloatArray | float, positives: int, negatives: int) -> FloatArray:
    """Return V of method 5 above: Hanley and McNeil's with the mean number of images in both places."""
    others = (positives + negatives) / 2 - 1
    return _exponential_variance(auc, others, others) / (positives * negatives)


def _exponential_variance(auc: FloatArray | float, positives: float, negatives: float) -> FloatArray:
    value = np.asarray(auc, dtype=np.float64)
    # Q1 - theta^2 and Q2 - theta^2, without cancellation.
    first, second = (1 - value) / (2 - value), value / (1 + value)
    variance: FloatArray = value * (1 - value) * (1 + positives * first + negatives * second)
    return variance


def variance_ratio(sample: Components) -> tuple[FloatArray, FloatArray]:
    """Return rho above (K,), and the degrees of freedom (K,) of its t."""
    cells = sample.n_positive * sample.n_negative
    auc = np.clip(sample.auc, 0.5 / cells, 1 - 0.5 / cells)
    own, images, degrees = sample.se**2, sample.image_variance, sample.degrees
    of_model = images / newcombe_variance(auc, sample.n_positive, sample.n_negative)
    shrunk = (degrees * of_model + MODEL_DEGREES) / (degrees + MODEL_DEGREES)
    floor = FLOOR_DEGREES / (degrees + FLOOR_DEGREES)
    of_patients = np.divide(own, images, out=np.ones_like(images), where=images > 0)
    independent = np.isclose(own, images, rtol=1e-9, atol=0.0)
    return of_patients * np.maximum(shrunk, floor), degrees + np.where(independent, MODEL_DEGREES, 0.0)


def newcombe_limits(
    auc: FloatArray, positives: int, negatives: int, reach: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the limits (K,) of method 5, the furthest θ with (auc - θ)² <= ``reach`` V(θ)."""

    def outside(value: FloatArray) -> npt.NDArray[np.bool_]:
        return (auc - value) ** 2 > reach * newcombe_variance(value, positives, negatives)

    return furthest(outside, auc, (0.0, 1.0))


def furthest(
    outside: Callable[[FloatArray], npt.NDArray[np.bool_]], inside: FloatArray, bounds: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper ends (K,) of intervals that hold ``inside`` (K,) and lie within ``bounds``.

    ``outside``: values (2, K) -> which lie outside. Both ends are looked for at once.
    """
    far, near = np.repeat([bounds], inside.size, axis=0).T, np.stack([inside, inside])
    for _ in range(60):
        middle = (far + near) / 2
        excluded = outside(middle)
        far, near = np.where(excluded, middle, far), np.where(excluded, near, middle)
    low, high = near
    return low, high


def hoeffding_interval(mean: float, pairs: int, level: float) -> tuple[float, float]:
    """Return the interval for a U-statistic with values in [0, 1] from ``pairs`` independent pairs.

    Parameters
    ----------
    mean: the statistic, in [0, 1].
    pairs: k above, at least 1.
    level: confidence, such as 0.95.
    """
    tail = (1 - check_level(level)) / 2
    return hoeffding_lower(mean, pairs, tail), 1 - hoeffding_lower(1 - mean, pairs, tail)


def hoeffding_tail(mean: float, expected: float, pairs: int) -> float:
    """Return the bound on P(statistic >= mean) where its expectation is ``expected``."""
    return math.exp(log_hoeffding_tail(mean, expected, pairs))


def log_hoeffding_tail(mean: float, expected: float, pairs: int) -> float:
    """Return the natural logarithm of :func:`hoeffding_tail`, also where that is too small for a float64."""
    return 0.0 if mean <= expected else -pairs * _kl(mean, expected)


def auc_intervals(
    sample: Components, level: float = 0.95, method: IntervalMethod = "newcombe"
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper ends, each (K,), of the intervals of the K AUCs of a sample.

    Where a variance is zero the interval is :func:`hoeffding_interval`, whatever the method.

    Raises
    ------
    StatisticsError: an unknown method or a level outside 0 and 1.
    """
    check_interval(method)
    check_level(level)
    auc, se = sample.auc, sample.se
    varies = se > 0
    if method == "newcombe":
        ratio, degrees = variance_ratio(sample)
        reach = ratio * np.asarray(stdtrit(degrees, 0.5 + level / 2)) ** 2
        low, high = newcombe_limits(auc, sample.n_positive, sample.n_negative, reach)
    else:
        low, high = np.empty_like(auc), np.empty_like(auc)
        low[varies], high[varies] = (
            logit_interval(auc[varies], se[varies], normal_quantile(level))
            if method == "logit"
            else wald_interval(auc[varies], se[varies], level, (0.0, 1.0))
        )
    fixed = {
        value: hoeffding_interval(value, sample.independent_pairs, level)
        for value in set(auc[~varies].tolist())
    }
    for curve in np.flatnonzero(~varies):
        low[curve], high[curve] = fixed[float(auc[curve])]
    return low, high


def hoeffding_lower(mean: float, pairs: int, tail: float) -> float:
    """Return the smallest expectation under which a mean this high has a bound of at least ``tail``."""
    if mean == 0:
        return 0.0
    if mean == 1:
        return float(tail ** (1 / pairs))
    from scipy.optimize import brentq

    def excess(log_expected: float) -> float:
        return _kl(mean, math.exp(log_expected)) + math.log(tail) / pairs

    # On the log scale, since the bound may be many powers of ten below the mean.
    smallest = float(np.log(np.finfo(np.float64).tiny))
    if excess(smallest) <= 0:
        return 0.0
    return float(np.exp(brentq(excess, smallest, np.log(mean), xtol=1e-12)))


def _kl(observed: float, expected: float) -> float:
    return float(rel_entr(observed, expected) + rel_entr(1 - observed, 1 - expected))
