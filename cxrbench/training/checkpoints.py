"""The checkpoint store: one folder a stage run, named by a key of everything the run depends on.

    <store>/<key>/stage.json         what the key was made of, for a person to read
    <store>/<key>/last.safetensors   parameters and optimiser after the last finished epoch, with the history
    <store>/<key>/best.safetensors   parameters of the selected epoch
    <store>/<key>/done.json          written last: the run is complete

Every file is written under another name and renamed, so a killed run leaves no half-written file under a name
that is read. Files are safetensors: reading one never runs code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.files import atomic_path, canonical_json, digest, write_text_atomic


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: mean training loss, validation AUC and seconds of training and of validation."""

    epoch: int
    loss: float
    validation_auc: float
    train_seconds: float
    validation_seconds: float
    images: int


@dataclass(frozen=True)
class TrainedStage:
    """A finished stage run: its key, the file of its selected epoch, and its history.

    ``processes`` is how many stages were trained at a time when this one was: its speed depends on that.
    """

    key: str
    path: Path
    best_epoch: int
    history: tuple[EpochRecord, ...]
    processes: int = 1

    @property
    def validation_auc(self) -> float:
        """The selected epoch's validation AUC."""
        return self.history[self.best_epoch].validation_auc

    @property
    def seconds(self) -> float:
        """Seconds that training and validation took, over all epochs."""
        return sum(record.train_seconds + record.validation_seconds for record in self.history)

    @property
    def images_per_second(self) -> float:
        """Training images a second, over all epochs; validation not counted."""
        return sum(r.images for r in self.history) / sum(r.train_seconds for r in self.history)


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage run in the store."""

    path: Path
    key: str

    @classmethod
    def of(cls, store: Path, depends_on: Mapping[str, Any]) -> StageFolder:
        """Return the folder for a run that depends on ``depends_on``, anything with a canonical JSON text."""
        key = digest(depends_on)
        folder = cls(store / key[:20], key)
        folder.path.mkdir(parents=True, exist_ok=True)
        described = folder.path / "stage.json"
        if not described.exists():
            text = {**json.loads(canonical_json(depends_on)), "key": key}
            write_text_atomic(described, json.dumps(text, indent=2, sort_keys=True))
        return folder

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def done(self) -> Path:
        return self.path / "done.json"

    def finished(self) -> TrainedStage | None:
        """Return the finished run, or None where it is not finished.

        Raises
        ------
        TrainingError: the record of the finished run has been changed from outside.
        """
        if not (self.done.exists() and self.best.exists()):
            return None
        try:
            record = json.loads(self.done.read_text())
            history = tuple(EpochRecord(**epoch) for epoch in record["history"])
            return TrainedStage(self.key, self.best, record["best_epoch"], history, record["processes"])
        except (ValueError, TypeError, KeyError) as error:
            raise TrainingError(f"{self.done} cannot be read ({error}); delete it to train again") from None

    def finish(self, best_epoch: int, history: tuple[EpochRecord, ...], processes: int = 1) -> TrainedStage:
        """Mark the run as complete; what was kept for going on is deleted."""
        record = {
            "best_epoch": best_epoch,
            "history": [asdict(epoch) for epoch in history],
            "processes": processes,
        }
        write_text_atomic(self.done, json.dumps(record, indent=2))
        self.last.unlink(missing_ok=True)
        return TrainedStage(self.key, self.best, best_epoch, history, processes)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, Any]) -> None:
    """Write ``tensors`` and a JSON ``note`` into one safetensors file, all or nothing.

    Raises
    ------
    TrainingError: the file cannot be written; what was there under its name is as it was.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, metadata={"cxrbench": json.dumps(dict(note))})
    except (SafetensorError, OSError) as error:
        raise TrainingError(f"checkpoint {path} cannot be written ({error}); is the disk full?") from None


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors of a safetensors file and the note that :func:`save_tensors` put into it.

    Raises
    ------
    TrainingError: the file is missing, or is not a whole safetensors file.
    """
    if not path.is_file():
        raise TrainingError(f"checkpoint {path.name} is missing from {path.parent}; train the stage again")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            note = json.loads((file.metadata() or {}).get("cxrbench", "{}"))
    except (SafetensorError, OSError) as error:
        raise TrainingError(
            f"checkpoint {path} cannot be read as safetensors ({error}); delete it and train the stage again"
        ) from None
    return tensors, note
