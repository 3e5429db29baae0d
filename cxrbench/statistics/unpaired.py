"""The difference of two mean AUCs over seeds on different images, such as those of two hospitals.

For one curve a side, :func:`cxrbench.statistics.compare_unpaired` computes it from the scores. Here each side
comes with its interval, which may hold the variance between seeds too. The images are others, so that the
squares of the distances to the limits add up (Newcombe, Statistics in Medicine 17:873-890, 1998).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from scipy.stats import norm


class Estimate(NamedTuple):
    """An AUC with its standard error and the ends of its interval."""

    auc: float
    se: float
    ci_low: float
    ci_high: float


class UnpairedDifference(NamedTuple):
    """AUC a minus AUC b, the ends of its interval, and the two-sided p-value."""

    difference: float
    ci_low: float
    ci_high: float
    p_value: float


def unpaired_difference(a: Estimate, b: Estimate) -> UnpairedDifference:
    """Return AUC a minus AUC b of two test samples that share no patient, at the level of their intervals.

    Where both are means over the seeds of one scheme, the variance that the seeds share is counted twice: the
    interval is then too wide, and never too narrow.
    """
    difference = a.auc - b.auc
    low = difference - math.hypot(a.auc - a.ci_low, b.ci_high - b.auc)
    high = difference + math.hypot(a.ci_high - a.auc, b.auc - b.ci_low)
    se = math.hypot(a.se, b.se)
    z = abs(difference) / se if se > 0 else (math.inf if difference else 0.0)
    return UnpairedDifference(difference, max(-1.0, low), min(1.0, high), 2 * float(norm.sf(z)))
