r"""Confidence limits and tests of a difference of two AUCs, or of two means of AUCs.

*The limits*, from which every verdict is made, are those of a score test, as Newcombe's limits of one AUC are
(intervals.py): the differences :math:`\delta` that the sample does not contradict when the variance is taken
as it would be if :math:`\delta` were true. (For two proportions: Farrington and Manning, Statistics in
Medicine 9:1447-1454, 1990; Tango, Statistics in Medicine 17:891-908, 1998.)

.. math::

    |\hat\theta_a - \hat\theta_b - \delta| \le t \sqrt{W(\delta)} \qquad
    W(\delta) = v_a + v_b - 2 r \tfrac{d}{d + 1/5} \sqrt{v_a v_b} \qquad
    v_a = \rho_a V(\mu + \tfrac{\delta}{2}),\ v_b = \rho_b V(\mu - \tfrac{\delta}{2})

with V and :math:`\rho` of intervals.py, r the correlation of correlation.py, and t on d degrees of freedom,
the fewer of the two AUCs'; the factor of r allows for its uncertainty. :math:`\mu` lies halfway
between the mean of the two AUCs and their estimate under :math:`\delta` that weights them by their
variances, the weights between 0 and 1: the mean alone believes the AUC that came out too high. Simulated
coverage and errors are in docs/statistics.md.

*The test that two AUCs are equal* is DeLong's (1988): z = difference / SE, two-sided. It holds its level in
small samples too, and gives the p-values of other programs. Near p = 0.05 it may say "different" where the
limits still hold 0, or the other way round; a verdict goes by the limits. *One-sided tests against a margin*
are the limits': p is the smallest tail whose limit excludes the margin.

*Zero variance*, in one place for every part of the product: curves that rank every image alike differ by
exactly nothing. Otherwise Hoeffding's bounds (intervals.py) hold for the mean of D = psi_a - psi_b, in
[-1, 1], over the independent pairs; and where both curves are right (or wrong) on all pairs, so that D was
0 each time, the bound on how often it may be anything else.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import log_ndtr, ndtr, ndtri, stdtr, stdtrit

from cxrbench.statistics.delong import Components
from cxrbench.statistics.inputs import FloatArray, check_level
from cxrbench.statistics.intervals import (
    furthest,
    hoeffding_lower,
    hoeffding_tail,
    log_hoeffding_tail,
    newcombe_limits,
    newcombe_variance,
    variance_ratio,
)

_SMALLEST_TAIL = 1e-20
"""The smallest tail that is looked for: SciPy's quantile of Student's t fails in much smaller ones."""

CORRELATION_DEGREES = 0.2
"""What makes a correlation from few degrees of freedom smaller: r d / (d + this)."""


@dataclass(frozen=True)
class Side:
    """One side of K differences.

    Parameters
    ----------
    auc: (K,) AUCs, or means of some.
    ratio: (K,) rho above.
    degrees: (K,) degrees of freedom of Student's t.
    positives, negatives: numbers of images.
    pairs: independent pairs of a positive and a negative image, for where nothing varies.
    varies: (K,) whether the sample shows a variance.
    """

    auc: FloatArray
    ratio: FloatArray
    degrees: FloatArray
    positives: int
    negatives: int
    pairs: int
    varies: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, parts: Components) -> Side:
        """Return the K curves of a sample."""
        ratio, degrees = variance_ratio(parts)
        m, n = parts.n_positive, parts.n_negative
        return cls(parts.auc, ratio, degrees, m, n, parts.independent_pairs, parts.se > 0)

    def curve(self, k: int) -> Side:
        """Return one of the curves."""
        one = slice(k, k + 1)
        return replace(
            self,
            auc=self.auc[one],
            ratio=self.ratio[one],
            degrees=self.degrees[one],
            varies=self.varies[one],
        )

    def variance(self, auc: FloatArray) -> FloatArray:
        """Return the variances if the AUCs were ``auc``, (K,) or (..., K)."""
        return self.ratio * newcombe_variance(_within(auc, 0.0, 1.0), self.positives, self.negatives)

    def limits(self, tail: float) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper limits (K,) that err with probability ``tail`` each, below 0.5."""
        reach = self.ratio * stdtrit(self.degrees, tail) ** 2
        low, high = newcombe_limits(self.auc, self.positives, self.negatives, reach)
        for curve in np.flatnonzero(~self.varies):
            value = float(self.auc[curve])
            low[curve] = hoeffding_lower(value, self.pairs, tail)
            high[curve] = 1 - hoeffding_lower(1 - value, self.pairs, tail)
        return low, high


def score_variance(a: Side, b: Side, correlation: FloatArray, delta: FloatArray) -> FloatArray:
    """Return W above, the variances of a - b if these were ``delta``, (K,) or (..., K)."""
    degrees = np.minimum(a.degrees, b.degrees)
    r = correlation * degrees / (degrees + CORRELATION_DEGREES)
    half = delta / 2
    mean = (a.auc + b.auc) / 2

    def parts(centre: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        var_a, var_b = a.variance(centre + half), b.variance(centre - half)
        return var_a, var_b, r * np.sqrt(var_a * var_b)

    def possible(centre: FloatArray) -> FloatArray:
        """Return centres that leave both AUCs between 0 and 1."""
        return _within(centre, distance, 1 - distance)

    distance = np.abs(half)
    middle = possible(mean)
    var_a, var_b, shared = parts(middle)
    both = var_a + var_b - 2 * shared
    weight = np.divide(var_b - shared, both, out=np.full_like(both, 0.5), where=both > 1e-15)
    weight = _within(weight, 0.0, 1.0)
    weighted = weight * (a.auc - half) + (1 - weight) * (b.auc + half)
    var_a, var_b, shared = parts(possible((middle + weighted) / 2))
    variance: FloatArray = var_a + var_b - 2 * shared
    return variance


def _within(values: FloatArray, least: FloatArray | float, most: FloatArray | float) -> FloatArray:
    # np.clip takes five times as long on so few values, and this is done some hundred times per interval.
    return np.minimum(np.maximum(values, least), most)


def score_limits(
    a: Side, b: Side, correlation: FloatArray, tail: float, more: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper limits (K,) of a - b, each erring with probability ``tail``.

    ``more`` is added to t² W: the squared reach of what varies besides the test sample.
    """
    difference = a.auc - b.auc
    reach = stdtrit(np.minimum(a.degrees, b.degrees), tail) ** 2

    def outside(delta: FloatArray) -> npt.NDArray[np.bool_]:
        excluded: npt.NDArray[np.bool_] = (difference - delta) ** 2 > (
            reach * score_variance(a, b, correlation, delta) + more
        )
        return excluded

    return furthest(outside, difference, (-1.0, 1.0))


@dataclass(frozen=True)
class Difference:
    """One difference, a minus b, and what its interval and tests need.

    Parameters
    ----------
    a, b: the two sides, one value each.
    se: standard error of the difference through the test sample (DeLong or Obuchowski).
    correlation: of the two AUCs.
    pairs: independent pairs of images, for where ``se`` is 0.
    same_order: whether both rank every image alike (:func:`rank_alike`).
    large_sample: whether limits and one-sided tests are Wald's instead of those above.
    seeds_variance: variance that the training seeds add, 0 where each side is one curve.
    seeds_degrees: degrees of freedom of Student's t for the sum, infinite where the seeds add nothing.
    """

    a: Side
    b: Side
    se: float
    correlation: float
    pairs: int
    same_order: bool
    large_sample: bool = False
    seeds_variance: float = 0.0
    seeds_degrees: float = math.inf

    @property
    def difference(self) -> float:
        """The AUC (or mean) of a minus that of b."""
        return float(self.a.auc[0] - self.b.auc[0])

    @property
    def total_se(self) -> float:
        """Standard error through the test sample and the seeds."""
        return math.hypot(self.se, math.sqrt(self.seeds_variance))

    def reversed(self) -> Difference:
        """Return b minus a."""
        return replace(self, a=self.b, b=self.a)

    def limits(self, tail: float) -> tuple[float, float]:
        """Return the lower and the upper limit that err with probability ``tail`` each, below 0.5."""
        seeds = self._seeds_reach(tail)
        if self.se > 0 and not self.large_sample:
            low, high = score_limits(self.a, self.b, np.array([self.correlation]), tail, seeds**2)
            return float(low[0]), float(high[0])
        here = self.difference
        down, up = self._distances(tail)
        return max(here - math.hypot(down, seeds), -1.0), min(here + math.hypot(up, seeds), 1.0)

    def _seeds_reach(self, tail: float) -> float:
        if self.seeds_variance == 0:
            return 0.0
        return -float(stdtrit(self.seeds_degrees, tail)) * math.sqrt(self.seeds_variance)

    def _distances(self, tail: float) -> tuple[float, float]:
        """Return how far Wald's limits, or those without a variance, are below and above the difference."""
        if self.se > 0:
            margin = -float(ndtri(tail)) * self.se
            return margin, margin
        if self.same_order:
            return 0.0, 0.0
        if self._all_pairs_agree:
            most = 1 - hoeffding_lower(1.0, self.pairs, tail)
            return most, most
        # By the tail: in float64 the level of a small one is 1.
        share = (1 + self.difference) / 2
        low, high = hoeffding_lower(share, self.pairs, tail), 1 - hoeffding_lower(1 - share, self.pairs, tail)
        return self.difference - (2 * low - 1), 2 * high - 1 - self.difference

    @property
    def _all_pairs_agree(self) -> bool:
        return self.difference == 0 and float(self.a.auc[0]) in (0.0, 1.0)

    def interval(self, level: float) -> tuple[float, float]:
        """Return the two-sided interval."""
        return self.limits((1 - check_level(level)) / 2)

    def z(self, null: float = 0.0) -> float | None:
        """Return (difference - null) / SE; None where that does not exist."""
        if self.total_se > 0:
            return (self.difference - null) / self.total_se
        return 0.0 if self.difference == null == 0 else None

    def p_value(self) -> float:
        """Two-sided, for a difference of 0: DeLong's test, with Student's t where seeds add a variance."""
        if self.difference == 0:
            return 1.0
        if self.total_se > 0:
            z = -abs(self.difference) / self.total_se
            return float(2 * (ndtr(z) if math.isinf(self.seeds_degrees) else stdtr(self.seeds_degrees, z)))
        return min(1.0, 2 * hoeffding_tail((1 + abs(self.difference)) / 2, 0.5, self.pairs))

    def log10_p_value(self) -> float:
        """Return the logarithm of :meth:`p_value`, also where that is too small for a float64."""
        if self.difference != 0 and self.total_se == 0:
            tail = log_hoeffding_tail((1 + abs(self.difference)) / 2, 0.5, self.pairs)
            return min(0.0, math.log(2) + tail) / math.log(10)
        if self.difference != 0 and math.isinf(self.seeds_degrees):
            return float(math.log(2) + log_ndtr(-abs(self.difference) / self.total_se)) / math.log(10)
        # Student's t has tails that heavy only at thousands of standard errors.
        return math.log10(max(self.p_value(), sys.float_info.min))

    def p_above(self, null: float) -> float:
        """One-sided, for a difference of at most ``null``: below a tail where its limit lies above."""
        if self.total_se == 0:
            return self._p_above_without_variance(null)
        if self.large_sample and self.seeds_variance == 0:
            return float(ndtr((null - self.difference) / self.se))
        tail = self._tail(null)
        return tail if self.difference > null else 1 - tail

    def _tail(self, null: float) -> float:
        """Return the tail of the limits, at most 0.5, that end at ``null``."""
        apart = abs(self.difference - null)
        if self.se == 0:
            side = 0 if self.difference > null else 1
            return _tail_where(lambda tail: apart - abs(self.difference - self.limits(tail)[side]))
        found = score_variance(self.a, self.b, np.array([self.correlation]), np.array([null]))
        # At a null of -1 or 1 only one pair of AUCs is possible, and nothing varies.
        variance = max(float(found[0]), 0.0)
        degrees = float(min(self.a.degrees[0], self.b.degrees[0]))
        if self.seeds_variance == 0:
            z = apart / math.sqrt(variance) if variance > 0 else math.inf if apart > 0 else 0.0
            return float(stdtr(degrees, -z))

        def excess(tail: float) -> float:
            sample = float(stdtrit(degrees, tail)) * math.sqrt(variance)
            return apart - math.hypot(sample, self._seeds_reach(tail))

        return _tail_where(excess)

    def _p_above_without_variance(self, null: float) -> float:
        if self.same_order:
            return 0.0 if self.difference > null else 1.0
        if self._all_pairs_agree:
            return 1.0 if null >= 0 else hoeffding_tail(1.0, 1 + null, self.pairs)
        return hoeffding_tail((1 + self.difference) / 2, (1 + null) / 2, self.pairs)

    def note(self, names: tuple[str, str]) -> str | None:
        """Return what a reader must know where there is no variance."""
        if self.total_se > 0:
            return None
        if self.same_order:
            return f"{names[0]} and {names[1]} rank every image alike: there is no difference to test"
        return (
            "the difference has no variance on these images: interval and p-values are Hoeffding's bounds "
            f"for {self.pairs} independent pairs of images"
        )


def rank_alike(a: FloatArray, b: FloatArray) -> bool:
    """Return whether the curves ``a`` (K, n) and ``b`` (J, n) rank every image alike, ties included.

    With several curves: whether each ranking has the same share of the curves on both sides.
    """

    def shares(curves: FloatArray) -> dict[bytes, float]:
        rankings = [np.unique(row, return_inverse=True)[1].tobytes() for row in curves]
        return {ranking: count / len(rankings) for ranking, count in Counter(rankings).items()}

    return shares(a) == shares(b)


def _tail_where(excess: Callable[[float], float]) -> float:
    """Return the tail at which ``excess``, which falls with a smaller tail, is 0; at most 0.5."""
    from scipy.optimize import brentq

    if excess(0.5) <= 0:
        return 0.5
    if excess(_SMALLEST_TAIL) > 0:
        return _SMALLEST_TAIL
    root = brentq(lambda log: excess(math.exp(log)), math.log(_SMALLEST_TAIL), math.log(0.5), xtol=1e-12)
    return float(math.exp(root))
