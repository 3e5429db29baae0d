from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cxrbench.cli import main
from cxrbench.trace.records import Norms, StageEntry, StageTrace, StepTrace, Trace, write_trace

ENTRY = StageEntry(
    run="init > covid",
    parent=None,
    seed=0,
    fold=None,
    roles=("covid",),
    settings={"precision": "float32"},
    epoch_images=(16,),
    epoch_losses=(0.7,),
    trace=StageTrace({}, {}, Norms(1.0, 2.0), (StepTrace(0.7, 1.0, 1e-4),), Norms(3.0, 4.0), Norms(3.0, 4.0)),
)
TRACE = Trace("tiny", {"type": "cpu"}, {}, "covid", (), (ENTRY,), ())
FAULTY = replace(TRACE, stages=(replace(ENTRY, trace=replace(ENTRY.trace, before=Norms(1.0, 2.5))),))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    paths = tmp_path / "now", tmp_path / "baseline", tmp_path / "faulty"
    for path, trace in zip(paths, (TRACE, TRACE, FAULTY), strict=True):
        path.mkdir()
        write_trace(trace, path / "trace.json")
    return paths


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["trace", *map(str, arguments)])


def test_the_same_experiment_is_exit_0(folders: tuple[Path, Path, Path]) -> None:
    result = cli(folders[0], folders[1])
    assert (result.exit_code, result.output.split(":")[0]) == (0, "the same experiment")


def test_a_changed_experiment_is_exit_4_and_names_the_place(folders: tuple[Path, Path, Path]) -> None:
    result = cli(folders[2], folders[1])
    assert result.exit_code == 4
    assert "stage 'init > covid', seed 0: norm of the heads at the start: 2.5" in result.output


def test_a_change_that_is_allowed_is_shown_and_is_exit_0(folders: tuple[Path, Path, Path]) -> None:
    result = cli(folders[2], folders[1] / "trace.json", "--allow-change", "start")
    assert result.exit_code == 0
    assert "allowed (start)" in result.output


def test_json_says_the_same(folders: tuple[Path, Path, Path]) -> None:
    content = json.loads(cli(folders[2], folders[1], "--json").output)
    assert (content["outcome"], content["partings"][0]["kind"], content["same"]) == ("changed", "start", 0)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"record": "Trace"}'])
def test_what_is_no_trace_is_exit_2_and_one_line(text: str, folders: tuple[Path, Path, Path]) -> None:
    (folders[0] / "trace.json").write_text(text)
    result = cli(folders[0], folders[1])
    assert result.exit_code == 2
    assert result.output.count("\n") == 1


def test_a_missing_trace_is_exit_2(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    assert cli(tmp_path, folders[1]).exit_code == 2


def test_two_studies_that_share_no_stage_are_not_called_the_same(
    folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    write_trace(replace(TRACE, stages=(replace(ENTRY, seed=1),)), tmp_path / "trace.json")
    result = cli(tmp_path, folders[1])
    assert result.exit_code == 2
    assert result.output.startswith("Error: nothing could be compared")
