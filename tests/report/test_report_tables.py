"""The tables as CSV and as LaTeX."""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cxrbench.report.tables import Table, tables

MakeStudy = Callable[..., Any]


def _read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_gives_back_the_numbers_to_the_last_digit(make_study: MakeStudy) -> None:
    results = make_study(seeds=(0, 1)).results
    made = tables(results)
    for row, scheme in zip(_read(made["schemes"].csv()), results.schemes, strict=True):
        assert row["scheme"] == scheme.name
        assert float(row["auc"]) == scheme.auc
        assert float(row["ci_low"]) == scheme.ci_low
        assert float(row["sd_between_seeds"]) == scheme.sd_between_seeds
    for row, pair in zip(_read(made["pairs"].csv()), results.pairs, strict=True):
        assert (row["a"], row["b"], float(row["p_holm"])) == (pair.a, pair.b, pair.p_adjusted)
    points = [
        (scheme.name, str(seed.seed), str(point.threshold))
        for scheme in results.schemes
        for seed in scheme.seeds
        for point in seed.points
    ]
    assert [(r["scheme"], r["seed"], r["threshold"]) for r in _read(made["points"].csv())] == points


def test_further_tests_are_a_table_of_their_own(
    make_study: MakeStudy, with_further_test: Callable[[Any], Any]
) -> None:
    results = with_further_test(make_study(names=("control", "sequential")).results)
    made = tables(results)["further"]
    rows = _read(made.csv())
    assert [(row["test"], row["scheme"]) for row in rows] == [
        ("hospital-b", "control"),
        ("hospital-b", "sequential"),
    ]
    assert float(rows[1]["auc"]) == results.tests["hospital-b"].schemes["sequential"].auc
    assert float(rows[1]["own_auc"]) == results.scheme("sequential").auc
    assert float(rows[1]["difference_low"]) == -0.02
    assert r"61, 23 positive" in made.latex()
    assert "further" not in tables(make_study(names=("control",)).results)


def test_what_is_not_known_is_an_empty_cell(make_study: MakeStudy) -> None:
    made = tables(make_study(names=("control",)).results)
    assert "pairs" not in made
    (row,) = _read(made["schemes"].csv())
    assert row["sd_between_seeds"] == row["p_against_control_holm"] == ""


def test_latex_has_one_line_per_row_and_no_character_that_ends_a_run(make_study: MakeStudy) -> None:
    made = tables(make_study().results)
    for name, table in made.items():
        text = table.latex()
        body = text.split("\\midrule")[1].split("\\bottomrule")[0].strip().splitlines()
        assert len(body) == len(next(iter(table.shown.values())))
        assert {line.count("&") for line in body} == {len(table.shown) - 1}
        assert all(line.endswith(r"\\") for line in body)
        assert text.isascii(), name
    schemes = made["schemes"].latex()
    assert r"init \ensuremath{>} findings + pneumonia + covid" in schemes
    assert r"0.757 \ensuremath{\pm} 0.030" in schemes
    assert r"\ensuremath{-}0.044" in made["pairs"].latex()


def test_signs_of_latex_in_a_text_are_escaped() -> None:
    text = Table({}, {"threshold by": ["100% of $x_1$ & more"]}).latex()
    assert r"100\% of \$x\_1\$ \& more" in text
    assert not re.search(r"(?<!\\)[%$&_]", text.split("\\midrule")[1])


@pytest.mark.parametrize("name", ["six", "seeds", "single"])
def test_tables_are_written_next_to_the_page(reports: dict[str, Any], name: str) -> None:
    written = reports[name]
    found = {path.name for path in (written.index.parent / "tables").iterdir()}
    wanted = {"schemes", "points"} | ({"pairs"} if name != "single" else set())
    assert found == {f"{table}.{kind}" for table in wanted for kind in ("csv", "tex")}
    results = written.study.results
    text = (written.index.parent / "tables" / "schemes.csv").read_text(encoding="utf-8")
    assert text == tables(replace(results, settings={}))["schemes"].csv()
