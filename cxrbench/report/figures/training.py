"""Loss and validation AUC of every stage run, epoch by epoch."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from cxrbench.report.content import folds
from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import BLUE, GREEN, INK, LINES, SMALL, new_figure, tidy
from cxrbench.report.text import decimal

if TYPE_CHECKING:
    from cxrbench.study.results import Results, StageResult

_FEW_EPOCHS = 20


def training(results: Results, curves: Curves) -> ReportFigure:  # noqa: ARG001
    """Return the figure: there always is one."""
    return ReportFigure(
        "training",
        "Training loss and validation AUC of every stage run"
        f"{', one line per fold' if folds(results) else ''}. "
        "A ring marks the epoch that was kept. Losses of stages with different labels cannot be compared.",
        "Training curves. " + "; ".join(_text(stage) for stage in results.stages),
        render(draw_training(results)),
    )


def _text(stage: StageResult) -> str:
    fold = f", fold {stage.fold}" if stage.fold else ""
    return (
        f"{stage.run}, seed {stage.seed}{fold}: validation AUC {decimal(stage.validation_auc)} in epoch "
        f"{stage.best_epoch + 1} of {len(stage.epochs)}"
    )


def draw_training(results: Results) -> Figure:
    """Return two panels per stage run: training loss, and validation AUC with a ring at the epoch kept.

    The folds of a seed are drawn alike: how far they lie apart is what their lines show.
    """
    runs = list(dict.fromkeys(stage.run for stage in results.stages))
    wide = 2 if len(runs) > 1 else 1
    rows = math.ceil(len(runs) / wide)
    figure = new_figure(4.6 * wide + (1 if wide == 1 else 0), 1.55 * rows + 0.7)
    grid = figure.subplots(rows, 2 * wide, squeeze=False)
    aucs = [auc for stage in results.stages for auc in stage.validation_aucs]
    room = max(0.01, 0.08 * (max(aucs) - min(aucs)))
    for i, run in enumerate(runs):
        row, column = divmod(i, wide)
        loss, auc = grid[row, 2 * column], grid[row, 2 * column + 1]
        for stage in results.stages:
            if stage.run == run:
                _lines(loss, auc, stage, LINES[results.seeds.index(stage.seed) % len(LINES)])
        loss.set_title(run, loc="left", fontsize=SMALL + 1, color=INK)
        # One scale of AUC for all, so that stages can be compared; losses of different labels cannot.
        auc.set_ylim(max(0.0, min(aucs) - room), min(1.0, max(aucs) + room))
        for axes in (loss, auc):
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
            axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
            tidy(axes, grid="y")
            if i >= len(runs) - wide:
                axes.set_xlabel("epoch", fontsize=SMALL)
        loss.set_ylabel("loss", fontsize=SMALL)
        auc.set_ylabel("validation AUC", fontsize=SMALL)
    for axes in list(grid.flat)[2 * len(runs) :]:
        axes.set_visible(False)
    figure.legend(
        handles=_legend(results), loc="outside lower center", ncols=3 * wide, frameon=False, fontsize=SMALL
    )
    return figure


def _lines(loss: Axes, auc: Axes, stage: StageResult, line: str) -> None:
    epochs = range(1, len(stage.epochs) + 1)
    marker = "o" if len(stage.epochs) <= _FEW_EPOCHS else ""
    loss.plot(epochs, stage.losses, color=BLUE, linestyle=line, linewidth=1.3, marker=marker, markersize=2.5)
    auc.plot(
        epochs,
        stage.validation_aucs,
        color=GREEN,
        linestyle=line,
        linewidth=1.3,
        marker=marker,
        markersize=2.5,
    )
    auc.plot(
        [stage.best_epoch + 1],
        [stage.validation_auc],
        marker="o",
        markersize=8,
        fillstyle="none",
        color=INK,
        markeredgewidth=1,
    )


def _legend(results: Results) -> list[Line2D]:
    ring = Line2D(
        [],
        [],
        marker="o",
        markersize=8,
        fillstyle="none",
        color=INK,
        linewidth=0,
        label="the epoch that was kept",
    )
    if len(results.seeds) == 1:
        return [ring]
    seeds = [
        Line2D([], [], color=INK, linestyle=LINES[i % len(LINES)], linewidth=1.3, label=f"seed {seed}")
        for i, seed in enumerate(results.seeds)
    ]
    return [*seeds, ring]
