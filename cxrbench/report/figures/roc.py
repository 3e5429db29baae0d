"""ROC curves, a panel per scheme, each with the control behind it and its operating points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrbench.report.content import CONTROL, folds
from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import BLUE, GREY, INK, MARKERS, ORANGE, PALE, SMALL, new_figure, tidy
from cxrbench.report.text import decimal, rule

if TYPE_CHECKING:
    from cxrbench.study.results import Results, SchemeResult

_PER_ROW = 3


def roc(results: Results, curves: Curves) -> ReportFigure:
    """Return the figure: there always is one."""
    own = ", of each fold for its own network," if folds(results) else ","
    return ReportFigure(
        "roc",
        f"ROC curves, one panel per scheme. Marks are thresholds that were chosen on validation images{own} "
        "at the sensitivity and specificity that they have on the test part, with Wilson 95% intervals.",
        "ROC curves of " + ", ".join(f"{s.name} (AUC {decimal(s.auc)})" for s in results.schemes),
        render(draw_roc(results, curves)),
    )


def draw_roc(results: Results, curves: Curves) -> Figure:
    """Return the ROC curves of all schemes and seeds with the points chosen on validation.

    Six curves that nearly touch cannot be distinguished in one panel; against the control, each can.
    """
    schemes = results.schemes
    columns = min(_PER_ROW, len(schemes))
    rows = math.ceil(len(schemes) / columns)
    figure = new_figure(3 * columns + (1.2 if columns == 1 else 0), 3.1 * rows + 0.7)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    rules = list(dict.fromkeys(p.chosen for scheme in schemes for seed in scheme.seeds for p in seed.points))
    for axes, scheme in zip(grid.flat, schemes, strict=False):
        _panel(axes, results, scheme, curves, rules)
    for axes in list(grid.flat)[len(schemes) :]:
        axes.set_visible(False)
    for axes in grid[-1]:
        axes.set_xlabel("1 − specificity", fontsize=SMALL)
    for axes in grid[:, 0]:
        axes.set_ylabel("sensitivity", fontsize=SMALL)
    figure.legend(
        handles=_legend(results, rules),
        loc="outside lower center",
        ncols=3 if columns == _PER_ROW else 2,
        frameon=False,
        fontsize=SMALL,
    )
    return figure


def _panel(axes: Axes, results: Results, scheme: SchemeResult, curves: Curves, rules: list[str]) -> None:
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.8, linestyle="--")
    if CONTROL in results.names and scheme.name != CONTROL:
        for seed in results.seeds:
            control = curves[CONTROL, seed]
            axes.plot(control.false_positive_rate, control.true_positive_rate, color="#9a9a9a", linewidth=0.9)
    opacity = 1.0 if len(scheme.seeds) == 1 else 0.7
    for seed_result in scheme.seeds:
        curve = curves[scheme.name, seed_result.seed]
        axes.plot(
            curve.false_positive_rate, curve.true_positive_rate, color=BLUE, linewidth=1.5, alpha=opacity
        )
        for point in seed_result.points:
            axes.errorbar(
                1 - point.specificity,
                point.sensitivity,
                xerr=[
                    [max(0.0, point.specificity_high - point.specificity)],
                    [max(0.0, point.specificity - point.specificity_low)],
                ],
                yerr=[
                    [max(0.0, point.sensitivity - point.sensitivity_low)],
                    [max(0.0, point.sensitivity_high - point.sensitivity)],
                ],
                color=ORANGE,
                marker=MARKERS[rules.index(point.chosen) % len(MARKERS)],
                markersize=5,
                markeredgecolor="white",
                markeredgewidth=0.6,
                elinewidth=0.8,
                zorder=4,
            )
    axes.set_title(scheme.name, fontsize=SMALL + 2, loc="left", color=INK)
    axes.text(0.97, 0.05, f"AUC {decimal(scheme.auc)}", ha="right", fontsize=SMALL + 1, color=INK)
    axes.set_aspect("equal")
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    tidy(axes)


def _legend(results: Results, rules: list[str]) -> list[Line2D]:
    several = len(results.seeds) > 1
    handles = [
        Line2D(
            [],
            [],
            color=BLUE,
            linewidth=1.5,
            label="the scheme, one line per seed" if several else "the scheme",
        )
    ]
    if CONTROL in results.names and len(results.schemes) > 1:
        handles.append(Line2D([], [], color="#9a9a9a", linewidth=0.9, label="the control"))
    handles += [
        Line2D(
            [],
            [],
            color=ORANGE,
            marker=MARKERS[i % len(MARKERS)],
            markeredgecolor="white",
            linewidth=0.8,
            label=f"threshold: {rule(chosen)}",
        )
        for i, chosen in enumerate(rules)
    ]
    handles.append(Line2D([], [], color=GREY, linewidth=0.8, linestyle="--", label="chance"))
    return handles
