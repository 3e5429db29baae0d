"""The AUCs of two studies, scheme by scheme."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import BLUE, INK, ORANGE, SMALL, new_figure, tidy
from cxrbench.report.text import decimal

if TYPE_CHECKING:
    from cxrbench.report.two import TwoStudies

_SIDES = (("A", BLUE, "o", -0.08), ("B", ORANGE, "s", 0.2))
"""Name, colour, mark, and how far below a row's middle a side is drawn."""
_ABOVE = 0.4


def two(studies: TwoStudies) -> ReportFigure:
    """Return the figure."""
    texts = [
        f"{scheme.name}: "
        + ", ".join(
            f"{side} {decimal(result.auc) if result else 'not run'}"
            for side, result in (("A", scheme.a), ("B", scheme.b))
        )
        for scheme in studies.schemes
    ]
    return ReportFigure(
        "two",
        "AUC of each scheme in A and in B, with its 95% interval. Whether two AUCs differ, the table says: "
        "their intervals may overlap where the difference is certain.",
        "Forest plot of two studies. " + "; ".join(texts),
        render(draw_two(studies)),
    )


def draw_two(studies: TwoStudies) -> Figure:
    """Return a row per scheme, with both AUCs and their intervals."""
    figure = new_figure(4.2, 1.1 + 0.56 * len(studies.schemes))
    axes = figure.subplots()
    for row, scheme in enumerate(studies.schemes):
        axes.text(
            0,
            row - _ABOVE,
            scheme.name,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=SMALL + 1,
            color=INK,
        )
        for (_, colour, marker, below), result in zip(_SIDES, (scheme.a, scheme.b), strict=True):
            if result is not None:
                axes.plot([result.ci_low, result.ci_high], [row + below] * 2, color=colour, linewidth=2)
                axes.plot([result.auc], [row + below], color=colour, marker=marker, markersize=7)
    axes.set_ylim(len(studies.schemes) - 0.5, -0.65)
    axes.set_yticks([])
    axes.set_xlabel("AUC on the test part", fontsize=SMALL + 1)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    tidy(axes, grid="x")
    axes.tick_params(axis="x", labelsize=SMALL + 1)
    axes.spines["left"].set_visible(False)
    figure.legend(
        handles=[
            Line2D([], [], color=colour, marker=marker, linewidth=2, label=side)
            for side, colour, marker, _ in _SIDES
        ],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        fontsize=SMALL + 1,
    )
    return figure
