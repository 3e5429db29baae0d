"""The differences of all pairs of schemes, as a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from cxrbench.report.content import LEVEL
from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import INK, SMALL, new_figure
from cxrbench.report.text import p_value, signed

if TYPE_CHECKING:
    from cxrbench.study.results import Results

_LEAST_RANGE = 0.02


def pairs(results: Results, curves: Curves) -> ReportFigure | None:  # noqa: ARG001
    """Return the figure; None for one pair, which is not a matrix."""
    if len(results.schemes) < 3:
        return None
    over = "difference of the means over seeds" if len(results.seeds) > 1 else "difference"
    return ReportFigure(
        "pairs",
        f"AUC of the row minus AUC of the column: {over}, and its Holm-adjusted p. A frame marks an "
        f"adjusted p below {LEVEL}.",
        "Matrix of AUC differences. " + "; ".join(_texts(results)),
        render(draw_pairs(results)),
    )


def _texts(results: Results) -> Iterator[str]:
    for i, row in enumerate(results.names):
        for column in results.names[:i]:
            pair = results.difference(row, column)
            yield f"{row} minus {column} {signed(pair.difference)}, p {p_value(pair.p_adjusted)}"


def draw_pairs(results: Results) -> Figure:
    """Return the matrix of AUC differences, row minus column, with Holm-adjusted p-values.

    Of several seeds, the difference of the means. A frame marks pairs whose adjusted p is below 0.05.
    """
    rows, columns = results.names[1:], results.names[:-1]
    cells = {
        (i, j): results.difference(row, column)
        for i, row in enumerate(rows)
        for j, column in enumerate(columns)
        if j <= i
    }
    reach = max(_LEAST_RANGE, *(abs(pair.difference) for pair in cells.values()))
    # Not up to the map's ends, on which black text could not be read.
    scale, shades = Normalize(-1.7 * reach, 1.7 * reach), colormaps["PuOr_r"]
    figure = new_figure(2.2 + 1.05 * len(columns), 1.3 + 0.62 * len(rows))
    axes = figure.subplots()
    for (i, j), pair in cells.items():
        shade = shades(scale(pair.difference))
        axes.add_patch(Rectangle((j, i), 1, 1, facecolor=shade, edgecolor="white", linewidth=2))
        told_apart = pair.p_adjusted < LEVEL
        if told_apart:
            axes.add_patch(
                Rectangle((j + 0.04, i + 0.06), 0.92, 0.88, fill=False, edgecolor=INK, linewidth=1.4)
            )
        weight = "bold" if told_apart else "normal"
        axes.text(
            j + 0.5,
            i + 0.37,
            signed(pair.difference),
            ha="center",
            va="center",
            fontsize=SMALL + 1,
            color=INK,
            fontweight=weight,
        )
        axes.text(
            j + 0.5,
            i + 0.7,
            f"p {p_value(pair.p_adjusted)}",
            ha="center",
            va="center",
            fontsize=SMALL - 1,
            color=INK,
        )
    axes.set_xlim(0, len(columns))
    axes.set_ylim(len(rows), 0)
    axes.set_xticks(
        [j + 0.5 for j in range(len(columns))], [f"− {name}" for name in columns], rotation=30, ha="left"
    )
    axes.set_yticks([i + 0.5 for i in range(len(rows))], rows)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=SMALL, labelcolor=INK, pad=2)
    axes.spines[:].set_visible(False)
    return figure
