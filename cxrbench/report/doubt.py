"""What else than the disease could tell the labels apart, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxrbench.report.text import count, decimal, interval, p_value, signed, signed_interval

if TYPE_CHECKING:
    from cxrbench.study.results import Doubt, Results

EXPLAINED = (
    "Alone: a logistic regression on it, cross-validated by patient. The other columns: each scheme's AUC "
    "among images that are alike in it, so that it cannot help to rank them; numbers are cut into bands of "
    "about as many images."
)

Table = tuple[list[str], list[list[str]]]
"""Headers and rows."""


def shortcut_table(results: Results) -> Table | None:
    """Return each shortcut's AUC, and every scheme's within its strata; None where nothing was measured."""
    doubt = results.doubt
    if doubt is None or not doubt.shortcuts:
        return None
    headers = ["known of a film", "AUC of it alone", *results.names]
    rows = [["the film itself", "–", *(decimal(scheme.auc) for scheme in results.schemes)]]
    for shortcut in doubt.shortcuts:
        within = [shortcut.within.get(name) for name in results.names]
        rows.append(
            [
                shortcut.name,
                f"{decimal(shortcut.auc)} {interval(shortcut.ci_low, shortcut.ci_high)}",
                *("–" if found is None else decimal(found.auc) for found in within),
            ]
        )
    return headers, rows


def subgroup_table(results: Results) -> Table | None:
    """Return the schemes' differences from the control in each subgroup; None where there are none."""
    if results.doubt is None or not results.doubt.subgroups:
        return None
    headers = ["", "subgroup", "images", "positive", "schemes", "difference", "95% interval", "p", "p (Holm)"]
    return headers, [
        [
            pair.by,
            pair.value,
            count(pair.images),
            count(pair.positive),
            f"{pair.a} minus {pair.b}",
            signed(pair.difference),
            signed_interval(pair.ci_low, pair.ci_high),
            p_value(pair.p_value),
            p_value(pair.p_adjusted),
        ]
        for pair in results.doubt.subgroups
    ]


def left_out(doubt: Doubt) -> str:
    """Return what could not be looked at, and why; "" where nothing was left out."""
    said = "; ".join(f"{name}: {why}" for name, why in doubt.left_out.items())
    return f"Not looked at: {said}." if said else ""
