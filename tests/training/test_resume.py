"""A run that is interrupted or killed goes on from its last finished epoch and ends like an unbroken one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.files import TEMPORARY
from cxrbench.training import loop
from cxrbench.training.checkpoints import TrainedStage, load_tensors, save_tensors
from cxrbench.training.selection import BestValidationAuc

Unbroken = Callable[[str], TrainedStage]


def assert_same_run(one: TrainedStage, other: TrainedStage) -> None:
    """Compare the selected parameters, and the last epoch's with the state of the optimiser, bit for bit."""
    for name in ("best.safetensors", "kept.safetensors"):
        first, second = (load_tensors(stage.path.with_name(name))[0] for stage in (one, other))
        assert first.keys() == second.keys()
        different = [key for key in first if not torch.equal(first[key], second[key])]
        assert different == []
    assert one.best_epoch == other.best_epoch
    results = [[(r.epoch, r.loss, r.validation_auc, r.images) for r in run.history] for run in (one, other)]
    assert results[0] == results[1]


@pytest.fixture(scope="module", autouse=True)
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Return a process that trains and kills itself; it is started first and runs beside the other tests."""
    store = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(Path(__file__).with_name("easy_stage.py")), str(store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        yield process, store
        process.kill()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_an_interrupted_run_ends_bit_for_bit_like_an_unbroken_one(
    easy: ModuleType, unbroken: Unbroken, tmp_path: Path, precision: str
) -> None:
    job = easy.job(easy.config(precision=precision))
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path, job, easy.Interrupted(epoch=2))
    folder = easy.folder(tmp_path)
    assert folder.finished() is None
    assert len(load_tensors(folder.last)[1]["history"]) == 1
    progress = easy.Heard()
    resumed = easy.train(tmp_path, job, progress)
    assert [event[1] for event in progress.events if event[0] == "start"] == ["init > covid  epoch 2/2"]
    assert_same_run(resumed, unbroken(precision))


def test_a_run_interrupted_in_its_first_epoch_starts_again(easy: ModuleType, tmp_path: Path) -> None:
    job = easy.job(easy.config(epochs=1), count=8)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "broken", job, easy.Interrupted(epoch=1))
    assert not easy.folder(tmp_path / "broken").last.exists()
    assert_same_run(easy.train(tmp_path / "broken", job), easy.train(tmp_path / "whole", job))


class Scripted(BestValidationAuc):
    """A rule that gives the scores it was made with, one an epoch."""

    def __init__(self, *scores: float) -> None:
        super().__init__("covid")
        object.__setattr__(self, "scores", list(scores))

    def score(self, aucs: object) -> float:  # noqa: ARG002
        return self.scores.pop(0)


def test_a_run_killed_between_its_two_files_keeps_the_epoch_that_it_says_it_kept(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = easy.job(easy.config(epochs=2), count=8, selection=Scripted(0.9))
    folder = easy.folder(tmp_path)

    def interrupted(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
        if path == folder.best:
            path.with_name(f"{TEMPORARY}0-{path.name}").write_bytes(b"half of it")
            raise KeyboardInterrupt
        save_tensors(path, tensors, note)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "save_tensors", interrupted)
        with pytest.raises(KeyboardInterrupt):
            easy.train(tmp_path, job)
    first = load_tensors(folder.last)[0]
    trained = easy.train(tmp_path, replace(job, selection=Scripted(0.5)))
    assert trained.best_epoch == 0
    best, note = load_tensors(trained.path)
    assert note["epoch"] == 0
    assert all(torch.equal(tensor, first[f"network.{name}"]) for name, tensor in best.items())


def test_a_run_killed_after_its_last_epoch_only_has_to_be_marked_as_done(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = easy.job(easy.config(epochs=1), count=8)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(easy.KeepingFolder, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            easy.train(tmp_path, job)
    progress = easy.Heard()
    trained = easy.train(tmp_path, job, progress)
    assert progress.events == []
    assert len(trained.history) == 1
    assert trained == easy.folder(tmp_path).finished()


def test_a_broken_file_of_an_interrupted_run_is_named_not_trained_over(
    easy: ModuleType, tmp_path: Path
) -> None:
    folder = easy.folder(tmp_path)
    folder.last.write_bytes(b"\x00" * 64)
    with pytest.raises(
        TrainingError, match=r"last.safetensors cannot be read .*; delete it and train the stage"
    ):
        easy.train(tmp_path, easy.job(easy.config(epochs=1), count=8))
    assert folder.last.read_bytes() == b"\x00" * 64


def test_a_killed_run_ends_bit_for_bit_like_an_unbroken_one(
    easy: ModuleType, unbroken: Unbroken, killed: tuple[subprocess.Popen[str], Path]
) -> None:
    process, store = killed
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors
    folder = easy.folder(store)
    assert folder.finished() is None
    assert len(load_tensors(folder.last)[1]["history"]) == 1
    progress = easy.Heard()
    resumed = easy.train(store, easy.job(easy.config()), progress)
    assert sum(event[0] == "start" for event in progress.events) == 1, "a finished epoch was trained again"
    assert_same_run(resumed, unbroken("float32"))
