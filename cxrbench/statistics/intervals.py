r"""Confidence intervals for an AUC and for a difference of AUCs.

*Wald*: estimate ± z SE. The default for a difference, which is nearly normal.

*Logit*: :math:`\operatorname{expit}(\operatorname{logit}\hat\theta \pm
z\,\mathrm{SE}/(\hat\theta(1-\hat\theta)))` (Pepe, The Statistical Evaluation of Medical Tests, 2003, section
5.2). The default for one AUC: it stays within 0 and 1 and keeps its coverage at high AUCs and small samples,
where Wald falls short.

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
from typing import Literal, get_args

import numpy as np
from scipy.special import expit, logit, ndtri, rel_entr

from cxrbench.errors import StatisticsError
from cxrbench.statistics.delong import Components
from cxrbench.statistics.inputs import FloatArray, check_level

IntervalMethod = Literal["logit", "wald"]


def normal_quantile(level: float) -> float:
    """Return the z of a two-sided normal interval: 1.96 for level 0.95."""
    return float(ndtri(0.5 + check_level(level) / 2))


def wald_interval(
    estimate: FloatArray, se: FloatArray, level: float, bounds: tuple[float, float]
) -> tuple[FloatArray, FloatArray]:
    """Return estimate ± z SE, cut off at ``bounds``; arrays of one shape."""
    margin = normal_quantile(level) * se
    return np.maximum(estimate - margin, bounds[0]), np.minimum(estimate + margin, bounds[1])


def logit_interval(auc: FloatArray, se: FloatArray, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the interval made on the logit scale; every ``auc`` strictly between 0 and 1."""
    centre = logit(auc)
    margin = normal_quantile(level) * se / (auc * (1 - auc))
    return expit(centre - margin), expit(centre + margin)


def hoeffding_interval(mean: float, pairs: int, level: float) -> tuple[float, float]:
    """Return the interval for a U-statistic with values in [0, 1] from ``pairs`` independent pairs.

    Parameters
    ----------
    mean: the statistic, in [0, 1].
    pairs: k above, at least 1.
    level: confidence, such as 0.95.
    """
    tail = (1 - check_level(level)) / 2
    return _lower_bound(mean, pairs, tail), 1 - _lower_bound(1 - mean, pairs, tail)


def hoeffding_tail(mean: float, expected: float, pairs: int) -> float:
    """Return the bound on P(statistic >= mean) where its expectation is ``expected``."""
    if mean <= expected:
        return 1.0
    return float(np.exp(-pairs * _kl(mean, expected)))


def auc_intervals(
    sample: Components, level: float = 0.95, method: IntervalMethod = "logit"
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper ends, each (K,), of the intervals of the K AUCs of a sample.

    Where a variance is zero the interval is :func:`hoeffding_interval`, whatever the method.

    Raises
    ------
    StatisticsError: an unknown method or a level outside 0 and 1.
    """
    if method not in get_args(IntervalMethod):
        raise StatisticsError(
            f"interval: must be one of {', '.join(get_args(IntervalMethod))}, not {method!r}"
        )
    auc, se = sample.auc, sample.se
    low, high = np.empty_like(auc), np.empty_like(auc)
    varies = se > 0
    if method == "logit":
        low[varies], high[varies] = logit_interval(auc[varies], se[varies], level)
    else:
        low[varies], high[varies] = wald_interval(auc[varies], se[varies], level, (0.0, 1.0))
    fixed = {
        value: hoeffding_interval(value, sample.independent_pairs, level)
        for value in set(auc[~varies].tolist())
    }
    for curve in np.flatnonzero(~varies):
        low[curve], high[curve] = fixed[float(auc[curve])]
    return low, high


def _kl(observed: float, expected: float) -> float:
    return float(rel_entr(observed, expected) + rel_entr(1 - observed, 1 - expected))


def _lower_bound(mean: float, pairs: int, tail: float) -> float:
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
