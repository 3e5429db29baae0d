"""The checkpoint store: all or nothing, and a key of everything a run depends on."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from cxrbench.errors import TrainingError
from cxrbench.training import checkpoints
from cxrbench.training.checkpoints import EpochRecord, StageFolder, load_tensors, save_tensors
from cxrbench.training.config import StageConfig

RECORD = EpochRecord(
    epoch=0, loss=0.5, validation_auc=0.75, train_seconds=2.0, validation_seconds=0.5, images=64
)


def tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 3), value), "step": torch.tensor(7.0)}


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
    save_tensors(tmp_path / "new" / "x.safetensors", given, note)
    found, found_note = load_tensors(tmp_path / "new" / "x.safetensors")
    assert found_note == note
    assert found.keys() == given.keys()
    for name, tensor in given.items():
        assert torch.equal(found[name], tensor.detach())
        assert found[name].dtype == tensor.dtype


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (MemoryError(), MemoryError),
        (SafetensorError("I/O error: No space left on device"), TrainingError),
        (OSError(28, "No space left on device"), TrainingError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value.__name__,
)
def test_a_crash_while_writing_leaves_the_old_file_whole_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, seen: type[BaseException]
) -> None:
    path = tmp_path / "last.safetensors"
    save_tensors(path, tensors(1.0), {"epoch": 0})

    def half_written(given: Mapping[str, torch.Tensor], file: Path, metadata: dict[str, str]) -> None:
        save_file(dict(given), file, metadata=metadata)
        whole = Path(file).read_bytes()
        Path(file).write_bytes(whole[: len(whole) // 2])
        raise fault

    monkeypatch.setattr(checkpoints, "save_file", half_written)
    with pytest.raises(seen):
        save_tensors(path, tensors(2.0), {"epoch": 1})
    assert [file.name for file in tmp_path.iterdir()] == ["last.safetensors"]
    found, note = load_tensors(path)
    assert note == {"epoch": 0}
    assert torch.equal(found["weight"], torch.full((2, 3), 1.0))


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(checkpoints, "save_file", full)
    with pytest.raises(TrainingError, match=r"x.safetensors cannot be written \(I/O error: No space left"):
        save_tensors(tmp_path / "x.safetensors", tensors(), {})


@pytest.mark.parametrize("keep", [0, 4, 8, 60, -1])
def test_a_truncated_file_is_never_read_as_whole(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "x.safetensors"
    save_tensors(path, tensors(), {"epoch": 0})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TrainingError, match=r"x.safetensors cannot be read as safetensors") as caught:
        load_tensors(path)
    assert "delete it and train the stage again" in str(caught.value)


def test_a_pickle_under_a_safetensors_name_is_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "x.safetensors", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Trap(marker)))
    with pytest.raises(TrainingError, match="cannot be read as safetensors"):
        load_tensors(path)
    assert not marker.exists()


class Trap:
    """An object whose pickle makes a file when it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.marker,))


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"checkpoint best.safetensors is missing from .*; train the stage"
    ):
        load_tensors(tmp_path / "best.safetensors")


def test_a_file_of_someone_else_s_has_no_note(tmp_path: Path) -> None:
    save_file(tensors(), tmp_path / "x.safetensors")
    assert load_tensors(tmp_path / "x.safetensors")[1] == {}


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
    save_tensors(folder.last, tensors(), {})
    assert folder.finished() is None
    save_tensors(folder.best, tensors(), {})
    assert folder.finished() is None


def test_a_finished_run_is_found_again_and_what_was_kept_for_going_on_is_gone(tmp_path: Path) -> None:
    folder = StageFolder.of(tmp_path, DEPENDS)
    save_tensors(folder.last, tensors(), {})
    save_tensors(folder.best, tensors(), {})
    history = (RECORD, replace(RECORD, epoch=1, validation_auc=0.8), replace(RECORD, epoch=2))
    trained = folder.finish(1, history)
    assert (trained.key, trained.path, trained.best_epoch, trained.history) == (
        folder.key,
        folder.best,
        1,
        history,
    )
    assert trained.validation_auc == 0.8
    assert trained.seconds == 7.5
    assert not folder.last.exists()
    assert StageFolder.of(tmp_path, DEPENDS).finished() == trained


def test_a_run_whose_checkpoint_was_deleted_is_not_finished(tmp_path: Path) -> None:
    folder = StageFolder.of(tmp_path, DEPENDS)
    save_tensors(folder.best, tensors(), {})
    folder.finish(0, (RECORD,))
    folder.best.unlink()
    assert folder.finished() is None


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"best_epoch": 0, "history": [{"epoch": 0}]}'])
def test_a_record_changed_from_outside_is_named(tmp_path: Path, text: str) -> None:
    folder = StageFolder.of(tmp_path, DEPENDS)
    save_tensors(folder.best, tensors(), {})
    folder.done.write_text(text)
    with pytest.raises(TrainingError, match=r"done.json cannot be read .*; delete it to train again"):
        folder.finished()
