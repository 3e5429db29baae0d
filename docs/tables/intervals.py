"""Tables of docs/statistics.md: what the simulation of the intervals found."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from evidence import markdown

EVIDENCE = Path(__file__).parents[1] / "statistics" / "coverage.csv"
HELD_OUT, AGAIN = (EVIDENCE.with_name(name) for name in ("held-out.csv", "again.csv"))
LEAST, MOST, MOST_ERROR = 0.93, 0.98, 0.035
"""The bounds asked: of the coverage, and of each one-sided error."""
MANY = 100_000
"""Samples of a cell that is drawn again."""
USUAL = 0.7
"""The correlation of the two classifiers' scores in the main tables."""


def cells(path: Path = EVIDENCE) -> list[dict[str, str]]:
    """Return the rows of the evidence."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def single() -> str:
    """Coverage of the interval of one AUC, by test sample and true AUC."""
    rows = [cell for cell in cells() if not cell["auc_b"]]
    return _by_auc(rows, "covers", "AUC")


def short() -> str:
    """The cells that miss the bounds asked with ten times the samples too."""
    body = []
    for cell in cells(AGAIN):
        if not _outside(cell):
            continue
        aucs = f"{cell['auc_a']} and {cell['auc_b']}" if cell["auc_b"] else cell["auc_a"]
        shares = [_percent(cell[key], 2) for key in ("covers", "above", "below")]
        error = _percent(_standard_error(float(cell["covers"])), 2)
        body.append([cell["design"], aucs, cell["correlation"], f"{shares[0]} ± {error}", *shares[1:]])
    return markdown(
        ("test sample", "AUC", "correlation", "covers", "lower limit errs", "upper limit errs"), body
    )


def looked_again() -> str:
    """How many cells miss the bounds asked, at first and with ten times the samples."""
    again = {_key(cell): cell for cell in cells(AGAIN)}
    body = []
    for name, path in (("by which the constants were chosen", EVIDENCE), ("held out", HELD_OUT)):
        rows = cells(path)
        drawn = [again[_key(cell)] for cell in rows if _key(cell) in again]
        missed = [cell for cell in drawn if _outside(cell)]
        clearly = [cell for cell in missed if _outside(cell, errors=2.0)]
        numbers = (rows, [cell for cell in rows if _outside(cell)], drawn, missed, clearly)
        body.append([name, *(str(len(some)) for some in numbers)])
    return markdown(
        ("cells", "in all", "outside", "drawn again", "outside again", "by over two standard errors"), body
    )


def methods() -> str:
    """Every kind of limits over all cells: what is used here, MOVER or its logit-t, the large-sample ones."""
    body = []
    for paired, names in (
        (False, ("one AUC: used here", "logit-t", "logit")),
        (True, ("a difference: used here", "MOVER", "Wald")),
    ):
        rows = [cell for cell in cells() if bool(cell["auc_b"]) == paired]
        for name, prefix in zip(names, ("", "mover_", "wald_"), strict=True):
            own = [{key: cell[prefix + key] for key in ("covers", "below", "above")} for cell in rows]
            outside = sum(_outside(cell) for cell in own)
            body.append([name, str(len(own)), str(outside), *_extremes(own)])
    return markdown(
        ("limits", "cells", "outside", "covers, least", "most", "lower limit errs, most",
         "upper limit errs, most"),
        body,
    )  # fmt: skip


def _key(cell: dict[str, str]) -> tuple[str, ...]:
    return cell["design"], cell["auc_a"], cell["auc_b"], cell["correlation"]


def _standard_error(share: float) -> float:
    return math.sqrt(share * (1 - share) / MANY)


def _outside(cell: dict[str, str], errors: float = 0.0) -> bool:
    """Return whether the cell misses the bounds asked, by over so many standard errors of MANY samples."""
    covers, errs = float(cell["covers"]), max(float(cell["below"]), float(cell["above"]))
    away = errors * _standard_error(covers)
    return not LEAST - away <= covers <= MOST + away or errs > MOST_ERROR + errors * _standard_error(errs)


def held_out() -> str:
    """The worst of the held-out cells."""
    rows = cells(HELD_OUT)
    return markdown(
        ("limits of", "cells", "covers, least", "most", "lower limit errs, most", "upper limit errs, most"),
        [
            [name, str(len(some)), *_extremes(some)]
            for name, some in (
                ("one AUC", [row for row in rows if not row["auc_b"]]),
                ("a difference", [row for row in rows if row["auc_b"]]),
            )
        ],
    )


def power() -> str:
    """How often a classifier as good as the other is shown to lose less than 0.05."""
    rows = [cell for cell in cells() if cell["correlation"] == str(USUAL) and cell["auc_a"] == cell["auc_b"]]
    aucs = list(dict.fromkeys(cell["auc_a"] for cell in rows))
    kinds = {"": "", "MOVER": "mover_", "Wald": "wald_"}
    body = []
    for design in dict.fromkeys(cell["design"] for cell in rows):
        of_design = {cell["auc_a"]: cell for cell in rows if cell["design"] == design}
        shares = [of_design[auc][f"{prefix}passes"] for auc in aucs for prefix in kinds.values()]
        body.append([design, *map(_percent, shares)])
    heads = [f"both {float(auc):.2f}{kind and ', '}{kind}" for auc in aucs for kind in kinds]
    return markdown(("test sample", *heads), body)


def difference() -> str:
    """Coverage of the interval of a difference and its one-sided errors, worst of the pairs of AUCs."""
    return _worst_of([cell for cell in cells() if cell["correlation"] == str(USUAL)], "design")


def correlations() -> str:
    """The same at other correlations of the two classifiers' scores."""
    rows = [cell for cell in cells() if cell["correlation"] not in ("", str(USUAL))]
    return _worst_of(rows, "design", "correlation")


def bootstrap() -> str:
    """Coverage of bootstrap intervals by test sample and true AUC, BCa and percentile."""
    rows = cells(EVIDENCE.with_name("bootstrap.csv"))
    numbers = list(dict.fromkeys(cell["of"] for cell in rows))
    body = []
    for key in dict.fromkeys((cell["design"], cell["auc_b"]) for cell in rows):
        of_key = {cell["of"]: cell for cell in rows if (cell["design"], cell["auc_b"]) == key}
        shares = [(of_key[number]["bca_covers"], of_key[number]["percentile_covers"]) for number in numbers]
        body.append([*key, *(f"{_percent(bca)} ({_percent(plain)})" for bca, plain in shares)])
    return markdown(("test sample", "AUC", *numbers), body)


def _by_auc(rows: list[dict[str, str]], column: str, head: str) -> str:
    """Return a row per test sample and a column per AUC: ours, and Wald's in parentheses."""
    aucs = list(dict.fromkeys(cell["auc_a"] for cell in rows))
    body = []
    for design in dict.fromkeys(cell["design"] for cell in rows):
        of_design = {cell["auc_a"]: cell for cell in rows if cell["design"] == design}
        shares = [(of_design[auc][column], of_design[auc][f"wald_{column}"]) for auc in aucs]
        body.append([design, *(f"{_percent(ours)} ({_percent(walds)})" for ours, walds in shares)])
    return markdown(("test sample", *(f"{head} {float(auc):.2f}" for auc in aucs)), body)


def _worst_of(rows: list[dict[str, str]], *by: str) -> str:
    """Return a row per different value of the columns ``by``."""
    keys = dict.fromkeys(tuple(cell[column] for column in by) for cell in rows)
    return markdown(
        ("test sample", *by[1:], "covers, least", "most", "lower limit errs, most", "upper limit errs, most",
         "Wald covers, least", "Wald's lower limit errs, most"),
        [
            [*key, *_worst([cell for cell in rows if tuple(cell[column] for column in by) == key])]
            for key in keys
        ],
    )  # fmt: skip


def _worst(rows: list[dict[str, str]]) -> list[str]:
    walds = min(float(row["wald_covers"]) for row in rows), max(float(row["wald_above"]) for row in rows)
    return [*_extremes(rows), *map(_percent, walds)]


def _extremes(rows: list[dict[str, str]]) -> list[str]:
    """Return the least and the most coverage, and the most errors of the lower and of the upper limit."""
    covers, above, below = ([float(row[key]) for row in rows] for key in ("covers", "above", "below"))
    return [_percent(value) for value in (min(covers), max(covers), max(above), max(below))]


def _percent(share: str | float, digits: int = 1) -> str:
    return f"{100 * float(share):.{digits}f}"
