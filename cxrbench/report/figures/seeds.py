"""The AUC of every seed, for studies with several."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import INK, MARKERS, SMALL, colours, new_figure, tidy
from cxrbench.report.text import decimal

if TYPE_CHECKING:
    from cxrbench.study.results import Results

_HALF = 0.3


def seeds(results: Results, curves: Curves) -> ReportFigure | None:  # noqa: ARG001
    """Return the figure; None for one seed."""
    if len(results.seeds) < 2:
        return None
    aucs = [
        f"{scheme.name} {', '.join(decimal(seed.curve.auc) for seed in scheme.seeds)}"
        for scheme in results.schemes
    ]
    return ReportFigure(
        "seeds",
        "AUC of every seed. Thin lines join the schemes of one seed: where they cross, the order of two "
        "schemes does not hold over seeds.",
        "Dot plot of the AUC of each seed. " + "; ".join(aucs),
        render(draw_seeds(results)),
    )


def draw_seeds(results: Results) -> Figure:
    """Return the AUCs of each scheme, a mark per seed, and the mean with its interval.

    Thin lines join the schemes of one seed: lines that cross are orders of schemes that do not hold.
    """
    schemes = results.schemes
    width = max(4.5, 1.6 + 1.2 * len(schemes))
    figure = new_figure(width, 4)
    axes = figure.subplots()
    for i, scheme in enumerate(schemes):
        axes.plot([i - _HALF, i + _HALF], [scheme.auc] * 2, color=INK, linewidth=1.5, zorder=2)
        axes.add_patch(
            Rectangle(
                (i - _HALF, scheme.ci_low),
                2 * _HALF,
                scheme.ci_high - scheme.ci_low,
                facecolor="#ebebeb",
                edgecolor="none",
                zorder=1,
            )
        )
    marks = [
        axes.plot(
            range(len(schemes)),
            [result.curve.auc for scheme in schemes for result in scheme.seeds if result.seed == seed],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=6,
            linewidth=0.7,
            label=f"seed {seed}",
        )[0]
        for i, (seed, colour) in enumerate(
            zip(results.seeds, colours(len(results.seeds) + 1)[1:], strict=True)
        )
    ]
    axes.set_xticks(range(len(schemes)), results.names, rotation=20 if len(schemes) > 4 else 0)
    axes.set_xlim(-0.5, len(schemes) - 0.5)
    axes.set_ylabel("AUC on the test part", fontsize=SMALL)
    tidy(axes, grid="y")
    mean = Line2D([], [], color=INK, linewidth=1.5, label="mean")
    interval = Patch(facecolor="#ebebeb", label="95% interval of the mean")
    figure.legend(
        handles=[*marks, mean, interval],
        loc="outside lower center",
        ncols=round(width / 1.6),
        frameon=False,
        fontsize=SMALL,
    )
    return figure
