"""Adjustment of p-values for several comparisons.

Written out here: statsmodels, which gives the same bits, takes seconds to load, and its Holm runs the garbage
collector in every call: where torch is loaded, that takes longer than the comparisons of a study.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

from cxrbench.errors import StatisticsError

Adjustment = Literal["holm", "bonferroni", "fdr_bh", "none"]
"""Holm (default; family-wise error, uniformly better than Bonferroni), Bonferroni, Benjamini-Hochberg (false
discovery rate), or none."""


def check_adjustment(method: str) -> None:
    """Refuse an unknown method.

    Raises
    ------
    StatisticsError: ``method`` is none of :data:`Adjustment`.
    """
    if method not in get_args(Adjustment):
        raise StatisticsError(f"adjust: must be one of {', '.join(get_args(Adjustment))}, not {method!r}")


def adjust_p_values(p_values: Sequence[float], method: Adjustment = "holm") -> list[float]:
    """Return the adjusted p-values in the order given.

    Raises
    ------
    StatisticsError: ``method`` is none of :data:`Adjustment`, or a p-value is none.
    """
    check_adjustment(method)
    wrong = [p for p in p_values if not 0 <= p <= 1]
    if wrong:
        raise StatisticsError(f"p_values: must lie between 0 and 1, not {wrong[0]:g}")
    if method == "none" or len(p_values) < 2:
        return [float(p) for p in p_values]
    values = np.asarray(p_values, dtype=np.float64)
    order, n = np.argsort(values), values.size
    ascending = values[order]
    if method == "bonferroni":
        adjusted = ascending * n
    elif method == "holm":
        adjusted = np.maximum.accumulate(ascending * np.arange(n, 0, -1))
    else:
        raised = ascending / (np.arange(1, n + 1) / n)
        adjusted = np.minimum.accumulate(raised[::-1])[::-1]
    result = np.empty(n)
    result[order] = np.minimum(adjusted, 1.0)
    return [float(p) for p in result]
