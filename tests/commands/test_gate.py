"""``cxrbench baseline`` and ``cxrbench gate``: exit codes that CI can use, and the files for it."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from cxrbench.cli import main

CONTROL, FINDINGS = (1.0, 1), (0.5, 2)


@pytest.fixture
def make(made_up, tmp_path):
    """Return a function that writes a study of control and findings into the folder ``name``."""

    def make(name, control=CONTROL, **changes):
        return made_up(tmp_path / name, {"control": control, "findings": FINDINGS}, **changes).folder

    return make


@pytest.fixture
def study(make):
    return make("study")


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
    assert "schemes control, findings, 600 test images" in result.output
    return tmp_path / "baseline"


def test_no_regression_is_exit_0(cli, study, baseline):
    result = cli("gate", study, "--baseline", baseline)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("PASS: profile made-up, 600 test images of 300 patients")


def test_a_regression_is_exit_1(cli, make, baseline):
    worse = make("worse", control=(6.0, 3))
    result = cli("gate", worse, "--baseline", baseline, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert report["outcome"] == "fail"
    check = next(check for check in report["schemes"] if check["scheme"] == "control")
    assert check["ci_high"] < 0


def test_nothing_to_compare_is_exit_2_and_one_line(cli, make, baseline):
    result = cli("gate", make("other", profile="another"), "--baseline", baseline)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "the profile is not the baseline's" in result.stderr


def test_no_baseline_yet_is_exit_3(cli, study, tmp_path):
    result = cli("gate", study, "--baseline", tmp_path / "nowhere")
    assert result.exit_code == 3
    assert "no baseline yet" in result.stderr
    assert "cxrbench baseline save" in result.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"control": (1.1, 3)}, "auc: inconclusive: control"),
        ({"device": {"type": "cuda"}}, "speed: inconclusive: training: not comparable"),
        ({"control": (0.45, 1)}, "look for a leak"),
    ],
)
def test_inconclusive_can_be_made_to_fail(cli, make, baseline, changes, said):
    arguments = ("gate", make("now", **changes), "--baseline", baseline, "--margin", "0.01")
    shown = cli(*arguments)
    assert shown.stdout.startswith("INCONCLUSIVE: ")
    assert said in shown.stdout
    assert shown.exit_code == 0
    assert cli(*arguments, "--fail-inconclusive").exit_code == 1


def test_a_scheme_that_was_not_run_can_be_made_to_fail(cli, made_up, baseline, tmp_path):
    now = made_up(tmp_path / "now", {"control": CONTROL}).folder
    arguments = ("gate", now, "--baseline", baseline)
    shown = cli(*arguments)
    assert "missing: inconclusive: findings: in the baseline, and not run" in shown.stdout
    assert shown.exit_code == 0
    assert cli(*arguments, "--fail-inconclusive").exit_code == 1


def test_speeds_are_left_out_where_asked(cli, make, baseline):
    arguments = ("gate", make("now", slower=9), "--baseline", baseline)
    assert cli(*arguments).exit_code == 1
    assert cli(*arguments, "--no-speed", "--fail-inconclusive").exit_code == 0


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


@pytest.mark.parametrize("worse", [False, True])
@pytest.mark.parametrize("where", ["folder", "below a file"])
@pytest.mark.parametrize("what", ["--junit", "--markdown", "GITHUB_STEP_SUMMARY"])
def test_what_cannot_be_written_is_exit_2_and_never_taken_for_a_regression(
    cli, make, baseline, tmp_path, monkeypatch, what, where, worse
):
    (tmp_path / "taken").mkdir() if where == "folder" else (tmp_path / "taken").write_text("")
    path = tmp_path / "taken" if where == "folder" else tmp_path / "taken" / "x"
    arguments = [] if what == "GITHUB_STEP_SUMMARY" else [what, path]
    if what == "GITHUB_STEP_SUMMARY":
        monkeypatch.setenv(what, str(path))
    now = make("now", control=(6.0, 3) if worse else CONTROL)
    result = cli("gate", now, "--baseline", baseline, *arguments)
    assert result.exit_code == 2
    assert result.stdout.startswith("FAIL: " if worse else "PASS: ")
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr


def test_a_gate_that_was_stopped_found_no_regression(cli, study, baseline, monkeypatch):
    def stopped(*_arguments, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr("cxrbench.gate.rules.gate", stopped)
    result = cli("gate", study, "--baseline", baseline)
    assert result.exit_code == 130
    assert result.stderr == "stopped\n"


def test_two_summaries_do_not_go_into_one_file(cli, study, baseline, tmp_path):
    result = cli(
        "gate", study, "--baseline", baseline, "--junit", tmp_path / "s", "--markdown", tmp_path / "s"
    )
    assert result.exit_code == 2
    assert "--junit and --markdown name one file" in result.stderr
    assert not (tmp_path / "s").exists()


def test_a_fault_of_the_gate_itself_is_exit_2_and_one_line(cli, study, baseline, monkeypatch):
    def broken(*_arguments, **_options):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("cxrbench.gate.rules.gate", broken)
    result = cli("gate", study, "--baseline", baseline)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "ZeroDivisionError: division by zero" in result.stderr


def test_predictions_of_another_run_are_neither_judged_nor_kept(cli, study, make, baseline, tmp_path):
    bad = make("bad", control=(6.0, 9))
    path = "predictions/seed-0/test/control.csv"
    (bad / path).write_bytes((study / path).read_bytes())
    for arguments in (
        ("gate", bad, "--baseline", baseline),
        ("baseline", "save", tmp_path / "b", "--study", bad),
    ):
        result = cli(*arguments)
        assert result.exit_code == 2
        assert "is not the file that the results were computed from" in result.stderr
    assert not (tmp_path / "b").exists()
