"""The figures of the report, each with its caption and a text for those who cannot see it.

Figures are made through matplotlib's objects and rendered without a display; pyplot and its state are not
used.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cxrbench.report.content import clustered, folds, reach_interval, reaches_text, sample_text
from cxrbench.report.curves import Curves
from cxrbench.report.figures.forest import draw_forest
from cxrbench.report.figures.pairs import draw_pairs
from cxrbench.report.figures.roc import draw_roc
from cxrbench.report.figures.seeds import draw_seeds
from cxrbench.report.figures.training import draw_training
from cxrbench.report.text import decimal, interval, p_value, signed

if TYPE_CHECKING:
    from cxrbench.study.results import Results, SchemeResult, StageResult

NAMES = ("forest", "seeds", "roc", "pairs", "training")
_DPI = 160
_REACH_CAPTION = (
    " The thin bar below is the AUC ± the reach of the spread of a calibration's seeds: where there is one, "
    "it decides the verdict, and the 95% interval does not."
)


@dataclass(frozen=True)
class ReportFigure:
    """A rendered figure.

    Parameters
    ----------
    name: one of :data:`NAMES`; its file is ``figures/NAME.png``.
    caption: what is drawn and how to read it.
    alt: what it shows, with the numbers, for a screen reader.
    png: the image.
    """

    name: str
    caption: str
    alt: str
    png: bytes


def draw_figures(results: Results, curves: Curves) -> tuple[ReportFigure, ...]:
    """Return the figures that the study gives: no matrix of one pair, no spread of one seed."""
    return tuple(_figures(results, curves))


def render(figure: Figure) -> bytes:
    """Return ``figure`` as PNG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()


def _figures(results: Results, curves: Curves) -> Iterator[ReportFigure]:
    several = len(results.seeds) > 1
    yield ReportFigure(
        "forest",
        f"AUC of each scheme on the test part ({sample_text(results)}), with its 95% interval"
        f"{', clustered by patient' if clustered(results) else ''}, and its target."
        + (_REACH_CAPTION if reaches_text(results) else ""),
        "Forest plot. " + "; ".join(_forest_text(scheme) for scheme in results.schemes),
        render(draw_forest(results)),
    )
    if several:
        yield ReportFigure(
            "seeds",
            "AUC of every seed. Thin lines join the schemes of one seed: where they cross, the order of two "
            "schemes does not hold over seeds.",
            "Dot plot of the AUC of each seed. "
            + "; ".join(
                f"{s.name} {', '.join(decimal(seed.curve.auc) for seed in s.seeds)}" for s in results.schemes
            ),
            render(draw_seeds(results)),
        )
    yield ReportFigure(
        "roc",
        "ROC curves, a panel a scheme. Marks are thresholds that were chosen on validation images, at the "
        "sensitivity and specificity that they have on the test part, with Wilson 95% intervals.",
        "ROC curves of " + ", ".join(f"{s.name} (AUC {decimal(s.auc)})" for s in results.schemes),
        render(draw_roc(results, curves)),
    )
    if len(results.schemes) > 2:
        over = "difference of the means over seeds" if several else "difference"
        yield ReportFigure(
            "pairs",
            f"AUC of the row minus AUC of the column: {over}, and its Holm-adjusted p. A frame "
            "marks an adjusted p below 0.05.",
            "Matrix of AUC differences. " + "; ".join(_pair_texts(results)),
            render(draw_pairs(results)),
        )
    yield ReportFigure(
        "training",
        "Training loss and validation AUC of every stage run"
        f"{', one line a fold' if folds(results) else ''}. "
        "A ring marks the epoch that was kept. Losses of stages with different labels cannot be compared.",
        "Training curves. " + "; ".join(_stage_text(stage) for stage in results.stages),
        render(draw_training(results)),
    )


def _forest_text(scheme: SchemeResult) -> str:
    ends = reach_interval(scheme)
    decides = "" if ends is None else f", what decides {interval(*ends)}"
    return f"{scheme.name} {decimal(scheme.auc)} {interval(scheme.ci_low, scheme.ci_high)}{decides}"


def _stage_text(stage: StageResult) -> str:
    fold = f", fold {stage.fold}" if stage.fold else ""
    return (
        f"{stage.run}, seed {stage.seed}{fold}: validation AUC {decimal(stage.validation_auc)} in epoch "
        f"{stage.best_epoch + 1} of {len(stage.epochs)}"
    )


def _pair_texts(results: Results) -> Iterator[str]:
    for i, row in enumerate(results.names):
        for column in results.names[:i]:
            pair = results.difference(row, column)
            yield f"{row} minus {column} {signed(pair.difference)}, p {p_value(pair.p_adjusted)}"
