"""Writing files so that no half-written one is ever read back, and keys made of what a result depends on.

A file or folder is written under a temporary name beside its final one, flushed to the disk, and renamed.
A process that is killed leaves at most a temporary name (see :data:`TEMPORARY`), which nothing reads.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path

import numpy as np

TEMPORARY = ".partial-"
"""What every temporary name starts with, so that leftovers of a killed process can be told and removed."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; what is written there becomes ``path`` on a clean exit.

    The temporary name keeps the suffix of ``path`` (some writers look at it). The parent folder is made where
    missing. On an exception nothing changes at ``path`` and the temporary file is removed.

    Raises
    ------
    FileNotFoundError: the block ended without having written the temporary file.
    """
    final = Path(path)
    temporary = _temporary(final)
    try:
        yield temporary
        _flush_file(temporary)
        temporary.replace(final)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush_folder(final.parent)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder beside ``path``; on a clean exit it becomes ``path``.

    For folders whose name says what is in them (a key): where ``path`` is there already, made meanwhile by
    another process, that one stays and ours is removed. On an exception the temporary folder is removed.
    """
    final = Path(path)
    temporary = _temporary(final)
    temporary.mkdir()
    try:
        yield temporary
        for file in sorted(temporary.rglob("*")):
            if file.is_file():
                _flush_file(file)
        _flush_folder(temporary)
        try:
            temporary.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        # After the rename there is nothing under the temporary name any more.
        shutil.rmtree(temporary, ignore_errors=True)
    _flush_folder(final.parent)


def write_bytes_atomic(path: Path | str, content: bytes) -> None:
    """Write ``content`` to ``path``: either all of it is there afterwards or ``path`` is as it was."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text_atomic(path: Path | str, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8 with the newlines it has, all or nothing.

    Names of files that are not UTF-8, as Python gives them, keep their bytes.
    """
    write_bytes_atomic(path, text.encode(errors="surrogateescape"))


def canonical_json(value: object) -> str:
    """Return the one JSON text of ``value``: keys sorted, no spaces, all ASCII.

    Dataclasses become objects, sequences and arrays lists, sets sorted lists, paths "/"-separated strings,
    and numpy scalars the Python number.

    Raises
    ------
    TypeError: a value of another type, or a key that is not a string.
    ValueError: a NaN or an infinite number, for which JSON has no text.
    """
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: object) -> str:
    """Return the SHA-256 of :func:`canonical_json` of ``value``, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of the file's bytes, 64 hex digits; memory does not grow with the file."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def source_digest(*modules: str) -> str:
    """Return the SHA-256 of the Python sources of modules or packages, 64 hex digits.

    Parameters
    ----------
    modules: full names, such as ``"cxrbench.radiograph"``; a package counts with everything below it.
        The modules themselves are not imported.

    Raises
    ------
    ModuleNotFoundError: no source is found under a name.
    """
    total = hashlib.sha256()
    for name in sorted(set(modules)):
        for label, file in _sources(name):
            content = file.read_bytes()
            total.update(f"{label}\0{len(content)}\0".encode())
            total.update(content)
    return total.hexdigest()


def _sources(name: str) -> list[tuple[str, Path]]:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        found = [
            (f"{name}/{file.relative_to(folder).as_posix()}", file)
            for folder in folders
            for file in folder.rglob("*.py")
        ]
    elif spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
        found = [(name, Path(spec.origin))]
    else:
        found = []
    if not found:
        raise ModuleNotFoundError(f"no Python source found for {name!r}", name=name)
    return sorted(found)


def plain(value: object) -> object:
    """Return ``value`` as what JSON has: see :func:`canonical_json` for what becomes of which type."""
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Path):
        return value.as_posix()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            raise TypeError(f"a key must be a string to be written as JSON, not {wrong[0]!r}")
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Set):
        return sorted((plain(item) for item in value), key=canonical_json)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [plain(item) for item in value]
    raise TypeError(f"no JSON text for a {type(value).__name__}")


def _temporary(final: Path) -> Path:
    final.parent.mkdir(parents=True, exist_ok=True)
    return final.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{final.name}")


def _flush_file(path: Path) -> None:
    # "r+b": Windows flushes only a handle that may write.
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def _flush_folder(path: Path) -> None:
    # The rename itself is on the disk only once the folder is; only POSIX lets a folder be opened.
    if os.name == "posix":
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
