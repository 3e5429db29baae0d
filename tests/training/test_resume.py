"""A run that is interrupted or killed goes on from its last finished epoch and ends like an unbroken one."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from cxrbench.files import TEMPORARY
from cxrbench.training import loop
from cxrbench.training.checkpoints import TrainedStage, load_tensors, writing_tensors
from cxrbench.training.selection import BestValidationAuc

Unbroken = Callable[..., TrainedStage]


def assert_same_run(one: TrainedStage, other: TrainedStage) -> None:
    """Compare the selected parameters, and the last epoch's with the state of the optimiser, bit for bit."""
    for name in ("best.safetensors", "kept.safetensors"):
        first, second = (load_tensors(stage.path.with_name(name))[0] for stage in (one, other))
        assert first.keys() == second.keys()
        different = [key for key in first if not torch.equal(first[key], second[key])]
        assert different == []
    assert one.best_epoch == other.best_epoch
    assert one.trace == other.trace
    results = [[(r.epoch, r.loss, r.validation_auc, r.images) for r in run.history] for run in (one, other)]
    assert results[0] == results[1]


@pytest.fixture(scope="module", autouse=True)
def killed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Return a process that trains and kills itself, started first, in parallel with the other tests."""
    store = tmp_path_factory.mktemp("killed")
    command = [sys.executable, str(Path(__file__).with_name("easy_stage.py")), str(store)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        yield process, store
        process.kill()


@pytest.mark.parametrize(
    ("precision", "network"), [("float32", "densenet121"), ("bfloat16", "shufflenet_v2_x0_5")]
)
def test_an_interrupted_run_ends_bit_for_bit_like_an_unbroken_one(
    easy: ModuleType, unbroken: Unbroken, tmp_path: Path, precision: str, network: str
) -> None:
    job = easy.job(easy.config(precision=precision))
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path, job, easy.Interrupted(epoch=2), network=network)
    folder = easy.folder(tmp_path)
    assert folder.finished() is None
    assert len(load_tensors(folder.last)[1]["history"]) == 1
    progress = easy.Recorded()
    resumed = easy.train(tmp_path, job, progress, network=network)
    assert [event[1] for event in progress.events if event[0] == "start"] == ["init > covid  epoch 2/2"]
    assert_same_run(resumed, unbroken(precision, network))


def test_a_run_interrupted_in_its_first_epoch_starts_again(easy: ModuleType, tmp_path: Path) -> None:
    job = easy.job(easy.config(epochs=1), count=8)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "broken", job, easy.Interrupted(epoch=1))
    assert not easy.folder(tmp_path / "broken").last.exists()
    assert_same_run(easy.train(tmp_path / "broken", job), easy.train(tmp_path / "whole", job))


class Scripted(BestValidationAuc):
    """A rule that gives the scores it was made with, one per epoch."""

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

    @contextmanager
    def interrupted(path: Path, tensors: Mapping[str, Tensor], note: object) -> Iterator[str]:
        with writing_tensors(path, tensors, note) as sha256:
            yield sha256
            path.with_name(f"{TEMPORARY}0-{path.name}").write_bytes(b"half of it")
            path.with_name(".tmpAbCdEf").write_bytes(b"of safetensors itself")
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(loop, "writing_tensors", interrupted)
        with pytest.raises(KeyboardInterrupt):
            easy.train(tmp_path, job)
    first = load_tensors(folder.last)[0]
    assert not folder.best.exists()
    trained = easy.train(tmp_path, replace(job, selection=Scripted(0.5)))
    assert trained.best_epoch == 0
    assert trained.record.restarted == ""
    assert trained.folder.finished() == trained
    assert list(folder.path.glob(".tmp*")) == []
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
    progress = easy.Recorded()
    trained = easy.train(tmp_path, job, progress)
    assert progress.events == []
    assert len(trained.history) == 1
    assert trained == easy.folder(tmp_path).finished()


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)


@pytest.fixture
def broken_off(easy: ModuleType, tmp_path: Path) -> Callable[[], Any]:
    """Return a function that trains two epochs of three, of which the first is kept; it gives the folder."""

    def trained() -> Any:
        job = easy.job(easy.config(epochs=3), count=8, selection=Scripted(0.9, 0.5))
        with pytest.raises(KeyboardInterrupt):
            easy.train(tmp_path / "broken", job, easy.Interrupted(epoch=3))
        return easy.folder(tmp_path / "broken")

    return trained


@pytest.mark.parametrize("name", ["last", "best"])
@pytest.mark.parametrize("how", ["a bit", "cut", "gone", "empty"])
def test_a_damaged_file_of_a_run_that_is_not_finished_trains_it_again_and_says_so(
    easy: ModuleType, tmp_path: Path, broken_off: Callable[[], Any], name: str, how: str
) -> None:
    folder = broken_off()
    path = getattr(folder, name)
    match how:
        case "a bit":
            damage(path)
        case "cut":
            path.write_bytes(path.read_bytes()[:-100])
        case "gone":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
    progress = easy.Recorded()
    scores = easy.job(easy.config(epochs=3), count=8, selection=Scripted(0.9, 0.5, 0.4))
    trained = easy.train(tmp_path / "broken", scores, progress)
    whole = easy.train(tmp_path / "whole", replace(scores, selection=Scripted(0.9, 0.5, 0.4)))
    assert sum(event[0] == "start" for event in progress.events) == 3
    assert_same_run(trained, whole)
    # Without "last" nothing says that there was an earlier attempt.
    assert (path.name in trained.record.restarted) == ((name, how) != ("last", "gone"))
    assert whole.record.restarted == ""


@pytest.mark.parametrize("name", ["best.safetensors", "done.json"])
def test_a_damaged_file_of_a_finished_run_trains_it_again_and_says_so(
    easy: ModuleType, tmp_path: Path, name: str
) -> None:
    job = easy.job(easy.config(epochs=1), count=8)
    first = easy.train(tmp_path, job)
    stored = first.folder.parameters()
    damage(first.path.with_name(name))
    assert first.folder.finished() is None
    again = easy.train(tmp_path, job)
    assert name in again.record.restarted
    assert again.folder.finished() == again
    assert all(torch.equal(tensor, stored[key]) for key, tensor in again.folder.parameters().items())


def test_a_run_that_was_begun_again_can_be_taken_up_and_still_says_so(
    easy: ModuleType, tmp_path: Path
) -> None:
    job = easy.job(easy.config(epochs=2), count=8)
    damage(easy.train(tmp_path, job).folder.done)
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path, job, easy.Interrupted(epoch=2))
    progress = easy.Recorded()
    trained = easy.train(tmp_path, job, progress)
    assert sum(event[0] == "start" for event in progress.events) == 1, "a finished epoch was trained again"
    assert "done.json" in trained.record.restarted


def test_a_killed_run_ends_bit_for_bit_like_an_unbroken_one(
    easy: ModuleType, unbroken: Unbroken, killed: tuple[subprocess.Popen[str], Path]
) -> None:
    process, store = killed
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors
    folder = easy.folder(store)
    assert folder.finished() is None
    assert len(load_tensors(folder.last)[1]["history"]) == 1
    progress = easy.Recorded()
    resumed = easy.train(store, easy.job(easy.config()), progress, network=easy.SMALL)
    assert sum(event[0] == "start" for event in progress.events) == 1, "a finished epoch was trained again"
    assert_same_run(resumed, unbroken("float32", easy.SMALL))


@pytest.mark.parametrize("freeze", [1, 2])
def test_a_run_with_a_frozen_trunk_is_taken_up_bit_for_bit(
    easy: ModuleType, tmp_path: Path, freeze: int
) -> None:
    job = easy.job(replace(easy.config(epochs=4), freeze=freeze), count=16)
    for epoch in (2, 3, 4):
        store = tmp_path / f"broken in epoch {epoch}"
        with pytest.raises(KeyboardInterrupt):
            easy.train(store, job, easy.Interrupted(epoch=epoch))
        assert_same_run(easy.train(store, job), easy.train(tmp_path / "whole", job))


def test_what_a_network_draws_for_itself_is_the_seed_s_and_leaves_the_global_state(
    easy: ModuleType, tmp_path: Path
) -> None:
    job = easy.job(easy.config(epochs=2), count=16)
    network = "easy_stage:dropping"
    with pytest.raises(KeyboardInterrupt):
        easy.train(tmp_path / "broken", job, easy.Interrupted(epoch=2), network=network)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    resumed = easy.train(tmp_path / "broken", job, network=network)
    assert torch.equal(torch.get_rng_state(), before)
    assert_same_run(resumed, easy.train(tmp_path / "whole", job, network=network))
    plain = easy.train(tmp_path / "plain", job)
    assert plain.history[0].loss != resumed.history[0].loss, "nothing was dropped"
