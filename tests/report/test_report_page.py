"""The HTML report as a whole."""

import base64
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.report import write_report
from cxrbench.report.content import answer, network_notes
from cxrbench.report.figures import ReportFigure
from cxrbench.report.page import page
from cxrbench.statistics.records import MarginTest
from cxrbench.study.results import Results

MakeStudy = Callable[..., Any]

VOID = {"meta", "img", "br", "hr", "link", "wbr"}
SHAPES = ("six", "seeds", "pair", "single", "calibrated")


class Document(HTMLParser):
    """Tables, headings, pictures and links of a page; fails where tags do not close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.titles: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag in ("h1", "h2", "title"):
            self.titles.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data
        if self.open and self.open[-1] in ("h1", "h2", "title"):
            self.titles[-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every element of that name."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize("name", SHAPES)
def test_the_page_is_self_contained(reports: dict[str, Any], name: str) -> None:
    html = reports[name].html
    document = Document(html)
    assert not {tag for tag, _ in document.elements} & {"script", "link", "iframe", "object"}
    assert not [key for _, attributes in document.elements for key in attributes if key.startswith("on")]
    assert not re.search(r"https?://|@import|url\(", html)
    anchors = {link["href"] for link in document.all("a")}
    assert all(anchor is not None and anchor.startswith("#") for anchor in anchors)
    assert {f"#{section['id']}" for section in document.all("section")} == anchors


@pytest.mark.parametrize("name", SHAPES)
def test_pictures_have_texts_and_headers_have_scopes(reports: dict[str, Any], name: str) -> None:
    document = Document(reports[name].html)
    assert all(len(image["alt"] or "") > 20 for image in document.all("img"))
    assert all(header.get("scope") in ("col", "row") for header in document.all("th"))
    assert document.all("html") == [{"lang": "en"}]
    assert len(document.all("caption")) == len(document.all("table"))


@pytest.mark.parametrize("name", SHAPES)
def test_the_pictures_in_the_page_are_the_files_next_to_it(reports: dict[str, Any], name: str) -> None:
    index = reports[name].index
    sources = [image["src"] or "" for image in Document(reports[name].html).all("img")]
    files = {path.read_bytes() for path in (index.parent / "figures").iterdir()}
    assert {base64.b64decode(source.removeprefix("data:image/png;base64,")) for source in sources} == files


@pytest.mark.parametrize("name", SHAPES)
def test_every_row_has_as_many_cells_as_its_header(reports: dict[str, Any], name: str) -> None:
    for table in re.findall(r"<table>.*?</table>", reports[name].html, re.DOTALL):
        rows = Document(table).rows
        assert len({len(row) for row in rows}) == 1, rows[0]
        assert len(rows) > 1


def test_every_scheme_has_its_numbers(reports: dict[str, Any]) -> None:
    rows = Document(reports["six"].html).rows
    schemes = rows[1:7]
    assert [row[0].split()[0] for row in schemes] == [
        "control",
        "findings",
        "pneumonia",
        "sequential",
        "pooled-supplement",
        "pooled-all",
    ]
    assert schemes[0][1:] == ["0.757", "[0.741, 0.773]", "0.757 ± 0.030", "pass", "–", "42"]
    assert schemes[1][1:] == ["0.842", "[0.829, 0.855]", "at least 0.860", "fail", "<0.001", "151"]
    assert schemes[5][1:] == ["0.801", "[0.785, 0.817]", "none", "inconclusive", "0.021", "1,204"]
    assert ["control", "pooled-all", "−0.044", "[−0.056, −0.032]", "0.007", "0.021"] in rows
    assert "AUC 0.842 [0.829, 0.855] against at least 0.860 (calibration)" in reports["six"].html
    assert "All AUCs equal: chi-square 131.27, 5 df, p &lt;0.001." in reports["six"].html


def test_numbers_can_be_traced(reports: dict[str, Any]) -> None:
    results = reports["seeds"].study.results
    # A path may be broken after its slashes.
    html = reports["seeds"].html.replace("<wbr>", "")
    for scheme in results.schemes:
        for seed in scheme.seeds:
            assert seed.predictions in html
            assert seed.sha256[:16] in html
    for stage in results.stages:
        assert stage.key[:12] in html
    for role in results.roles.values():
        assert role.split_hash in html
        assert role.pack_key in html
    for traced in ("2.11.0+cpu", "densenet121", "x86_64 AVX2", "0, 1, 2", "&#34;learning_rate&#34;: 0.001"):
        assert traced in html


def test_what_was_left_out_is_reported(reports: dict[str, Any]) -> None:
    rows = Document(reports["seeds"].html).rows
    left_out = "61: not a frontal X-ray; 12: no label"
    assert [
        "covid (tested)",
        "covid-image-collection",
        "2,200",
        "2,120",
        "950",
        left_out,
        "7: not a DICOM file",
        "none",
        "3",
    ] in rows
    assert ["covid (tested)", "test", "1,060", "475", "COVID-19 801"] in rows
    assert ["findings", "test"] not in [row[:2] for row in rows]


def test_the_best_scheme_and_how_sure_that_is_is_said_before_any_table(reports: dict[str, Any]) -> None:
    head = reports["six"].html.split("<h2>")[0]
    assert (
        "sequential has the highest AUC, 0.857 [0.844, 0.870], but whether it is best is not sure: it is "
        "better than control, pneumonia, pooled-all, and cannot be told from findings or pooled-supplement "
        "(Holm-adjusted p 0.110 or more)." in head
    )
    assert "Only control was run (AUC 0.757 [0.741, 0.773])" in reports["single"].html


def test_a_lead_over_all_others_is_sure_of_seeds_and_of_one_seed_only_for_its_networks(
    make_study: MakeStudy,
) -> None:
    one = answer(make_study(names=("control", "sequential")).results)
    assert "of these trained networks that is sure: it is better than control (largest Holm" in one
    assert "one seed cannot say" in one
    several = answer(make_study(names=("control", "findings", "pneumonia"), seeds=(0, 1)).results)
    assert several == (
        "findings has the highest mean AUC, 0.842 [0.829, 0.855], and that is sure: it is better than each "
        "of the 2 others (largest Holm-adjusted p: <0.001)."
    )


def test_a_lead_over_none_is_said_to_be_none(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings", "pneumonia")).results
    alike = tuple(replace(pair, p_value=0.4, p_adjusted=0.9) for pair in results.pairs)
    assert "it cannot be told from any other scheme (Holm-adjusted p 0.900 or more)" in answer(
        replace(results, pairs=alike)
    )
    same = tuple(replace(pair, p_adjusted=1.0) for pair in results.pairs)
    assert "(Holm-adjusted p 1.000)." in answer(replace(results, pairs=same))


def test_reasons_of_verdicts_are_folded_away(reports: dict[str, Any]) -> None:
    html = reports["six"].html
    folded = re.findall(r"<details>.*?</details>", html, re.DOTALL)
    assert any("AUC 0.842 [0.829, 0.855] against at least 0.860" in text for text in folded)
    assert "<details open" not in html


def test_what_the_images_are_is_said_before_any_number(reports: dict[str, Any]) -> None:
    synthetic = reports["six"].html.split("<h2>")[0]
    assert "<strong>Synthetic radiographs.</strong>" in synthetic
    assert "says nothing about COVID-19" in synthetic
    real = reports["seeds"].html
    assert "<strong>Labels go with source and view.</strong>" in real.split("<h2>")[0]
    assert "A score is no clinical evidence." in real.split("<h2>")[0]
    assert "Synthetic radiographs" not in real


def test_a_hostile_title_is_text(reports: dict[str, Any]) -> None:
    document = Document(reports["six"].html)
    assert document.titles[:2] == ["A & B </title><script>alert(1)</script> study"] * 2


@pytest.mark.parametrize("name", SHAPES)
def test_no_path_and_no_patient_is_in_any_file(reports: dict[str, Any], name: str) -> None:
    written = reports[name]
    for path in written.index.parent.rglob("*"):
        content = path.read_bytes() if path.is_file() and path.suffix != ".png" else b""
        # Four letters may well stand in the text of a picture by chance.
        content = re.sub(rb"base64,[\w+/=]+", b"", content)
        for secret in (
            str(written.study.folder),
            str(written.index.parent),
            "jane",
            "Jane",
            "MRN-4711",
            "IMG-0",
            "weights/",
        ):
            assert secret.encode() not in content, (path.name, secret)
    assert "densenet121.safetensors" in written.html
    assert "covid list.csv" in written.html


def test_one_scheme_needs_no_comparison(reports: dict[str, Any]) -> None:
    document = Document(reports["single"].html)
    assert "All pairs" not in document.titles
    assert [row[0].split()[0] for row in document.rows[:2]] == ["scheme", "control"]
    assert "Different from the control" not in reports["single"].html


def test_several_seeds_say_how_they_were_joined(reports: dict[str, Any]) -> None:
    html = reports["seeds"].html
    assert "AUC, mean of seeds" in html
    assert "Different from the control, at a Holm-adjusted p below 0.05: 5 of 5" in html
    assert "Standard deviation of the AUC between seeds: control 0.0060" in html
    assert len(re.findall("Seed [012]: difference of the AUCs", html)) == 3


def test_what_is_noted_of_every_network_is_said_once(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings"), seeds=(0, 1)).results

    def noted(scheme: Any, *notes: str | None) -> Any:
        seeds = zip(scheme.seeds, notes, strict=True)
        return replace(
            scheme, seeds=tuple(replace(seed, curve=replace(seed.curve, note=note)) for seed, note in seeds)
        )

    control, findings = results.schemes
    of_all = replace(results, schemes=(noted(control, "small", "small"), noted(findings, "small", "small")))
    assert network_notes(of_all) == ("All networks: small",)
    of_some = replace(results, schemes=(noted(control, "small", None), noted(findings, "edge", "small")))
    assert network_notes(of_some) == (
        "control, seed 0; findings, seed 1: small",
        "findings, seed 0: edge",
    )
    assert network_notes(results) == ()


def test_notes_and_one_sided_tests_are_shown_where_there_are_any(make_study: MakeStudy) -> None:
    results = make_study(names=("control", "findings")).results
    (comparison,) = results.comparisons
    test = MarginTest("noninferiority", 0.02, -3.1, 0.9991, 0.9991, holds=False)
    pair = replace(comparison.pairs[0], noninferiority=test, note="one patient has most images")
    scheme = results.schemes[0]
    curve = replace(scheme.seeds[0].curve, note="the interval reaches 1")
    noted = replace(scheme, seeds=(replace(scheme.seeds[0], curve=curve),))
    html = page(
        replace(
            results,
            comparisons=(replace(comparison, pairs=(pair,), omnibus=None),),
            schemes=(noted, results.schemes[1]),
        ),
        [ReportFigure("forest", "caption", "alt", b"png")],
    )
    (row,) = [row for row in Document(html).rows if row[:2] == ["control", "findings"]]
    assert row[-2:] == ["noninferiority by 0.020: p (Holm) 0.999, not shown", "one patient has most images"]
    assert "control, seed 0: the interval reaches 1" in html
    assert "All AUCs equal" not in html


def test_the_same_results_give_the_same_bytes(reports: dict[str, Any], tmp_path: Path) -> None:
    written = reports["single"]
    again = write_report(written.study, tmp_path)
    assert again.read_bytes() == written.index.read_bytes()
    assert (tmp_path / "summary.md").read_text(encoding="utf-8") == written.markdown


def test_figures_of_an_earlier_report_do_not_stay(reports: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "seeds.png").write_bytes(b"old")
    (tmp_path / "figures" / "mine.png").write_bytes(b"a user's own")
    study = reports["single"].study
    assert write_report(study, tmp_path) == tmp_path / "index.html"
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {"forest.png", "roc.png", "plan.png", "training.png", "mine.png"}


def test_a_report_that_cannot_be_written_says_where(reports: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report").write_text("a file")
    study = reports["single"].study
    with pytest.raises(CxrbenchError, match=r"the report cannot be written to .*report"):
        write_report(study, tmp_path / "report")


@pytest.mark.parametrize("extra", ["jinja2", "matplotlib"])
def test_a_missing_extra_says_what_to_install(
    reports: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: str
) -> None:
    study = reports["single"].study
    importers = ("cxrbench.report.write", "cxrbench.report.page", "cxrbench.report.figures")
    for module in list(sys.modules):
        if module.startswith(importers) or module.partition(".")[0] == extra:
            monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, extra, None)
    with pytest.raises(CxrbenchError, match=re.escape("pip install 'cxrbench[report]'")) as caught:
        write_report(study, tmp_path)
    assert extra in str(caught.value)


def test_a_cross_validation_is_reported(reports: dict[str, Any]) -> None:
    written = reports["folds"]
    said = "1,060 images, 801 positive, 475 patients; 5-fold cross-validation, patients grouped"
    assert f"Test part: {said}." in written.html
    assert f"test part: {said}" in written.markdown
    assert (
        "which saw neither it nor its patient; the scores of the 5 networks are ranked together"
        in written.html
    )
    rows = Document(written.html).rows
    assert ["covid (tested)", "test, over all 5 folds", "1,060", "475", "COVID-19 801"] in rows
    assert [row[1] for row in rows if row[0] == "findings" and row[1] in ("train", "validation")]
    runs = [row for row in rows if row[0] == "init > findings > covid"]
    assert [row[1:3] for row in runs] == [["0", str(fold)] for fold in range(1, 6)]
    assert [row[1:3] for row in rows if row[0] == "init > findings"] == [["0", "all"]]
    assert "init &gt; covid, seed 0, fold 5: validation AUC" in written.html


def test_what_decides_is_said_where_a_target_carries_a_spread(reports: dict[str, Any]) -> None:
    html = reports["calibrated"].html
    reading = html.split('<section id="reading">')[1]
    assert (
        "It passes where 95% of runs of unchanged code lie (control ± 0.033, sequential ± 0.061)" in reading
    )
    assert "the AUC decides the verdict, and its interval does not." in html
    assert "control 0.757 [0.741, 0.773], passes in [0.724, 0.790]; findings 0.842 [0.829, 0.855];" in html
    # The note below the table, and the verdict's own sentence, give the same numbers.
    assert "unchanged code lie (control ± 0.033, sequential ± 0.061) and fails" in html
    assert "0.724 to 0.790, by the target 0.757 ± 0.033 (calibration) (5 calibration seeds, SD 0.011)" in html
    seeds = reports["calibrated-seeds"].html
    assert "The share of means of 3 seeds within" in seeds
    assert "√(1/3 + 1/k)" in seeds


def test_without_a_spread_the_interval_decides(reports: dict[str, Any]) -> None:
    html = reports["six"].html
    assert "A verdict comes from the whole 95% interval, never from the AUC alone" in html
    assert "unchanged code" not in html
    assert "passes in" not in html


def test_without_folds_nothing_is_said_of_them(reports: dict[str, Any]) -> None:
    for name in ("six", "seeds"):
        assert "fold" not in reports[name].html.split("</style>")[1].replace("folder", "")
        assert "fold" not in reports[name].markdown


def test_the_data_of_a_further_test_are_in_the_tables_of_the_data(
    make_study: MakeStudy, with_further_test: Callable[[Results], Results]
) -> None:
    results = with_further_test(make_study(names=("control",)).results)
    cohort = results.tests["hospital-b"].cohort
    html = page(results, ())
    data = html[html.index('<section id="data">') :]
    rows = re.findall(r'<tr><th scope="row">hospital-b \(further test\)</th>(.*?)</tr>', data)
    used, parts, traced = (re.sub("<[^>]*>", " ", row).split() for row in rows)
    assert used[:2] == ["hospital-set", "77"]
    assert "4: lateral view" in " ".join(used)
    assert parts == ["test", "61", "52", "COVID-19", "23"]
    assert traced == [cohort.split_hash, cohort.pack_key]
