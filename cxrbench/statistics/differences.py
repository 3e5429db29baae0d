r"""Confidence limits and tests of a difference of two AUCs, or of two means of AUCs.

*The limits*, from which every verdict is made, add up the distances of the two AUCs from their own limits
(square-and-add: Zou and Donner, Statistics in Medicine 27:1693-1702, 2008; for correlated AUCs Zou and Yue,
Statistics in Medicine 32:5077-5090, 2013). The single limits are logit limits with Student's t on moderated
variances (:func:`~cxrbench.statistics.intervals.moderated`). With :math:`l, u` the limits of a and b, and r
DeLong's or Obuchowski's correlation, the published lower limit is

.. math:: L = \hat\theta_a - \hat\theta_b
    - \sqrt{(\hat\theta_a - l_a)^2 + (u_b - \hat\theta_b)^2 - 2 r (\hat\theta_a - l_a)(u_b - \hat\theta_b)}

It takes the way a falls and the way b rises, which are not the same near an AUC of 1, so that for r near 1 it
is too wide for equal AUCs and, on the other side, too narrow for unequal ones. What two curves share moves
both the same way, up or down. The term of the shared part, :math:`r (x - y)^2` with x and y as above, is
therefore the mean of that and of the square of what the difference loses when both fall, or both rise.
Simulated coverage and errors are in docs/statistics.md.

*The test that two AUCs are equal* is DeLong's (1988): z = difference / SE, two-sided. It holds its level in
small samples too, and gives the p-values of other programs. Near p = 0.05 it may say "different" where the
limits still hold 0, or the other way round; a verdict goes by the limits. *One-sided tests against a margin*
are the limits': p is the smallest tail at which the limit excludes the margin.

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
from scipy.special import log_ndtr, ndtr, stdtr, stdtrit

from cxrbench.statistics.inputs import FloatArray, check_level
from cxrbench.statistics.intervals import (
    hoeffding_interval,
    hoeffding_lower,
    hoeffding_tail,
    logit_interval,
    normal_quantile,
)

_SMALLEST_TAIL = 1e-300


@dataclass(frozen=True)
class Side:
    """One side of K differences.

    Parameters
    ----------
    auc: (K,) AUCs, or means of some.
    se: (K,) their moderated standard errors.
    degrees: (K,) degrees of freedom.
    pairs: independent pairs of a positive and a negative image, for where ``se`` is 0.
    """

    auc: FloatArray
    se: FloatArray
    degrees: FloatArray
    pairs: int

    def limits(self, tail: float) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper limits (K,) that err with probability ``tail`` each, below 0.5."""
        low, high = np.empty_like(self.auc), np.empty_like(self.auc)
        regular = (self.se > 0) & (self.auc > 0) & (self.auc < 1)
        low[regular], high[regular] = logit_interval(
            self.auc[regular], self.se[regular], -stdtrit(self.degrees[regular], tail)
        )
        for curve in np.flatnonzero(~regular):
            value = float(self.auc[curve])
            low[curve] = hoeffding_lower(value, self.pairs, tail)
            high[curve] = 1 - hoeffding_lower(1 - value, self.pairs, tail)
        return low, high


def square_and_add(a: Side, b: Side, correlation: FloatArray, tail: float) -> tuple[FloatArray, FloatArray]:
    """Return the lower and upper limits (K,) of a - b, each erring with probability ``tail``."""
    difference = a.auc - b.auc
    low_a, high_a = a.limits(tail)
    low_b, high_b = b.limits(tail)
    fall_a, rise_a, fall_b, rise_b = a.auc - low_a, high_a - a.auc, b.auc - low_b, high_b - b.auc
    down = _reach(fall_a, rise_b, correlation, _loss(fall_a - fall_b, rise_b - rise_a))
    up = _reach(rise_a, fall_b, correlation, _loss(rise_a - rise_b, fall_b - fall_a))
    return np.maximum(difference - down, -1.0), np.minimum(difference + up, 1.0)


def _loss(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return how far a difference moves in one direction where both AUCs move the same way."""
    return np.maximum(np.maximum(one, other), 0.0)


def _reach(x: FloatArray, y: FloatArray, correlation: FloatArray, shared: FloatArray) -> FloatArray:
    positive, negative = np.maximum(correlation, 0.0), np.minimum(correlation, 0.0)
    together = ((x - y) ** 2 + shared**2) / 2
    return np.sqrt((1 - positive) * (x**2 + y**2) + positive * together - 2 * negative * x * y)


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
        low, high = self._sample_limits(tail)
        if self.seeds_variance == 0:
            return low, high
        seeds = -float(stdtrit(self.seeds_degrees, tail)) * math.sqrt(self.seeds_variance)
        here = self.difference
        down, up = math.hypot(here - low, seeds), math.hypot(high - here, seeds)
        return max(-1.0, here - down), min(1.0, here + up)

    def _sample_limits(self, tail: float) -> tuple[float, float]:
        if self.se > 0:
            if self.large_sample:
                margin = normal_quantile(1 - 2 * tail) * self.se
                return max(self.difference - margin, -1.0), min(self.difference + margin, 1.0)
            low, high = square_and_add(self.a, self.b, np.array([self.correlation]), tail)
            return float(low[0]), float(high[0])
        if self.same_order:
            return self.difference, self.difference
        if self._all_pairs_agree:
            most = 1 - hoeffding_lower(1.0, self.pairs, tail)
            return -most, most
        low_d, high_d = hoeffding_interval((1 + self.difference) / 2, self.pairs, 1 - 2 * tail)
        return 2 * low_d - 1, 2 * high_d - 1

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
        if self.total_se > 0 and math.isinf(self.seeds_degrees) and self.difference != 0:
            return float(math.log(2) + log_ndtr(-abs(self.difference) / self.total_se)) / math.log(10)
        return math.log10(max(self.p_value(), sys.float_info.min))

    def p_above(self, null: float) -> float:
        """One-sided, for a difference of at most ``null``: below a tail where its limit lies above."""
        if self.total_se == 0:
            return self._p_above_without_variance(null)
        if self.large_sample and self.seeds_variance == 0:
            return float(ndtr((null - self.difference) / self.se))
        if self.difference > null:
            return _tail_where(lambda tail: self.limits(tail)[0] - null)
        return 1 - _tail_where(lambda tail: null - self.limits(tail)[1])

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
