"""The figures of the report. Each module owns one: when there is one, its caption, its alt text, its drawing.

Figures are made through matplotlib's objects and rendered without a display; pyplot and its state are not
used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure
from cxrbench.report.figures.forest import forest
from cxrbench.report.figures.pairs import pairs
from cxrbench.report.figures.plan import plan
from cxrbench.report.figures.roc import roc
from cxrbench.report.figures.seeds import seeds
from cxrbench.report.figures.training import training

if TYPE_CHECKING:
    from cxrbench.study.results import Results

__all__ = ["NAMES", "ReportFigure", "draw_figures"]

_MAKE = {"forest": forest, "seeds": seeds, "roc": roc, "pairs": pairs, "plan": plan, "training": training}
NAMES = tuple(_MAKE)


def draw_figures(results: Results, curves: Curves) -> tuple[ReportFigure, ...]:
    """Return the figures that the study gives: no matrix of one pair, no spread of one seed."""
    made = (make(results, curves) for make in _MAKE.values())
    return tuple(figure for figure in made if figure is not None)
