"""Packing: every image of a cohort decoded once, into one array on disk.

A pack is a folder named by a key of everything that its pixels depend on. It holds

- ``pixels.npy``   (n, size, size) uint8
- ``table.jsonl``  the cohort table's n rows (:mod:`cxrbench.cohort.jsonlines`)
- ``pack.json``    key, shape, digests, the versions that read the files, the images left out and why

Pixels, table and labels are held to the digest in ``pack.json`` whenever a pack is opened. A pack that was
damaged or changed is made again. Hashing takes a second per gigabyte or so; for a large pack it is left out
where neither file was changed since the last time (see :func:`_intact`).
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.jsonlines import dump_table, parse_table
from cxrbench.cohort.table import BatchSource, Cohort, PixelSource, VersionedSource, resolve
from cxrbench.cohort.unfinished import PIXELS, Unfinished, npy_header
from cxrbench.cores import LOST, in_order
from cxrbench.errors import CohortError, RadiographError, RecordError
from cxrbench.files import UNFINISHED, canonical_json, digest, sweep, write_text_atomic
from cxrbench.records import read_record, record, write_record
from cxrbench.text import first_of

FORMAT = 2
TABLE = "table.jsonl"
CHUNK = 256
"""Images that are made at a time."""

OnBad = Literal["stop", "leave-out"]
LARGE = 64 * 2**20
"""Bytes of pixels from which a pack is not hashed every time that it is opened."""

Progress = Callable[[int], None]
"""Called with how many images were done since the last call (such as the ``update`` of a tqdm bar)."""


@dataclass(frozen=True)
class LeftOut:
    """An image that could not be read: its path as in the table, and why."""

    image_id: str
    path: str
    reason: str


@record
class _Note:
    """What ``pack.json`` holds."""

    key: str
    content: str
    dataset: str
    labels: tuple[str, ...]
    shape: tuple[int, int, int]
    table: str
    fingerprint: str
    versions: dict[str, str]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, eq=False)
class Pack:
    """A cohort's table and its decoded pixels, row for row.

    Attributes
    ----------
    dataset: name of the data set.
    table: the cohort table's rows whose images could be read, index 0..n-1.
    labels: names of the label columns.
    pixels: (n, size, size) uint8, a read-only memory map.
    key: SHA-256 of everything that the pack was made from; two packs of one key are the same.
    content: SHA-256 of the pixels, the table and the labels; does not change where files were read again, by
        other versions of the software, with the same result.
    left_out: the images that could not be read.
    directory: where the pack lies.
    """

    dataset: str
    table: pd.DataFrame
    labels: tuple[str, ...]
    pixels: npt.NDArray[np.uint8]
    key: str
    content: str
    left_out: tuple[LeftOut, ...]
    directory: Path

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        """Side of the images in pixels."""
        return int(self.pixels.shape[1])

    @cached_property
    def _row(self) -> dict[str, int]:
        return {image: row for row, image in enumerate(self.table["image_id"].tolist())}

    def rows(self, image_ids: Iterable[str]) -> npt.NDArray[np.int64]:
        """Return the row of each image, in the order asked for, (m,) int64.

        Raises
        ------
        CohortError: an image is not in the pack.
        """
        asked = list(image_ids)
        missing = [image for image in asked if image not in self._row]
        if missing:
            raise CohortError(
                f"pack of {self.dataset!r}: {len(missing)} images are not in it, "
                f"first: {', '.join(missing[:3])}"
            )
        return np.array([self._row[image] for image in asked], dtype=np.int64)


def pack(
    cohort: Cohort,
    size: int,
    directory: Path | str,
    on_bad: OnBad = "stop",
    workers: int | None = None,
    progress: Progress | None = None,
    say: Callable[[str], None] | None = None,
) -> Pack:
    """Decode a cohort's images once, or return the pack that an earlier call left.

    The pack appears under its final name only when it is whole. One that was stopped goes on after the last
    image that was read, and becomes the same, byte for byte. Where two processes pack the same cohort, one
    works and the other waits for it.

    Parameters
    ----------
    cohort: what to pack.
    size: side of the packed images in pixels.
    directory: folder that holds the packs; made where missing.
    on_bad: what to do about files that cannot be read: ``"stop"`` reads all the others first and then names
        them, ``"leave-out"`` drops their rows and lists them in :attr:`Pack.left_out`.
    workers: how many files are read at a time; by default one per core. Large cohorts are read by processes
        (:mod:`cxrbench.cores`). Sources that read in batches need none.
    progress: called with 1 after each image, and first with the number of those that were read before; not at
        all where the pack is there already.
    say: called with one line where a pack is there that was damaged or changed, and is made again, and where
        one that was stopped goes on.

    Raises
    ------
    CohortError: files that cannot be read (``on_bad="stop"``, or all of them), or a folder that cannot be
        written.
    """
    if size < 1:
        raise CohortError(f"image size must be at least 1 pixel, not {size}")
    if on_bad not in ("stop", "leave-out"):
        raise CohortError(f"on_bad must be 'stop' or 'leave-out', not {on_bad!r}")
    recipe = _Recipe.of(cohort, size)
    name = f"{re.sub(r'[^A-Za-z0-9._-]', '-', cohort.dataset)}-{size}px-{recipe.key[:16]}"
    final = Path(directory) / name
    sweep(directory)
    found = _read(final, recipe.key)
    if found is not None:
        # Of a process that was killed when it had just finished.
        shutil.rmtree(_unfinished(final), ignore_errors=True)
    else:
        if say is not None and final.exists():
            say(f"{final}: the pack was damaged or changed after it was written; it is made again")
        try:
            found = _make(final, recipe, on_bad, workers, progress, say)
        except OSError as error:
            needed = math.ceil(len(cohort) * size * size / 2**20)
            raise CohortError(
                f"{directory}: the packed images cannot be written ({error.strerror or error}); they need "
                f"{needed:,} MiB there"
            ) from error
    if found.left_out and on_bad == "stop":
        _stop(found.left_out, cohort.dataset, len(cohort), f" (as noted in {final}; delete it to try again)")
    return found


def open_pack(directory: Path | str, key: str) -> Pack | None:
    """Return the pack of that ``key`` in ``directory``; None where none is, or it was damaged or changed."""
    found = (_read(path, key) for path in sorted(Path(directory).glob(f"*-{key[:16]}")))
    return next((pack for pack in found if pack is not None), None)


@dataclass(frozen=True)
class _Recipe:
    """What a pack is made from, and its key."""

    cohort: Cohort
    size: int
    table: str
    fingerprint: str
    versions: Mapping[str, str]
    key: str

    @classmethod
    def of(cls, cohort: Cohort, size: int) -> _Recipe:
        source, _ = resolve(cohort.pixels, len(cohort))
        table = hashlib.sha256(dump_table(cohort.table)).hexdigest()
        fingerprint = source.fingerprint()
        versions = dict(source.versions()) if isinstance(source, VersionedSource) else {}
        made_from = (FORMAT, cohort.dataset, cohort.labels, size, table, fingerprint, versions)
        return cls(cohort, size, table, fingerprint, versions, digest(made_from))


def _make(
    final: Path,
    recipe: _Recipe,
    on_bad: OnBad,
    workers: int | None,
    progress: Progress | None,
    say: Callable[[str], None] | None,
) -> Pack:
    # Imported here: only packing needs it.
    from filelock import FileLock

    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(final.with_name(f".{final.name}.lock")):
        # Whoever held the lock before may have made it.
        found = _read(final, recipe.key)
        if found is not None:
            return found
        # Nobody else is at work under this name: what lies there is damaged.
        shutil.rmtree(final, ignore_errors=True)
        with Unfinished(_unfinished(final), recipe.key, len(recipe.cohort), recipe.size) as unfinished:
            if len(unfinished) and say is not None:
                say(f"{final}: {len(unfinished):,} of {len(recipe.cohort):,} images had been read before")
            images = _images(recipe.cohort, recipe.size, workers, first=len(unfinished))
            _write(unfinished, final, recipe, images, on_bad, progress)
        made = _read(final, recipe.key)
        if made is None:
            raise CohortError(f"{final}: the pack cannot be read back; check the disk")
        return made


def _write(
    unfinished: Unfinished,
    final: Path,
    recipe: _Recipe,
    images: Generator[npt.NDArray[np.uint8] | str, None, None],
    on_bad: OnBad,
    progress: Progress | None,
) -> None:
    """Add ``images``, each row's pixels or why it has none, to what there is, and make all of it a pack."""
    cohort, total = recipe.cohort, len(recipe.cohort)
    if progress is not None and len(unfinished):
        progress(len(unfinished))
    with closing(images):
        for image in images:
            unfinished.add(image)
            if progress is not None:
                progress(1)
    kept = np.array([reason is None for reason in unfinished.reasons], dtype=np.bool_)
    left_out = [
        LeftOut(_text(image_id), _text(path), reason)
        for image_id, path, reason in zip(
            cohort.table["image_id"], cohort.table["path"], unfinished.reasons, strict=True
        )
        if reason is not None
    ]
    if left_out and (on_bad == "stop" or not kept.any()):
        # Not kept for another time: a file may be repaired by what does not change it.
        unfinished.remove()
        _stop(left_out, cohort.dataset, total)
    shape = (int(kept.sum()), recipe.size, recipe.size)
    table = dump_table(cohort.table[kept])
    (unfinished.pack / TABLE).write_bytes(table)
    content = unfinished.content
    content.update(table)
    content.update(canonical_json(cohort.labels).encode())
    note = _Note(
        key=recipe.key,
        content=content.hexdigest(),
        dataset=cohort.dataset,
        labels=tuple(cohort.labels),
        shape=shape,
        table=recipe.table,
        fingerprint=recipe.fingerprint,
        versions=dict(recipe.versions),
        left_out=tuple(left_out),
    )
    write_record(unfinished.pack / "pack.json", note, FORMAT)
    unfinished.finish(shape, final)


def _read(final: Path, key: str) -> Pack | None:
    """Return the pack that lies at ``final``, or None where there is none or it was damaged or changed."""
    try:
        note = read_record(final / "pack.json", _Note, FORMAT)
        if note.key != key or not _intact(final, note):
            return None
        return Pack(
            dataset=note.dataset,
            table=parse_table((final / TABLE).read_bytes()),
            labels=note.labels,
            pixels=np.load(final / PIXELS, mmap_mode="r", allow_pickle=False),
            key=key,
            content=note.content,
            left_out=note.left_out,
            directory=final,
        )
    except (RecordError, OSError, ValueError):
        return None


def _intact(final: Path, note: _Note) -> bool:
    """Return whether pixels, table and labels are those that the note was written for.

    For a large pack, ``checked`` notes in what state the files were when they were found intact: size, inode,
    and the times of the last change of content (mtime) and of anything (ctime). The file system sets the last
    one at every change, and no program can set it back. A change within two seconds of the check might not
    show in it, so then nothing is noted.
    """
    stats = [(final / name).stat() for name in (PIXELS, TABLE)]
    state = digest([note.content, [[s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns] for s in stats]])
    checked = final / "checked"
    remembers = os.name == "posix" and stats[0].st_size >= LARGE
    if remembers and checked.is_file() and checked.read_bytes() == state.encode():
        return True
    header = npy_header(note.shape)
    content = hashlib.sha256()
    with (final / PIXELS).open("rb") as file:
        if file.read(len(header)) != header:
            return False
        while chunk := file.read(2**20):
            content.update(chunk)
    content.update((final / TABLE).read_bytes())
    content.update(canonical_json(note.labels).encode())
    if content.hexdigest() != note.content:
        return False
    if remembers and time.time() - max(s.st_ctime for s in stats) > 2:
        with suppress(OSError):
            write_text_atomic(checked, state)
    return True


def _images(
    cohort: Cohort, size: int, workers: int | None, first: int
) -> Generator[npt.NDArray[np.uint8] | str, None, None]:
    """Yield each image from ``first`` on, or the reason why it cannot be read."""
    source, positions = resolve(cohort.pixels, len(cohort))
    positions = positions[first:]
    one = partial(_image, source, size)
    if not isinstance(source, BatchSource):
        yield from in_order(one, positions.tolist(), lambda _: LOST, workers)
        return
    chunk_size = getattr(source, "batch", CHUNK)
    for start in range(0, len(positions), chunk_size):
        chunk = positions[start : start + chunk_size]
        try:
            yield from _checked(source.read_batch(chunk, size), (len(chunk), size, size))
        except (RadiographError, OSError):
            # One of them is bad; find out which.
            yield from map(one, chunk.tolist())


def _image(source: PixelSource, size: int, index: int) -> npt.NDArray[np.uint8] | str:
    """Return an image, or the reason why it cannot be read."""
    try:
        return _checked(source.read(index, size), (size, size))
    except RadiographError as error:
        return error.reason
    except OSError as error:
        return error.strerror or str(error)


def _checked(image: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    if image.shape != shape or image.dtype != np.uint8:
        raise CohortError(
            f"a pixel source gave an array of shape {image.shape} and type {image.dtype} where {shape} uint8 "
            "is needed; this is a fault of the data set's adapter"
        )
    return np.ascontiguousarray(image)


def _text(name: str) -> str:
    """Return a name as JSON can hold it: bytes of a file name that are not UTF-8 as ``\\udc..``."""
    return name.encode(errors="backslashreplace").decode()


def _unfinished(final: Path) -> Path:
    """Return where a pack lies while it is made."""
    return final.with_name(f"{UNFINISHED}{final.name}")


def _stop(left_out: Sequence[LeftOut], dataset: str, total: int, note: str = "") -> NoReturn:
    named = first_of([f"{item.path}: {item.reason}" for item in left_out], "; ")
    advice = (
        "repair or remove them, or set on_bad to 'leave-out' to go on without them"
        if len(left_out) < total
        else "check that the folder is the right one and the image libraries are installed"
    )
    raise CohortError(
        f"pack of {dataset!r}: {len(left_out)} of {total} images cannot be read ({named}); {advice}{note}"
    )
