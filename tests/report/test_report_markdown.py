"""The Markdown summary."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cxrbench.report.markdown import summary
from cxrbench.study.results import FormulaResult

MakeStudy = Callable[..., Any]


def _rows(markdown: str, heading: str) -> list[list[str]]:
    """Return the cells of the table that follows ``heading``."""
    lines = markdown.split(heading, 1)[1].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|:"))
    rows = []
    for line in lines[start + 1 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def test_schemes_are_one_row_each_with_their_numbers(make_study: MakeStudy) -> None:
    rows = _rows(summary(make_study().results), "# Six schemes")
    assert [row[0] for row in rows] == [
        "control",
        "findings",
        "pneumonia",
        "sequential",
        "pooled-supplement",
        "pooled-all",
    ]
    assert rows[0] == [
        "control",
        "init > covid",
        "0.757",
        "[0.741, 0.773]",
        "0.757 ± 0.030",
        "pass",
        "",
        "42",
    ]
    assert rows[4][4:] == [r"0.840 ± 0.020\*", "inconclusive", "<0.001".replace("<", "&lt;"), "232"]


def test_all_pairs_are_listed_a_minus_b(make_study: MakeStudy) -> None:
    markdown = summary(make_study().results)
    rows = _rows(markdown, "## All pairs")
    assert len(rows) == 15
    assert rows[4] == ["control", "pooled-all", "−0.044", "[−0.056, −0.032]", "0.007", "0.021"]
    assert "All AUCs equal: chi-square 131.27, 5 df, p &lt;0.001" in markdown


def test_every_seed_has_its_pairs(make_study: MakeStudy) -> None:
    markdown = summary(make_study(seeds=(3, 5), names=("control", "findings")).results)
    assert len(_rows(markdown, "## All pairs, seed 3")) == 1
    assert len(_rows(markdown, "## All pairs, seed 5")) == 1


def test_notes_on_pairs_and_omnibus_are_shown(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings")).results
    (comparison,) = results.comparisons
    (pair,) = comparison.pairs
    noted = replace(
        comparison,
        pairs=(replace(pair, note="the curves rank alike"),),
        omnibus=replace(comparison.omnibus, chi2=None, p_value=None, note="no variance"),
    )
    markdown = summary(replace(results, comparisons=(noted,)))
    assert _rows(markdown, "## All pairs")[0][-1] == "the curves rank alike"
    assert "All AUCs equal: not testable (no variance)" in markdown


def test_one_scheme_has_no_pairs(make_study: MakeStudy) -> None:
    markdown = summary(make_study(names=("control",)).results)
    assert "All pairs" not in markdown
    assert "Holm" not in markdown


def test_what_the_images_are_is_said_first(make_study: MakeStudy) -> None:
    synthetic = summary(make_study(names=("control",)).results)
    assert synthetic.splitlines()[2].startswith("> Synthetic radiographs. ")
    assert "says nothing about COVID-19" in synthetic.splitlines()[2]
    real = summary(make_study(names=("control",), synthetic=False).results)
    assert real.splitlines()[2].startswith("> Labels go with source and view. ")
    assert "no clinical evidence" in real.splitlines()[2]
    assert "ynthetic radiographs:" not in real


def test_a_hostile_title_is_shown_as_it_is(make_study: MakeStudy) -> None:
    title = "<img src=x> | *a* `b` [c](http://x)\n# d /home/jane.doe/x.csv"
    markdown = summary(make_study(names=("control",), title=title).results)
    assert markdown.splitlines()[0] == r"# &lt;img src=x> \| \*a\* \`b\` [c]\(http://x) # d x.csv"


def test_what_decides_is_said_below_the_table(reports: dict[str, Any]) -> None:
    said = (
        "- verdict: where the target is a calibration's mean and spread, the AUC passes where 95% of runs of "
        "unchanged code lie (control ± {}, sequential ± {}) and fails outside of where 99.9% lie"
    )
    markdown = {name: summary(written.study.results) for name, written in reports.items()}
    assert said.format("0.033", "0.061") in markdown["calibrated"].splitlines()
    # Three seeds: t(4; 0.975) sd sqrt(1/3 + 1/5).
    assert said.format("0.022", "0.041") in markdown["calibrated-seeds"].splitlines()
    assert "unchanged code" not in markdown["six"]


def test_provenance_names_profile_seeds_split_and_versions(make_study: MakeStudy) -> None:
    rows = dict(_rows(summary(make_study(names=("control",)).results), "## Provenance"))
    assert rows["profile"] == "phantom"
    assert rows["seeds"] == "0"
    assert rows["split of the test role"].startswith("5a376993386a")
    assert rows["version of torch"] == "2.11.0+cpu"


def test_provenance_says_where_trunks_start_and_what_that_cost(make_study: MakeStudy) -> None:
    results = make_study(names=("control",)).results
    assert dict(_rows(summary(results), "## Provenance"))["initial parameters"] == results.init
    formula = FormulaResult("0123456789abcdef", images=9600, seconds=137.2, validation_auc=0.99)
    made = replace(results, init="formula, seed 3", formula=formula)
    row = dict(_rows(summary(made), "## Provenance"))["initial parameters"]
    assert row == "formula, seed 3 (137 s, in no scheme's seconds; key 0123456789ab)"
