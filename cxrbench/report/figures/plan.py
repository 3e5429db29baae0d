"""The plan as a graph: which stage runs were trained, and which of them several schemes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from cxrbench.report.curves import Curves
from cxrbench.report.figures.figure import ReportFigure, render
from cxrbench.report.figures.style import BLUE, GREY, INK, SMALL, new_figure
from cxrbench.report.text import decimal
from cxrbench.schemes import INIT, Plan, StageRun, make_plan, parse
from cxrbench.text import plural

if TYPE_CHECKING:
    from cxrbench.study.results import Results

_SHARED = {"facecolor": "#e3eef6", "edgecolor": BLUE, "linewidth": 1.4}
_OWN = {"facecolor": "white", "edgecolor": GREY, "linewidth": 0.9}
_HALF_BOX = 0.42
"""Half the width of the widest box, in columns."""


def plan(results: Results, curves: Curves) -> ReportFigure:  # noqa: ARG001
    """Return the figure: there always is one."""
    made = _plan(results)
    shared = {run: names for run, names in _users(results, made).items() if len(names) > 1}
    named = sum(scheme.notation.count(">") for scheme in results.schemes)
    trained = plural(len(made.runs), "stage run")
    said = f"The schemes name {plural(named, 'stage run')}; {trained} had to be trained for each seed."
    if shared:
        said += " A filled box is shared, and trained once."
    texts = [f"{scheme.name}: {scheme.notation}, AUC {decimal(scheme.auc)}" for scheme in results.schemes] + [
        f"{run} is shared by {', '.join(names)}" for run, names in shared.items()
    ]
    return ReportFigure(
        "plan", said, "Graph of the stage runs. " + "; ".join(texts), render(draw_plan(results))
    )


def draw_plan(results: Results) -> Figure:
    """Return the graph: from the initial parameters on the left to the schemes' AUCs on the right."""
    made = _plan(results)
    users = _users(results, made)
    rows = _rows(made)
    depth = max(len(run.path) for run in made.runs)
    ends = [run for run in made.runs if not _children(made, run)]
    figure = new_figure(2.3 + 1.5 * depth, 0.75 + 0.6 * len(ends))
    axes = figure.subplots()
    start = sum(rows[run] for run in _children(made, None)) / len(_children(made, None))
    boxes: dict[StageRun | None, Text] = {None: _box(axes, 0, start, INIT, shared=False)}
    for run in made.runs:
        text = " +\n".join(run.stage.roles)
        boxes[run] = _box(axes, len(run.path), rows[run], text, shared=len(users[run]) > 1)
    # After all boxes, whose outlines the arrows end at.
    for run in made.runs:
        _arrow(axes, boxes[run.parent], boxes[run])
        _name(axes, results, run, [name for name, last in made.final.items() if last == run], rows[run], ends)
    axes.set_xlim(-0.5, depth + 1.7)
    axes.set_ylim(len(ends) - 0.4, -0.6)
    axes.set_axis_off()
    return figure


def _box(axes: Axes, column: float, row: float, text: str, *, shared: bool) -> Text:
    return axes.text(
        column,
        row,
        text,
        ha="center",
        va="center",
        fontsize=SMALL + 1 if text.count("\n") < 2 else SMALL,
        color=INK,
        linespacing=1.15,
        bbox={"boxstyle": "round,pad=0.35", **(_SHARED if shared else _OWN)},
    )


def _arrow(axes: Axes, start: Text, end: Text) -> None:
    axes.annotate(
        "",
        end.get_position(),
        start.get_position(),
        arrowprops={
            "arrowstyle": "-|>",
            "color": GREY,
            "linewidth": 0.9,
            "patchA": start.get_bbox_patch(),
            "patchB": end.get_bbox_patch(),
            "shrinkA": 0,
            "shrinkB": 1,
        },
    )


def _name(
    axes: Axes, results: Results, run: StageRun, schemes: list[str], row: float, ends: list[StageRun]
) -> None:
    """Write which schemes end with ``run``, and their AUCs, next to its box, or below where runs follow."""
    text = "\n".join(f"{name}  {decimal(results.scheme(name).auc)}" for name in schemes)
    if run in ends:
        axes.text(len(run.path) + _HALF_BOX, row, text, va="center", fontsize=SMALL + 1, color=INK)
    elif schemes:
        axes.text(len(run.path), row + 0.4, text, ha="center", va="top", fontsize=SMALL, color=INK)


def _plan(results: Results) -> Plan:
    return make_plan(parse(scheme.name, scheme.notation) for scheme in results.schemes)


def _users(results: Results, made: Plan) -> dict[StageRun, list[str]]:
    """Return run -> the schemes that need it."""
    return {
        run: [name for name in results.names if made.final[name].path[: len(run.path)] == run.path]
        for run in made.runs
    }


def _children(made: Plan, parent: StageRun | None) -> list[StageRun]:
    return [run for run in made.runs if run.parent == parent]


def _rows(made: Plan) -> dict[StageRun, float]:
    """Return the height of each run: one line for each last one, and the middle of its own for any other."""
    rows: dict[StageRun, float] = {}
    lines = 0

    def place(run: StageRun) -> float:
        nonlocal lines
        children = _children(made, run)
        if children:
            heights = [place(child) for child in children]
            rows[run] = sum(heights) / len(heights)
        else:
            rows[run] = float(lines)
            lines += 1
        return rows[run]

    for run in _children(made, None):
        place(run)
    return rows
