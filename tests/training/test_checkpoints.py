"""The checkpoint store: all or nothing, and a key of everything a run depends on."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import save_file

from cxrbench.errors import TrainingError
from cxrbench.files import file_sha256
from cxrbench.trace.records import Moments, Norms, StageTrace, StepTrace
from cxrbench.training import checkpoints
from cxrbench.training.checkpoints import (
    DamagedError,
    EpochRecord,
    StageFolder,
    StageRecord,
    load_tensors,
    write_tensors,
    writing_tensors,
)
from cxrbench.training.config import StageConfig

EPOCH = EpochRecord(
    epoch=0, loss=0.5, validation_auc=0.75, train_seconds=2.0, validation_seconds=0.5, images=64
)
TRACE = StageTrace(
    {},
    untrained={"covid": Moments(0.0, 1.0)},
    before=Norms(1.0, 1.0),
    steps=(StepTrace(loss=0.7, gradient_norm=0.1 + 0.2, learning_rate=1e-3),),
    after=Norms(2.0, 2.0),
    kept=Norms(1 / 3, 2.0),
)


def tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 3), value), "step": torch.tensor(7.0)}


def record(sha256: str = "0" * 64) -> StageRecord:
    return StageRecord(best_epoch=0, best_sha256=sha256, history=(EPOCH,), trace=TRACE)


def written(path: Path, given: dict[str, torch.Tensor], note: object) -> str:
    """Write a file and return its SHA-256."""
    write_tensors(path, given, note)
    return file_sha256(path)


def finished(store: Path) -> StageFolder:
    """Return the folder of a run that is finished."""
    folder = StageFolder.of(store, DEPENDS)
    folder.finish(record(written(folder.best, tensors(), {})))
    return folder


# -- files


def test_tensors_and_note_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    given = {
        "channels last": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.tensor([1.5, -2.0])),
        "scalar": torch.tensor(3.0),
        "counter": torch.tensor(12),
        "half": torch.tensor([0.1], dtype=torch.bfloat16),
    }
    note = {"best_epoch": 1, "history": [{"loss": 0.1}], "stage": "init > a"}
    path = tmp_path / "new" / "x.safetensors"
    with writing_tensors(path, given, note) as written:
        assert not path.exists()
    assert written == file_sha256(path)
    for sha256 in (None, written):
        found, found_note = load_tensors(path, sha256)
        assert found_note == note
        assert found.keys() == given.keys()
        for name, tensor in given.items():
            assert torch.equal(found[name], tensor.detach())
            assert found[name].dtype == tensor.dtype


def test_the_same_content_makes_the_same_bytes(tmp_path: Path) -> None:
    one, same, other = (
        written(tmp_path / f"{i}.safetensors", tensors(), {"epoch": epoch})
        for i, epoch in enumerate((1, 1, 2))
    )
    assert one == same != other


def test_what_safetensors_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    before = {path.name for path in folder.path.iterdir()}
    (folder.path / ".tmpXyZ123").write_bytes(b"half of it")
    folder.sweep()
    assert {path.name for path in folder.path.iterdir()} == before


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
        (OSError(28, "No space left on device"), TrainingError),
        (SafetensorError("I/O error: No space left on device"), TrainingError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_a_crash_while_writing_leaves_the_old_file_whole_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, seen: type[BaseException]
) -> None:
    path = tmp_path / "last.safetensors"
    write_tensors(path, tensors(1.0), {"epoch": 0})

    def half_written(given: dict[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        save_file(given, file, metadata)
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        raise fault

    monkeypatch.setattr(checkpoints, "save_file", half_written)
    with pytest.raises(seen):
        write_tensors(path, tensors(2.0), {"epoch": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]
    found, note = load_tensors(path)
    assert note == {"epoch": 0}
    assert torch.equal(found["weight"], torch.full((2, 3), 1.0))


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(TrainingError, match=r"x.safetensors cannot be written \(No space left") as caught:
        write_tensors(tmp_path / "x.safetensors", tensors(), {})
    assert "\n" not in str(caught.value)
    monkeypatch.setattr(checkpoints, "write_record", full)
    with pytest.raises(TrainingError, match=r"done.json cannot be written \(No space left"):
        StageFolder(tmp_path, "0" * 64).finish(record())


@pytest.mark.parametrize("keep", [0, 4, 8, 60, -1])
def test_a_truncated_file_is_never_read_as_whole(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.safetensors"
    write_tensors(path, tensors(), {"epoch": 0})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DamagedError, match=r"x.safetensors is damaged"):
        load_tensors(path)


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("content") / "x.safetensors"
    write_tensors(path, tensors(), {"epoch": 3, "history": [{"loss": 0.25}]})
    return path.read_bytes()


@settings(max_examples=300)
@given(st.floats(0, 1, exclude_max=True), st.integers(0, 7))
def test_no_bit_can_be_changed_unseen(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, place: float, bit: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped.safetensors"
    changed = bytearray(content)
    changed[int(place * len(content))] ^= 1 << bit
    path.write_bytes(changed)
    for sha256 in (None, hashlib.sha256(content).hexdigest()):
        with pytest.raises(DamagedError) as caught:
            load_tensors(path, sha256)
        assert "\n" not in str(caught.value)


def test_another_whole_file_under_the_name_is_not_the_recorded_one(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    assert torch.equal(folder.parameters()["weight"], tensors()["weight"])
    write_tensors(folder.best, tensors(2.0), {})
    load_tensors(folder.best)
    assert folder.finished() is None
    with pytest.raises(DamagedError, match=r"its SHA-256 is not the recorded one; run the study again"):
        folder.parameters()


def test_a_pickle_under_a_safetensors_name_is_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "x.safetensors", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Trap(marker)))
    with pytest.raises(DamagedError):
        load_tensors(path)
    assert not marker.exists()


class Trap:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedError, match=r"checkpoint best.safetensors is missing from "):
        load_tensors(tmp_path / "best.safetensors")


def test_a_file_of_someone_else_s_is_none_of_ours(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "x.safetensors")
    with pytest.raises(DamagedError, match="not a file of cxrbench"):
        load_tensors(tmp_path / "x.safetensors")


# -- keys

DEPENDS = {
    "run": "init > covid",
    "parent": "random",
    "seed": 0,
    "config": {"epochs": 2, "learning_rate": 1e-3, "augmentation": {"flip": 0.5}},
    "data": {"covid": {"train": "aa", "validation": "bb"}},
}


@pytest.mark.parametrize(
    "change",
    [
        {"run": "init > findings"},
        {"parent": "imagenet"},
        {"seed": 1},
        {"seed": "0"},
        {"config": {"epochs": 3, "learning_rate": 1e-3, "augmentation": {"flip": 0.5}}},
        {"config": {"epochs": 2, "learning_rate": 1.0000000000000002e-3, "augmentation": {"flip": 0.5}}},
        {"config": {"epochs": 2, "learning_rate": 1e-3, "augmentation": {"flip": 0.4}}},
        {"data": {"covid": {"train": "aa", "validation": "bc"}}},
        {"data": {"pneumonia": {"train": "aa", "validation": "bb"}}},
        {"new": None},
    ],
    ids=str,
)
def test_the_key_changes_with_every_input(tmp_path: Path, change: dict[str, Any]) -> None:
    base = StageFolder.of(tmp_path, DEPENDS)
    other = StageFolder.of(tmp_path, {**DEPENDS, **change})
    assert other.key != base.key
    assert other.path != base.path


def test_a_missing_input_changes_the_key_too(tmp_path: Path) -> None:
    keys = {StageFolder.of(tmp_path, {k: v for k, v in DEPENDS.items() if k != left}).key for left in DEPENDS}
    assert len(keys | {StageFolder.of(tmp_path, DEPENDS).key}) == len(DEPENDS) + 1


def test_the_order_of_the_inputs_is_no_input(tmp_path: Path) -> None:
    assert StageFolder.of(tmp_path, dict(reversed(DEPENDS.items()))) == StageFolder.of(tmp_path, DEPENDS)


def test_the_folder_is_named_by_the_key_and_says_what_it_was_made_of(tmp_path: Path) -> None:
    folder = StageFolder.of(tmp_path / "store", DEPENDS)
    assert folder.path == tmp_path / "store" / folder.key[:20]
    assert len(folder.key) == 64
    assert json.loads((folder.path / "stage.json").read_text()) == {**DEPENDS, "key": folder.key}


def test_whatever_has_a_canonical_json_text_can_be_depended_on(tmp_path: Path) -> None:
    config = StageConfig()
    folder = StageFolder.of(
        tmp_path, MappingProxyType({"config": config, "roles": ("a", "b"), "path": Path("x/y")})
    )
    written = json.loads((folder.path / "stage.json").read_text())
    assert written["config"]["augmentation"]["rotation"] == 7.0
    assert written["roles"] == ["a", "b"]
    other = StageFolder.of(
        tmp_path, {"config": replace(config, epochs=5), "roles": ("a", "b"), "path": Path("x/y")}
    )
    assert other.key != folder.key


# -- a finished run


def test_a_run_is_not_finished_before_it_is_said_to_be(tmp_path: Path) -> None:
    folder = StageFolder.of(tmp_path, DEPENDS)
    assert folder.finished() is None
    assert folder.unfinished() is None
    with writing_tensors(folder.best, tensors(), {}) as sha256:
        write_tensors(folder.last, tensors(3.0), record(sha256))
    assert folder.finished() is None
    kept = folder.unfinished()
    assert kept is not None
    assert torch.equal(kept[0]["weight"], tensors(3.0)["weight"])
    assert kept[1] == record(sha256)
    with pytest.raises(TrainingError, match=r"done.json does not exist; run the study again"):
        folder.parameters()


def test_a_finished_run_is_found_again_and_what_was_kept_for_going_on_is_gone(tmp_path: Path) -> None:
    folder = StageFolder.of(tmp_path, DEPENDS)
    write_tensors(folder.last, tensors(), {})
    sha256 = written(folder.best, tensors(), {})
    history = (EPOCH, replace(EPOCH, epoch=1, validation_auc=0.8), replace(EPOCH, epoch=2))
    kept = replace(record(sha256), best_epoch=1, history=history, processes=2, restarted="a bit fell over")
    trained = folder.finish(kept)
    assert (trained.key, trained.path, trained.best_epoch, trained.history, trained.trace) == (
        folder.key,
        folder.best,
        1,
        history,
        TRACE,
    )
    assert trained.validation_auc == 0.8
    assert trained.seconds == 7.5
    assert trained.images_per_second == 32
    assert trained.processes == 2
    assert not folder.last.exists()
    assert StageFolder.of(tmp_path, DEPENDS).finished() == trained


@pytest.mark.parametrize("name", ["best.safetensors", "done.json"])
@pytest.mark.parametrize("keep", [None, 0, 100, -1, -2])
def test_a_run_whose_files_are_damaged_is_not_finished(tmp_path: Path, name: str, keep: int | None) -> None:
    folder = finished(tmp_path)
    assert folder.finished() is not None
    path = folder.path / name
    if keep is None:
        path.unlink()
    else:
        # The last byte of the record is the end of its last line.
        path.write_bytes(path.read_bytes()[: keep - 1 if keep < 0 else keep])
    assert folder.finished() is None
    with pytest.raises(DamagedError) as caught:
        folder.parameters()
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"best_epoch": 1},
        {"best_epoch": -1},
        {"history": ()},
        {"history": (replace(EPOCH, epoch=1),)},
        {"best_sha256": "0"},
        {"restarted": None},
        {"processes": 0},
    ],
    ids=str,
)
def test_a_record_that_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="StageRecord"):
        replace(record(), **change)


def test_a_record_that_was_edited_is_not_believed(tmp_path: Path) -> None:
    folder = finished(tmp_path)
    folder.done.write_text(folder.done.read_text().replace("0.75", "0.95"))
    assert folder.finished() is None


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(TrainingError, match=r"store.* cannot be written: "):
        StageFolder.of(tmp_path / "store", DEPENDS)
