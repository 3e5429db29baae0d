"""The figure of a calibration: the AUC of every scheme and seed, and what was aimed at."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrbench.calibration.records import Calibration
from cxrbench.report.figures.style import GREY, INK, MARKERS, SMALL, colours, new_figure, tidy

_HALF = 0.32


def draw(calibration: Calibration) -> Figure:
    """Return a column per scheme, a dot per seed, the mean as a short line, and dotted lines at the aims."""
    schemes, seeds = calibration.schemes, calibration.request.seeds
    aims = calibration.request.aims
    width = max(4.5, 1.6 + 1.1 * len(schemes))
    figure = new_figure(width, 4)
    axes = figure.subplots()
    for aim in sorted(set(aims.values())):
        axes.axhline(aim, color=GREY, linewidth=0.9, linestyle=":", zorder=1)
        names = [name for name, of_scheme in aims.items() if of_scheme == aim]
        axes.text(
            1.01,
            aim,
            "\n".join([f"aim {aim:.3f}", *names]),
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=SMALL,
            color=GREY,
        )
    axes.set_xlim(-0.5, len(schemes) - 0.5)
    # Seeds are side by side within a column, so that equal AUCs do not hide each other.
    shifts = [_HALF * (2 * i / (len(seeds) - 1) - 1) * 0.7 for i in range(len(seeds))]
    for i, scheme in enumerate(schemes):
        axes.plot([i - _HALF, i + _HALF], [scheme.mean] * 2, color=INK, linewidth=1.5, zorder=2)
    marks = [
        axes.plot(
            [column + shift for column in range(len(schemes))],
            [scheme.aucs[i] for scheme in schemes],
            color=colour,
            marker=MARKERS[i % len(MARKERS)],
            markersize=6,
            markeredgecolor="white",
            linestyle="",
            zorder=3,
            label=f"seed {seeds[i]}",
        )[0]
        for i, (shift, colour) in enumerate(zip(shifts, colours(len(seeds) + 1)[1:], strict=True))
    ]
    axes.set_xticks(
        range(len(schemes)), [scheme.scheme for scheme in schemes], rotation=20 if len(schemes) > 4 else 0
    )
    axes.set_ylabel("AUC on the test part", fontsize=SMALL)
    tidy(axes, grid="y")
    figure.legend(
        handles=[*marks, Line2D([], [], color=INK, linewidth=1.5, label="mean")],
        loc="outside lower center",
        ncols=round(width / 1.2),
        frameon=False,
        fontsize=SMALL,
    )
    return figure
