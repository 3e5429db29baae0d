"""The checkpoint store: one folder per stage run, named by a key of everything the run depends on.

    <store>/<key>/stage.json         what the key was made of, for a person to read
    <store>/<key>/last.safetensors   parameters and optimiser after the last finished epoch, with the history
    <store>/<key>/best.safetensors   parameters of the selected epoch
    <store>/<key>/done.json          written last: the run is complete, and the SHA-256 of its parameters

Every file is written under another name and renamed, so a killed run leaves no half-written file under a name
that is read. Every file but the first carries a SHA-256 or has one on record, which is checked whenever it is
read. Files are safetensors: reading one never runs code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors.torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from cxrbench.errors import RecordError, TrainingError
from cxrbench.files import atomic_path, canonical_json, digest, file_sha256, plain, write_text_atomic
from cxrbench.records import faults, read_record, record, write_record
from cxrbench.text import complaint
from cxrbench.trace.records import StageTrace

_NOTE = "cxrbench"
UNWRITTEN = _UNSEALED = "0" * 64
"""Stands for a SHA-256 that is not known yet."""
_SEALED_BEFORE = 1024
"""The seal lies within so many bytes."""


class DamagedError(TrainingError):
    """A file of the store is not what was written; what it held can be trained again."""


@record
class EpochRecord:
    """One epoch: mean training loss, validation AUC and seconds of training and of validation."""

    epoch: Annotated[int, Field(ge=0)]
    loss: float
    validation_auc: Annotated[float, Field(ge=0, le=1)]
    train_seconds: Annotated[float, Field(ge=0)]
    validation_seconds: Annotated[float, Field(ge=0)]
    images: Annotated[int, Field(gt=0)]


@record
class StageRecord:
    """How far a run has come: its finished epochs, the selected one, and the file that holds that one.

    ``best_sha256`` is that file's, or :data:`UNWRITTEN`. ``restarted`` says why the run was begun again where
    files of an earlier attempt were damaged, ``processes`` how many stages were trained at a time: the speed
    depends on that.
    ``parts``: in how many parts each batch went through the network, since memory was too small for one.
    ``compile_seconds``: what compiling the trunk took. ``refused``: why a GPU could not record its steps.
    """

    best_epoch: Annotated[int, Field(ge=0)]
    best_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    history: Annotated[tuple[EpochRecord, ...], Field(min_length=1)]
    trace: StageTrace
    restarted: str = ""
    processes: Annotated[int, Field(ge=1)] = 1
    parts: Annotated[int, Field(ge=1)] = 1
    compile_seconds: Annotated[float, Field(ge=0)] = 0.0
    refused: str = ""

    def __post_init__(self) -> None:
        if [entry.epoch for entry in self.history] != list(range(len(self.history))):
            raise ValueError("the epochs of a run are counted from 0")
        if self.best_epoch >= len(self.history):
            raise ValueError(f"epoch {self.best_epoch} is selected, of {len(self.history)}")

    @property
    def validation_auc(self) -> float:
        """The selected epoch's validation AUC."""
        return self.history[self.best_epoch].validation_auc

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a user should know of how it was trained."""
        said = {
            f"begun again: {self.restarted}": self.restarted,
            f"each batch in {self.parts} parts, for want of memory": self.parts > 1,
            f"compiled in {self.compile_seconds:.0f} s": self.compile_seconds,
            f"steps not recorded, so slower: {self.refused}": self.refused,
        }
        return tuple(text for text, applies in said.items() if applies)


@dataclass(frozen=True)
class TrainedStage:
    """A finished stage run: where it lies, and what it wrote down."""

    folder: StageFolder
    record: StageRecord

    @property
    def key(self) -> str:
        """The key of all that the run depends on."""
        return self.folder.key

    @property
    def path(self) -> Path:
        """The file of the selected epoch; read it through :meth:`StageFolder.parameters`."""
        return self.folder.best

    @property
    def best_epoch(self) -> int:
        """The selected epoch, counted from 0."""
        return self.record.best_epoch

    @property
    def history(self) -> tuple[EpochRecord, ...]:
        """The epochs."""
        return self.record.history

    @property
    def trace(self) -> StageTrace:
        """What shows where two runs part."""
        return self.record.trace

    @property
    def validation_auc(self) -> float:
        """The selected epoch's validation AUC."""
        return self.record.validation_auc

    @property
    def processes(self) -> int:
        """How many stages were trained at a time when this one was finished."""
        return self.record.processes

    @property
    def seconds(self) -> float:
        """Seconds that training and validation took, over all epochs."""
        return sum(record.train_seconds + record.validation_seconds for record in self.history)

    @property
    def images_per_second(self) -> float:
        """Training images per second, over all epochs; validation not counted."""
        return sum(r.images for r in self.history) / sum(r.train_seconds for r in self.history)


@dataclass(frozen=True)
class StageFolder:
    """The folder of one stage run in the store."""

    path: Path
    key: str

    @classmethod
    def of(
        cls, store: Path, depends_on: Mapping[str, Any], say: Callable[[str], None] | None = None
    ) -> StageFolder:
        """Return the folder for a run that depends on ``depends_on``, anything with a canonical JSON text.

        ``say`` is called with one line where its ``stage.json`` was changed and is written again.

        Raises
        ------
        TrainingError: the folder cannot be made.
        """
        key = digest(depends_on)
        folder = cls(store / key[:20], key)
        described = folder.path / "stage.json"
        try:
            folder.path.mkdir(parents=True, exist_ok=True)
            content = {**json.loads(canonical_json(depends_on)), "key": key}
            text = json.dumps(content, indent=2, sort_keys=True)
            changed = described.exists() and described.read_bytes() != text.encode()
            if changed and say is not None:
                say(f"{described} was changed after it was written; it is written again")
            if changed or not described.exists():
                write_text_atomic(described, text)
        except OSError as error:
            raise TrainingError(f"{folder.path} cannot be written: {error.strerror}") from None
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
        """Return the finished run; None where it is not finished, or where one of its files is damaged."""
        try:
            return self._finished()
        except DamagedError:
            return None

    def parameters(self) -> dict[str, Tensor]:
        """Return the parameters of the finished run's selected epoch, after a look at their SHA-256.

        Raises
        ------
        TrainingError: the run is not finished, or a file of it is missing or not what was written.
        """
        try:
            return load_tensors(self.best, read_record(self.done, StageRecord).best_sha256)[0]
        except (RecordError, DamagedError) as error:
            raise DamagedError(f"{error}; run the study again, which trains the stage again") from None

    def unfinished(self) -> tuple[dict[str, Tensor], StageRecord] | None:
        """Return the state after the last finished epoch of a run that is not finished; None where none is.

        Raises
        ------
        DamagedError: a file of the run, or of the finished run, is not what was written.
        """
        self._finished()
        if not self.last.exists():
            return None
        tensors, note = load_tensors(self.last)
        try:
            kept = _adapter.validate_json(json.dumps(note))
        except ValidationError as error:
            raise DamagedError(f"the note of {self.last} is damaged: {faults(error)}") from None
        if kept.best_epoch < len(kept.history) - 1:
            load_tensors(self.best, kept.best_sha256)
        return tensors, kept

    def clear(self) -> None:
        """Delete what was trained."""
        for path in (self.done, self.last, self.best):
            path.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what safetensors left under a name of its own when its process was killed."""
        for path in self.path.glob(".tmp*"):
            path.unlink(missing_ok=True)

    def finish(self, kept: StageRecord) -> TrainedStage:
        """Mark the run as complete; what was kept for going on is deleted.

        Raises
        ------
        TrainingError: the record cannot be written.
        """
        try:
            write_record(self.done, kept)
            self.last.unlink(missing_ok=True)
        except OSError as error:
            raise _unwritten(self.done, error) from None
        return TrainedStage(self, kept)

    def _finished(self) -> TrainedStage | None:
        if not self.done.exists():
            return None
        try:
            kept = read_record(self.done, StageRecord)
        except RecordError as error:
            raise DamagedError(str(error)) from None
        _content(self.best, kept.best_sha256)
        return TrainedStage(self, kept)


@contextmanager
def writing_tensors(path: Path, tensors: Mapping[str, Tensor], note: object) -> Iterator[str]:
    """Write what :func:`write_tensors` does; yield its SHA-256, and give it its name after the block.

    Raises
    ------
    TrainingError: as :func:`write_tensors`.
    """
    with _written(path, tensors, note) as temporary:
        yield file_sha256(temporary)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: object) -> None:
    """Write ``tensors`` and a JSON ``note`` into one safetensors file, all or nothing.

    It carries a seal: the SHA-256 of its bytes with zeros in the seal's place.

    Raises
    ------
    TrainingError: the file cannot be written; what was there under its name is as it was.
    """
    with _written(path, tensors, note):
        pass


@contextmanager
def _written(path: Path, tensors: Mapping[str, Tensor], note: object) -> Iterator[Path]:
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # One text, because the order of several is not fixed; the seal first, so that its place is found.
    text = json.dumps({"sha256": _UNSEALED, "note": plain(note)})
    try:
        with atomic_path(path) as temporary:
            save_file(contiguous, temporary, {_NOTE: text})
            with temporary.open("r+b") as file:
                seal = hashlib.file_digest(file, "sha256").hexdigest()
                file.seek(0)
                file.seek(file.read(_SEALED_BEFORE).index(_UNSEALED.encode()))
                file.write(seal.encode())
            yield temporary
    except (SafetensorError, OSError) as error:
        raise _unwritten(path, error) from None


def load_tensors(path: Path, sha256: str | None = None) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the note of a file that :func:`write_tensors` wrote.

    Parameters
    ----------
    sha256: what the file's SHA-256 must be; without it, the seal that the file carries is looked at.

    Raises
    ------
    DamagedError: the file is missing or not what was written.
    TrainingError: the file cannot be read.
    """
    content = _content(path, sha256)
    try:
        tensors, metadata = read_safetensors(content)
        sealed = json.loads(metadata[_NOTE])
        seal, note = sealed["sha256"], sealed["note"]
        intact = sha256 is not None or _seal(content, seal) == seal
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DamagedError(
            f"checkpoint {path} is damaged: not a file of cxrbench ({complaint(error)})"
        ) from None
    if not intact:
        raise DamagedError(f"checkpoint {path} is damaged: its SHA-256 is not the one that it carries")
    return tensors, note


def read_safetensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the texts in the header of a safetensors file.

    Raises
    ------
    SafetensorError: it is none.
    """
    tensors = safetensors.torch.load(content)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return tensors, header.get("__metadata__", {})


def _seal(content: bytes, seal: str) -> str:
    start = 8 + int.from_bytes(content[:8], "little")
    sha256 = hashlib.sha256(content[:start].replace(seal.encode(), _UNSEALED.encode(), 1))
    sha256.update(memoryview(content)[start:])
    return sha256.hexdigest()


def _content(path: Path, sha256: str | None) -> bytes:
    if not path.is_file():
        raise DamagedError(f"checkpoint {path.name} is missing from {path.parent}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"checkpoint {path} cannot be read: {error.strerror}") from None
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise DamagedError(f"checkpoint {path} is damaged: its SHA-256 is not the recorded one")
    return content


def _unwritten(path: Path, error: OSError | SafetensorError) -> TrainingError:
    reason = error.strerror if isinstance(error, OSError) else complaint(error)
    return TrainingError(f"{path} cannot be written ({reason}); is the disk full?")


_adapter = TypeAdapter(StageRecord)
