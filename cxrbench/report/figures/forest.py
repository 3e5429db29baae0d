"""The AUCs of the schemes with their intervals and targets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from cxrbench.report.content import CONTROL, clustered, reaches_text, sample_text
from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import GREY, INK, SMALL, VERDICT, new_figure, tidy
from cxrbench.report.text import decimal, interval

if TYPE_CHECKING:
    from cxrbench.study.results import Results, SchemeResult

_REACH_CAPTION = (
    " Where the target is a calibration's mean and spread, the band is where 95% of runs of unchanged code "
    "lie: the AUC decides the verdict, and its interval does not."
)
_HATCH = "/////"
_ABOVE = 0.4
"""How far above a row's middle the name and the numbers stand."""


def forest(results: Results, curves: Curves) -> ReportFigure:  # noqa: ARG001
    """Return the figure: there always is one."""
    return ReportFigure(
        "forest",
        f"AUC of each scheme on the test part ({sample_text(results)}), with its 95% interval"
        f"{', clustered by patient' if clustered(results) else ''}, and its target."
        + (_REACH_CAPTION if reaches_text(results) else ""),
        "Forest plot. " + "; ".join(_text(scheme) for scheme in results.schemes),
        render(draw_forest(results)),
    )


def _text(scheme: SchemeResult) -> str:
    decided = scheme.decided_by if scheme.spread_decides else None
    passes = "" if decided is None else f", passes in {interval(*decided)}"
    return f"{scheme.name} {decimal(scheme.auc)} {interval(scheme.ci_low, scheme.ci_high)}{passes}"


def draw_forest(results: Results) -> Figure:
    """Return the forest plot: a row per scheme: its AUC, 95% interval and the band that its target allows."""
    schemes = results.schemes
    # As wide as a telephone is, so that its letters can be read there and on paper.
    figure = new_figure(4.2, 1.3 + 0.56 * len(schemes) + 0.2 * len(_legend(results)))
    axes = figure.subplots()
    low, high = _limits(results)
    bands = [_band(scheme) for scheme in schemes]
    across = axes.get_yaxis_transform()
    for row, (scheme, band) in enumerate(zip(schemes, bands, strict=True)):
        if band is not None:
            axes.add_patch(_target_patch(row, *band))
        colour, marker = VERDICT[scheme.verdict.outcome]
        axes.plot([scheme.ci_low, scheme.ci_high], [row, row], color=colour, linewidth=2, zorder=3)
        axes.plot(
            [scheme.auc], [row], color=colour, marker=marker, markersize=10, markeredgecolor="white", zorder=4
        )
        numbers = f"{decimal(scheme.auc)} {interval(scheme.ci_low, scheme.ci_high)}"
        for x, side, text in ((0, "left", scheme.name), (1, "right", numbers)):
            axes.text(
                x, row - _ABOVE, text, transform=across, va="center", ha=side, fontsize=SMALL + 1, color=INK
            )
    if CONTROL in results.names and len(schemes) > 1:
        axes.axvline(results.scheme(CONTROL).auc, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    axes.set_xlim(low, high)
    axes.set_ylim(len(schemes) - 0.55, -0.65)
    axes.set_yticks([])
    axes.set_xlabel("AUC on the test part", fontsize=SMALL + 1)
    tidy(axes, grid="x")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    axes.tick_params(axis="x", labelsize=SMALL + 1)
    axes.spines["left"].set_visible(False)
    figure.legend(handles=_legend(results), loc="outside lower left", frameon=False, fontsize=SMALL + 1)
    return figure


def _band(scheme: SchemeResult) -> tuple[float, float, bool] | None:
    """Return the ends of the target and whether it is calibrated."""
    target = scheme.target
    if target is None or (target.tolerance is None and target.at_least is None and target.sd is None):
        return None
    ends = target.interval(len(scheme.seeds)) or replace(target, calibrated=True).band
    return None if ends is None else (*ends, target.calibrated)


def _limits(results: Results) -> tuple[float, float]:
    """Return the ends of the axis: all intervals and bands, but not the empty way up to an AUC of 0 or 1."""
    ends = [end for scheme in results.schemes for end in (scheme.ci_low, scheme.ci_high)]
    for scheme in results.schemes:
        band = _band(scheme)
        ends += [end for end in band[:2] if 0 < end < 1] if band else []
    room = max(0.01, 0.06 * (max(ends) - min(ends)))
    return max(0.0, min(ends) - room), min(1.0, max(ends) + room)


def _target_patch(row: int, low: float, high: float, calibrated: bool) -> Rectangle:
    return Rectangle(
        (low, row - 0.2),
        high - low,
        0.52,
        facecolor="#e8eef4" if calibrated else "white",
        edgecolor="#b5c4d3",
        hatch=None if calibrated else _HATCH,
        linewidth=0.6,
        zorder=2,
    )


def _legend(results: Results) -> list[Line2D | Patch]:
    outcomes = {scheme.verdict.outcome for scheme in results.schemes}
    handles: list[Line2D | Patch] = [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            markersize=9,
            markeredgecolor="white",
            linewidth=2,
            label=f"AUC, 95% interval: {outcome}",
        )
        for outcome, (colour, marker) in VERDICT.items()
        if outcome in outcomes
    ]
    calibrated = {band[2] for band in (_band(scheme) for scheme in results.schemes) if band}
    if True in calibrated:
        handles.append(Patch(facecolor="#e8eef4", edgecolor="#b5c4d3", label="target"))
    if False in calibrated:
        handles.append(
            Patch(facecolor="white", edgecolor="#b5c4d3", hatch=_HATCH, label="target, not yet calibrated")
        )
    if CONTROL in results.names and len(results.schemes) > 1:
        handles.append(Line2D([], [], color=GREY, linestyle=":", linewidth=0.8, label="AUC of the control"))
    return handles
