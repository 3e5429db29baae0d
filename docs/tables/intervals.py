"""Tables of docs/statistics.md: what the simulation of the intervals found."""

from __future__ import annotations

import csv
from pathlib import Path

from evidence import markdown

EVIDENCE = Path(__file__).parents[1] / "statistics" / "coverage.csv"
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
    """The cells that miss 93 to 98% or a one-sided error of 3.5%, and how many there are in all."""
    body = []
    for name, path in (("", EVIDENCE), (", held out", EVIDENCE.with_name("held-out.csv"))):
        for cell in cells(path):
            covers, errs = float(cell["covers"]), max(float(cell["below"]), float(cell["above"]))
            if not 0.93 <= covers <= 0.98 or errs > 0.035:
                aucs = f"{cell['auc_a']} and {cell['auc_b']}" if cell["auc_b"] else cell["auc_a"]
                shares = [_percent(cell[key]) for key in ("covers", "above", "below")]
                body.append([f"{cell['design']}{name}", aucs, cell["correlation"], *shares])
    return markdown(
        ("test sample", "AUC", "correlation", "covers", "lower limit errs", "upper limit errs"), body
    )


def held_out() -> str:
    """The worst of the held-out cells."""
    rows = cells(EVIDENCE.with_name("held-out.csv"))
    return markdown(
        ("limits of", "cells", "covers, least", "most", "lower limit errs, most", "upper limit errs, most"),
        [
            [name, str(len(some)), *_worst(some)[:4]]
            for name, some in (
                ("one AUC", [row for row in rows if not row["auc_b"]]),
                ("a difference", [row for row in rows if row["auc_b"]]),
            )
        ],
    )


def power() -> str:
    """How often a classifier as good as the other is shown to lose less than 0.05."""
    rows = [cell for cell in cells() if cell["correlation"] == str(USUAL) and cell["auc_a"] == cell["auc_b"]]
    return _by_auc(rows, "passes", "both AUC")


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
    def of(column: str) -> list[float]:
        return [float(row[column]) for row in rows]

    return [
        _percent(value)
        for value in (
            min(of("covers")), max(of("covers")), max(of("above")), max(of("below")),
            min(of("wald_covers")), max(of("wald_above")),
        )
    ]  # fmt: skip


def _percent(share: str | float) -> str:
    return f"{100 * float(share):.1f}"
