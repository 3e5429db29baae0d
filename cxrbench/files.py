"""Writing files so that no half-written one is ever read back, and keys made of what a result depends on.

A file or folder is written in a temporary folder next to its final place, flushed to the disk, and renamed. A
process that is killed leaves at most its temporary folder (see :data:`TEMPORARY`), which nothing reads and
which :func:`sweep` removes.
"""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import importlib.util
import json
import os
import platform
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

import numpy as np

TEMPORARY = ".partial-"
"""The start of every temporary folder's name; the machine and the process that write in it follow."""

UNFINISHED = ".unfinished-"
"""The start of the name of a folder with work that is gone on with, whoever began it."""

_ABANDONED = 24 * 60 * 60
"""Seconds without a change after which no process can still be writing, wherever it runs."""
_FORGOTTEN = 7 * _ABANDONED
"""The same after which nobody will go on with what is unfinished."""

_ours: set[str] = set()
"""The temporary folders that this process writes in."""


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path; what is written there becomes ``path`` on a clean exit.

    It has the name of ``path`` (some writers look at it) and lies in a folder of its own next to it. The
    parent folder is made where missing. On an exception nothing changes at ``path`` and nothing is left.
    A device or a pipe, such as /dev/stdout, is written to and not replaced.

    Raises
    ------
    FileNotFoundError: the block ended without having written the temporary file.
    """
    final = Path(path)
    if _is_stream(final):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder, final.name)
            with Path(folder, final.name).open("rb") as written, _stream(final) as stream:
                shutil.copyfileobj(written, stream)
        return
    with _temporary(final) as temporary:
        yield temporary
        _flush_file(temporary)
        temporary.replace(final)
    _flush_folder(final.parent)


@contextmanager
def atomic_directory(path: Path | str) -> Iterator[Path]:
    """Yield an empty temporary folder; on a clean exit it becomes ``path``.

    For folders whose name says what is in them (a key): where ``path`` is there already, made meanwhile by
    another process, that one stays and ours is removed. On an exception the temporary folder is removed.
    """
    final = Path(path)
    with _temporary(final) as temporary:
        temporary.mkdir()
        yield temporary
        move_directory(temporary, final)


def move_directory(folder: Path, final: Path) -> None:
    """Flush a folder to the disk and make it ``final``; where that is there already, that one stays.

    Raises
    ------
    OSError: it cannot be written, or is on another file system.
    """
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            _flush_file(file)
    _flush_folder(folder)
    try:
        folder.rename(final)
    except OSError:
        if not final.is_dir():
            raise
    _flush_folder(final.parent)


def sweep(folder: Path | str, deep: bool = True) -> None:
    """Remove what killed processes left in ``folder``, or anywhere below it (``deep``), while they wrote.

    Safe while others write there. A temporary folder is removed where the process that it names is gone. Of
    a process on another machine (or in another container) nothing is known: its folder is removed when
    nothing in it has changed for a day, and unfinished work after a week. What cannot be removed stays.
    """
    for place, folders, _ in os.walk(folder):
        for name in [name for name in folders if name.startswith(UNFINISHED)]:
            folders.remove(name)
            if _age(Path(place, name)) > _FORGOTTEN:
                shutil.rmtree(Path(place, name), ignore_errors=True)
        for name in [name for name in folders if name.startswith(TEMPORARY)]:
            folders.remove(name)
            leftover = Path(place, name)
            if name not in _ours and (_writer_is_gone(name) or _age(leftover) > _ABANDONED):
                shutil.rmtree(leftover, ignore_errors=True)
        if not deep:
            return


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


def read_file(path: Path | str) -> bytes:
    """Return the bytes of a file.

    Raises
    ------
    OSError: it cannot be read, or is a pipe or a device, which may never end.
    """
    _refuse_endless(Path(path))
    return Path(path).read_bytes()


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of the file's bytes, 64 hex digits; memory does not grow with the file.

    Raises
    ------
    OSError: as :func:`read_file`.
    """
    _refuse_endless(Path(path))
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


@contextmanager
def _temporary(final: Path) -> Iterator[Path]:
    """Yield a path of the name of ``final`` in a new folder next to it, which is removed at the end."""
    final.parent.mkdir(parents=True, exist_ok=True)
    folder = final.with_name(f"{TEMPORARY}{_machine()}-{os.getpid()}-{secrets.token_hex(4)}")
    _ours.add(folder.name)
    try:
        folder.mkdir()
        yield folder / final.name
    except OSError as error:
        # A full disk names no file, and the temporary name says little.
        if error.errno is not None:
            error.filename = os.fspath(final)
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _ours.discard(folder.name)


@cache
def _machine() -> str:
    """Return what identifies this machine, or a container on it: 8 hex digits."""
    try:
        # Numbers of processes mean something only within one of these.
        within = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        within = 0
    return hashlib.sha256(f"{platform.node()} {within}".encode()).hexdigest()[:8]


def _writer_is_gone(name: str) -> bool:
    """Return whether the process that a temporary folder is named by was on this machine and has ended."""
    machine, _, rest = name.removeprefix(TEMPORARY).partition("-")
    process = rest.partition("-")[0]
    # Only POSIX can be asked by a signal that does nothing.
    if machine != _machine() or not process.isascii() or not process.isdigit() or os.name != "posix":
        return False
    if int(process) == os.getpid():
        # Not among ours: of an earlier process of our number.
        return True
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        pass
    return False


def _age(folder: Path) -> float:
    """Return the seconds since anything in ``folder`` was changed; none where it has just gone."""
    changed = 0.0
    for place, _, files in os.walk(folder):
        for path in (place, *(os.path.join(place, name) for name in files)):  # noqa: PTH118
            with suppress(OSError):
                changed = max(changed, os.stat(path).st_mtime)  # noqa: PTH116
    return time.time() - changed if changed else 0.0


def _refuse_endless(path: Path) -> None:
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no file, but a pipe or a device", os.fspath(path))


def _is_stream(path: Path) -> bool:
    """Return whether ``path`` is a device, a pipe, or what our own output goes to."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) or _own_output(path) is not None


def _own_output(path: Path) -> int | None:
    """Return the number of our standard output or error where ``path`` is that, such as /dev/stdout."""
    for number in (1, 2):
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(number)):
                return number
    return None


def _stream(path: Path) -> IO[bytes]:
    number = _own_output(path)
    if number is None:
        return path.open("wb")
    # On the handle that the text before and after goes through, or one would overwrite the other.
    sys.stdout.flush()
    return os.fdopen(os.dup(number), "wb")


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
