"""The tables of the report as files: CSV at full precision, and LaTeX as a paper has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabulate import tabulate

from cxrbench.report.content import has_control, p_against_control, short_target
from cxrbench.report.further import further_table
from cxrbench.report.text import MINUS, count, decimal, interval, p_value, rule, signed, signed_interval

if TYPE_CHECKING:
    from cxrbench.look.pointing import Pointing
    from cxrbench.study.results import Results


@dataclass(frozen=True)
class Table:
    """One table, twice.

    values: column -> its cells, texts and numbers, None where not known. shown: heading -> its cells as text.
    right: the headings of columns of numbers.
    """

    values: Mapping[str, Sequence[object]]
    shown: Mapping[str, Sequence[str]]
    right: Sequence[str] = ()

    def csv(self) -> str:
        """Return the numbers as CSV; what is not known is empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.values)
        writer.writerows(zip(*self.values.values(), strict=True))
        return out.getvalue()

    def latex(self) -> str:
        """Return a ``tabular`` with the rules of the package booktabs."""
        text = tabulate(
            list(zip(*self.shown.values(), strict=True)),
            headers=list(self.shown),
            tablefmt="latex_booktabs",
            colalign=["right" if heading in self.right else "left" for heading in self.shown],
            disable_numparse=True,
        )
        # A minus sign and a plus-minus sign are not in every font of LaTeX's.
        return text.replace(MINUS, r"\ensuremath{-}").replace("±", r"\ensuremath{\pm}") + "\n"


def tables(results: Results, pointing: Mapping[str, Pointing] | None = None) -> dict[str, Table]:
    """Return name -> table: schemes, pairs, operating points, further tests, pointing game; none is empty."""
    made = {
        "schemes": _schemes(results),
        "pairs": _pairs(results),
        "points": _points(results),
        "further": _further(results),
        "pointing": _pointing(pointing or {}),
    }
    return {name: table for name, table in made.items() if any(table.values.values())}


def _schemes(results: Results) -> Table:
    schemes = results.schemes
    against = {
        scheme.name: results.difference(scheme.name, "control").p_adjusted
        for scheme in schemes
        if has_control(results) and scheme.name != "control"
    }
    shown: dict[str, list[str]] = {
        "scheme": [scheme.name for scheme in schemes],
        "training": [scheme.notation for scheme in schemes],
        "AUC": [decimal(scheme.auc) for scheme in schemes],
        "95% interval": [interval(scheme.ci_low, scheme.ci_high) for scheme in schemes],
        "target": [short_target(scheme) for scheme in schemes],
        "verdict": [scheme.verdict.outcome for scheme in schemes],
    }
    if against:
        shown["p against control"] = [p_against_control(results, scheme) for scheme in schemes]
    return Table(
        {
            "scheme": shown["scheme"],
            "notation": shown["training"],
            "auc": [scheme.auc for scheme in schemes],
            "se": [scheme.se for scheme in schemes],
            "ci_low": [scheme.ci_low for scheme in schemes],
            "ci_high": [scheme.ci_high for scheme in schemes],
            "sd_between_seeds": [scheme.sd_between_seeds for scheme in schemes],
            "seeds": [len(scheme.seeds) for scheme in schemes],
            "target": shown["target"],
            "verdict": shown["verdict"],
            "p_against_control_holm": [against.get(scheme.name) for scheme in schemes],
            "train_seconds": [scheme.train_seconds for scheme in schemes],
        },
        shown,
        ("AUC", "p against control"),
    )


def _pairs(results: Results) -> Table:
    pairs = results.pairs
    names = {"a": [pair.a for pair in pairs], "b": [pair.b for pair in pairs]}
    return Table(
        {
            **names,
            "difference": [pair.difference for pair in pairs],
            "se": [pair.se for pair in pairs],
            "ci_low": [pair.ci_low for pair in pairs],
            "ci_high": [pair.ci_high for pair in pairs],
            "p": [pair.p_value for pair in pairs],
            "p_holm": [pair.p_adjusted for pair in pairs],
        },
        {
            **names,
            "a minus b": [signed(pair.difference) for pair in pairs],
            "95% interval": [signed_interval(pair.ci_low, pair.ci_high) for pair in pairs],
            "p": [p_value(pair.p_value) for pair in pairs],
            "p (Holm)": [p_value(pair.p_adjusted) for pair in pairs],
        },
        ("a minus b", "p", "p (Holm)"),
    )


def _further(results: Results) -> Table:
    rows = [
        (test, scheme, results.tests[test], found)
        for test in results.tests
        for scheme, found in results.tests[test].schemes.items()
    ]
    headings, shown = further_table(results) or ([], [])
    return Table(
        {
            "test": [test for test, *_ in rows],
            "images": [test.n_images for _, _, test, _ in rows],
            "positive": [test.n_positive for _, _, test, _ in rows],
            "patients": [test.n_patients for _, _, test, _ in rows],
            "scheme": [scheme for _, scheme, *_ in rows],
            "auc": [found.auc for *_, found in rows],
            "se": [found.se for *_, found in rows],
            "ci_low": [found.ci_low for *_, found in rows],
            "ci_high": [found.ci_high for *_, found in rows],
            "own_auc": [results.scheme(scheme).auc for _, scheme, *_ in rows],
            "difference": [found.difference for *_, found in rows],
            "difference_low": [found.difference_low for *_, found in rows],
            "difference_high": [found.difference_high for *_, found in rows],
            "p": [found.p_value for *_, found in rows],
        },
        {heading: [row[place] for row in shown] for place, heading in enumerate(headings)},
        ("AUC there", "own AUC", "difference", "p"),
    )


def _pointing(pointing: Mapping[str, Pointing]) -> Table:
    games = pointing.values()
    return Table(
        {
            "scheme": list(pointing),
            "films": [game.films for game in games],
            "hits": [game.hits for game in games],
            "share": [game.share for game in games],
            "ci_low": [game.ci_low for game in games],
            "ci_high": [game.ci_high for game in games],
            "random_place": [game.random for game in games],
            "best_single_place": [game.fixed for game in games],
        },
        {
            "scheme": list(pointing),
            "films": [count(game.films) for game in games],
            "hits": [count(game.hits) for game in games],
            "share": [f"{decimal(game.share)} {interval(game.ci_low, game.ci_high)}" for game in games],
            "a place at random": [decimal(game.random) for game in games],
            "the best single place": [decimal(game.fixed) for game in games],
        },
        ("films", "hits", "a place at random", "the best single place"),
    )


def _points(results: Results) -> Table:
    rows = [
        (scheme.name, seed.seed, point)
        for scheme in results.schemes
        for seed in scheme.seeds
        for point in seed.points
    ]
    points = [point for *_, point in rows]
    schemes = [name for name, *_ in rows]
    shown: dict[str, list[str]] = {
        "scheme": schemes,
        **({"seed": [str(seed) for _, seed, _ in rows]} if len(results.seeds) > 1 else {}),
        "threshold by": [rule(point.chosen) for point in points],
        "sensitivity": [
            f"{decimal(p.sensitivity)} {interval(p.sensitivity_low, p.sensitivity_high)}" for p in points
        ],
        "specificity": [
            f"{decimal(p.specificity)} {interval(p.specificity_low, p.specificity_high)}" for p in points
        ],
    }
    return Table(
        {
            "scheme": schemes,
            "seed": [seed for _, seed, _ in rows],
            "threshold_by": [point.chosen for point in points],
            "threshold": [point.threshold for point in points],
            "sensitivity": [point.sensitivity for point in points],
            "sensitivity_low": [point.sensitivity_low for point in points],
            "sensitivity_high": [point.sensitivity_high for point in points],
            "specificity": [point.specificity for point in points],
            "specificity_low": [point.specificity_low for point in points],
            "specificity_high": [point.specificity_high for point in points],
        },
        shown,
    )
