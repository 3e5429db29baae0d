r"""Several training seeds on one test sample: two sources of variance, separated.

The AUC of seed s on a test sample is, to first order, :math:`\theta + \tau_s + e + \epsilon_s`: the seed's
own effect, the effect of the test sample that all seeds share, and the part of the sample's effect that is
particular to a seed's scores. A table of AUCs over seeds shows only :math:`\operatorname{var}(\tau) +
\operatorname{var}(\epsilon)`; the covariance S of the S curves (DeLong or Obuchowski) shows
:math:`\operatorname{var}(e)` off and :math:`\operatorname{var}(e) + \operatorname{var}(\epsilon)` on its
diagonal. Hence

.. math::

    \widehat{\operatorname{var}}(\tau)
      = \max\bigl(0,\; s^2_{\text{seeds}} - (\overline{S_{ss}} - \overline{S_{st}})\bigr)
    \qquad
    \widehat{\operatorname{var}}(\bar\theta)
      = \frac{1}{n^2}\sum_{s,t} S_{st} + \frac{\widehat{\operatorname{var}}(\tau)}{n}

the first term being the variance of the mean through the test sample and the second that through the seeds.
Adding :math:`s^2_{\text{seeds}}/n` instead would count :math:`\epsilon` twice. The interval adds up squares:
the distance of the mean from its limits through the test sample (Newcombe's, see intervals.py)
and the seeds' part with Student's t on Satterthwaite's degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import components
from cxrbench.statistics.delong import Components
from cxrbench.statistics.differences import Side
from cxrbench.statistics.inputs import FloatArray, as_sample, check_level
from cxrbench.statistics.intervals import newcombe_variance, variance_ratio


@dataclass(frozen=True)
class SeedSpread:
    """The mean AUC of several seeds and where its uncertainty comes from.

    Parameters
    ----------
    aucs: (seed's name, AUC), in the order given.
    mean: mean AUC.
    sd_between_seeds: standard deviation of the AUCs as seen in the table, n - 1 in the denominator.
    var_seeds: variance of one seed's AUC that comes from the seed alone.
    var_sample: variance of the mean that comes from the test sample.
    se: standard error of the mean as an estimate for new seeds and new patients: sqrt(var_sample + var_seeds
        / n).
    ci_low, ci_high: interval of the mean; Hoeffding's bound (see intervals.py) where ``se`` is 0.
    """

    aucs: tuple[tuple[str, float], ...]
    mean: float
    sd_between_seeds: float
    var_seeds: float
    var_sample: float
    se: float
    ci_low: float
    ci_high: float


def across_seeds(
    labels: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> SeedSpread:
    """Return the mean AUC of several seeds of one scheme, with both variances.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: seed's name -> (n,) finite scores on the same test images; at least two seeds.
    groups: (n,) the patient of each image, or None where images are independent.
    level: confidence of the interval.

    Raises
    ------
    StatisticsError: fewer than two seeds, or the input allows no honest number; rows are named.
    """
    tail = (1 - check_level(level)) / 2
    sample = as_sample(labels, scores, groups)
    n = len(sample.names)
    if n < 2:
        raise StatisticsError("the variance between seeds needs at least two seeds")
    parts = components(sample.labels, sample.scores, sample.groups)
    seeds = seed_variance(parts.auc, parts.factor)
    mean_factor = parts.factor.mean(axis=0)
    var_sample = float(mean_factor @ mean_factor)
    variance = var_sample + seeds.own / n
    mean = float(parts.auc.mean())
    ends = mean_side(parts, list(range(n))).limits(tail)
    part = -float(stdtrit(degrees_of_freedom(variance, [seeds]), tail)) * math.sqrt(seeds.own / n)
    low, high = (float(end[0]) for end in ends)
    low, high = max(0.0, mean - math.hypot(mean - low, part)), min(1.0, mean + math.hypot(high - mean, part))
    return SeedSpread(
        tuple(zip(sample.names, parts.auc.tolist(), strict=True)),
        mean,
        math.sqrt(seeds.observed),
        seeds.own,
        var_sample,
        math.sqrt(variance),
        low,
        high,
    )


def mean_side(parts: Components, rows: Sequence[int]) -> Side:
    """Return the mean AUC of some curves with what its limits through the test sample need.

    How far a variance is moderated, and its degrees of freedom, are properties of the sample: the mean takes
    the most careful of its curves'.
    """
    chosen = list(rows)
    m, n = parts.n_positive, parts.n_negative
    ratio, degrees = (values[chosen] for values in variance_ratio(parts))
    varies = parts.se[chosen] > 0
    mean = parts.auc[chosen].mean()
    factor = parts.factor[chosen].mean(axis=0)
    if varies.any():
        of_model = newcombe_variance(parts.auc[chosen], m, n)
        careful = np.max(ratio[varies] * of_model[varies] / parts.se[chosen][varies] ** 2)
        ratio = careful * (factor @ factor) / newcombe_variance(mean, m, n)
    return Side(
        np.array([mean]),
        np.array([np.max(ratio)]),
        np.array([degrees.min()]),
        m,
        n,
        parts.independent_pairs,
        np.array([factor @ factor > 0]),
    )


@dataclass(frozen=True)
class SeedVariance:
    """The variance between the seeds of one scheme on one test sample.

    Parameters
    ----------
    observed: variance of the seeds' AUCs, n - 1 in the denominator.
    own: the part of it that comes from the seeds alone.
    n: number of seeds, at least two.
    """

    observed: float
    own: float
    n: int


def seed_variance(aucs: FloatArray, factor: FloatArray) -> SeedVariance:
    """Return the variance between seeds, and the seeds' own part of it as estimated above.

    Parameters
    ----------
    aucs: (n,) of n >= 2 seeds on one test sample.
    factor: (n, L) factor of their covariance through that sample (see delong.py).
    """
    # Mean of the diagonal minus mean of the rest, as the mean squared distance of the curves' factors from
    # their mean.
    particular = float(np.sum((factor - factor.mean(axis=0)) ** 2)) / (len(aucs) - 1)
    observed = float(np.var(aucs, ddof=1))
    return SeedVariance(observed, max(0.0, observed - particular), len(aucs))


def degrees_of_freedom(variance: float, seeds: Sequence[SeedVariance]) -> float:
    r"""Return Satterthwaite's degrees of freedom; infinite where no seeds have a variance of their own.

    .. math:: \nu = \frac{\text{variance}^2}{\sum_i (s^2_i / n_i)^2 / (n_i - 1)}

    The sum runs over the groups of seeds whose own variance is above 0. Here s^2_i is the variance that was
    observed, not the own part: the own part is s^2_i minus a number known much better, so it is just as
    uncertain. Where the own part is small, the sum alone gives too few degrees of freedom. The result is
    therefore never below the smallest n_i - 1 of these groups, Satterthwaite's own lower bound.

    Parameters
    ----------
    variance: of the estimate; every group's own / n is a part of it.
    seeds: the groups of seeds.
    """
    varying = [part for part in seeds if part.own > 0]
    if not varying:
        return math.inf
    uncertainty = sum((part.observed / part.n) ** 2 / (part.n - 1) for part in varying)
    return max(variance**2 / uncertainty, min(part.n - 1 for part in varying))
