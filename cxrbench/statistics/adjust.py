"""Adjustment of p-values for several comparisons, through statsmodels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

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
    # Imported here: it takes seconds, and most callers compare nothing or one pair.
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(list(p_values), method=method)[1]]
