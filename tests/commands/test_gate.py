"""``cxrbench baseline`` and ``cxrbench gate``: exit codes that CI can use, and the files for it."""

from __future__ import annotations

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.files import file_sha256
from cxrbench.study.results import load_results, save_results


@pytest.fixture
def study(tiny, tmp_path):
    """The tiny study's results in a folder of their own, so that they can be changed."""
    folder = tmp_path / "study"
    for scheme in tiny.results.schemes:
        path = folder / scheme.seeds[0].predictions
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((tiny.out / scheme.seeds[0].predictions).read_bytes())
    save_results(tiny.results, folder / "results.json")
    return folder


@pytest.fixture
def cli(monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    return run


@pytest.fixture
def baseline(cli, study, tmp_path):
    result = cli("baseline", "save", tmp_path / "baseline", "--study", study)
    assert result.exit_code == 0, result.output
    assert "schemes control, findings, 60 test images" in result.output
    return tmp_path / "baseline"


def record(study, path):
    """Write the SHA-256 of a changed prediction file into the results, as if they were made from it."""
    results = load_results(study / "results.json")
    name = path.relative_to(study).as_posix()
    schemes = [
        replace(
            scheme,
            seeds=tuple(
                replace(seed, sha256=file_sha256(path)) if seed.predictions == name else seed
                for seed in scheme.seeds
            ),
        )
        for scheme in results.schemes
    ]
    save_results(replace(results, schemes=tuple(schemes)), study / "results.json")


def worsen(study, scheme="control"):
    """Turn a scheme's scores round: the strongest regression there is."""
    path = next(study.glob(f"predictions/seed-0/test/{scheme}.csv"))
    header, *rows = path.read_text().splitlines()
    turned = [row.rsplit(",", 1) for row in rows]
    path.write_text("\n".join([header, *(f"{head},{1 - float(score)!r}" for head, score in turned)]) + "\n")
    record(study, path)


def test_no_regression_is_exit_0(cli, study, baseline):
    result = cli("gate", study, "--baseline", baseline)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("PASS: profile tiny, 60 test images")


def test_a_regression_is_exit_1(cli, study, baseline, tiny):
    auc = tiny.results.scheme("control").auc
    worsen(study)
    result = cli("gate", study, "--baseline", baseline, "--json", "--margin", "0.01")
    report = json.loads(result.stdout)
    check = next(check for check in report["schemes"] if check["scheme"] == "control")
    assert check["difference"] == pytest.approx(1 - 2 * auc, abs=1e-12)
    expected = {"pass": 0, "fail": 1, "inconclusive": 0}[report["outcome"]]
    assert result.exit_code == expected


def test_nothing_to_compare_is_exit_2_and_one_line(cli, study, baseline, tiny):
    save_results(replace(tiny.results, profile="another"), study / "results.json")
    result = cli("gate", study, "--baseline", baseline)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "the profile is not the baseline's" in result.stderr


def test_no_baseline_yet_is_exit_3(cli, study, tmp_path):
    result = cli("gate", study, "--baseline", tmp_path / "nowhere")
    assert result.exit_code == 3
    assert "no baseline yet" in result.stderr
    assert "cxrbench baseline save" in result.stderr


def test_inconclusive_can_be_made_to_fail(cli, study, baseline):
    # Sixty images cannot exclude a loss of 0.001 once a score has moved.
    path = next(study.glob("predictions/seed-0/test/control.csv"))
    header, *rows = path.read_text().splitlines()
    scores = [float(row.rsplit(",", 1)[1]) for row in rows]
    noisy = [score + 0.01 * (i % 7) * (max(scores) - min(scores)) for i, score in enumerate(scores)]
    path.write_text(
        "\n".join([header, *(f"{r.rsplit(',', 1)[0]},{s!r}" for r, s in zip(rows, noisy, strict=True))])
        + "\n"
    )
    record(study, path)
    arguments = ("gate", study, "--baseline", baseline, "--margin", "0.001")
    report = json.loads(cli(*arguments, "--json").stdout)
    assert report["outcome"] == "inconclusive"
    assert cli(*arguments).exit_code == 0
    assert cli(*arguments, "--fail-inconclusive").exit_code == 1


def test_junit_and_markdown_are_written(cli, study, baseline, tmp_path):
    result = cli(
        "gate", study, "--baseline", baseline, "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "m.md"
    )
    assert result.exit_code == 0
    suite = ElementTree.parse(tmp_path / "j.xml").getroot().find("testsuite")
    cases = suite.findall("testcase")
    assert int(suite.get("tests")) == len(cases)
    assert {"control", "findings", "training", "prediction"} <= {case.get("name") for case in cases}
    markdown = (tmp_path / "m.md").read_text()
    assert markdown.startswith("### cxrbench gate: pass")
    assert "| control" in markdown


def test_the_summary_of_a_github_step_is_appended_to(cli, study, baseline, tmp_path, monkeypatch):
    summary = tmp_path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    cli("gate", study, "--baseline", baseline)
    assert summary.read_text().startswith("before\n### cxrbench gate: pass")
