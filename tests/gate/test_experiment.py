"""The gate sees another experiment before it looks at AUCs, and keeps that apart from a regression."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.errors import GateError
from cxrbench.gate.baseline import load_baseline, save_baseline
from cxrbench.gate.experiment import same_experiment
from cxrbench.gate.rules import gate
from cxrbench.study.finished import FinishedStudy
from cxrbench.trace.records import Norms, Trace, find_trace, write_trace


@pytest.fixture
def study(tiny, tmp_path) -> FinishedStudy:
    """The tiny study in a folder of its own, without its checkpoints."""
    folder = tmp_path / "study"
    shutil.copytree(tiny.out / "predictions", folder / "predictions")
    for name in ("results.json", "trace.json"):
        shutil.copyfile(tiny.out / name, folder / name)
    return FinishedStudy.open(folder)


@pytest.fixture
def baseline(study, tmp_path) -> FinishedStudy:
    save_baseline(study, tmp_path / "baseline")
    return load_baseline(tmp_path / "baseline")


def with_other_heads(trace: Trace) -> Trace:
    """Return ``trace`` with other heads at the start of its first stage."""
    first, *others = trace.stages
    norms = Norms(first.trace.before.trunk, first.trace.before.heads * 2)
    return replace(trace, stages=(replace(first, trace=replace(first.trace, before=norms)), *others))


def change(study: FinishedStudy) -> None:
    write_trace(with_other_heads(find_trace(study.folder)), study.folder / "trace.json")


def cli(*arguments: object) -> tuple[int, str]:
    result = CliRunner(env={"GITHUB_STEP_SUMMARY": ""}).invoke(main, ["gate", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_same_study_is_the_same_experiment(study, baseline) -> None:
    report = gate(study, baseline)
    assert report.experiment is not None
    assert report.experiment.verdict.outcome == "pass"
    assert report.outcome != "changed"


def test_a_changed_experiment_is_an_outcome_of_its_own_and_names_the_place(study, baseline) -> None:
    change(study)
    report = gate(study, baseline)
    assert report.outcome == "changed"
    group, _, verdict = report.checks[0]
    assert (group, verdict.outcome) == ("experiment", "fail")
    assert "norm of the heads at the start" in verdict.sentence
    code, output = cli(study.folder, "--baseline", baseline.folder)
    assert code == 4
    assert "norm of the heads at the start" in output


def test_a_change_that_is_meant_is_allowed_by_kind(study, baseline) -> None:
    change(study)
    assert gate(study, baseline, allowed=["start"]).outcome != "changed"
    assert gate(study, baseline, allowed=["labels"]).outcome == "changed"
    assert cli(study.folder, "--baseline", baseline.folder, "--allow-change", "start")[0] == 0


def test_a_regression_is_still_a_regression(study, baseline) -> None:
    change(study)
    report = gate(study, baseline)
    worse = replace(report.schemes[0].verdict, outcome="fail")
    schemes = (replace(report.schemes[0], verdict=worse), *report.schemes[1:])
    assert replace(report, schemes=schemes).outcome == "fail"


def test_where_aucs_cannot_be_compared_the_changed_experiment_is_the_outcome(study, baseline) -> None:
    change(study)
    target = study.results.target
    roles = {**study.results.roles, target: replace(study.results.roles[target], split_hash="0" * 64)}
    other = FinishedStudy(study.folder, replace(study.results, roles=roles))
    with pytest.raises(GateError):
        gate(other, baseline)
    from cxrbench.study.results import save_results

    save_results(other.results, study.folder / "results.json")
    code, output = cli(study.folder, "--baseline", baseline.folder)
    assert (code, output.split("\n")[0]) == (4, "CHANGED")


def test_a_trace_of_another_run_is_refused(study, baseline) -> None:
    trace = find_trace(study.folder)
    predictions = tuple(replace(entry, scores="0" * 64) for entry in trace.predictions)
    write_trace(replace(trace, predictions=predictions), study.folder / "trace.json")
    with pytest.raises(GateError, match="not that of its results"):
        same_experiment(study, baseline)


def test_a_missing_trace_is_inconclusive_and_none_at_all_is_no_check(study, baseline, tmp_path) -> None:
    (study.folder / "trace.json").unlink()
    found = same_experiment(study, baseline)
    assert found is not None
    assert found.verdict.outcome == "inconclusive"
    save_baseline(study, tmp_path / "old")
    assert same_experiment(study, load_baseline(tmp_path / "old")) is None


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_baseline_s_trace_cannot_be_changed_or_removed(damage: str, baseline: FinishedStudy) -> None:
    path: Path = baseline.folder / "trace.json"
    if damage == "change":
        write_trace(with_other_heads(find_trace(path)), path)
    else:
        path.unlink()
    with pytest.raises(GateError, match=r"trace\.json is not the one that was saved"):
        load_baseline(baseline.folder)
