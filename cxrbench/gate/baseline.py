"""A baseline: the predictions, results and speeds of a study, in a folder that can be committed.

DIR/baseline.json       format, and the SHA-256 of every file
DIR/results.json        the study's results
DIR/predictions/...     its prediction files, under the same names
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from pathlib import Path

from cxrbench.errors import GateError
from cxrbench.files import TEMPORARY, atomic_directory, file_sha256, write_text_atomic
from cxrbench.study.finished import RESULTS, FinishedStudy, inside

FORMAT = 1


class NoBaselineError(GateError):
    """There is no baseline yet: a state of its own, not a failure of the study."""


def save_baseline(study: FinishedStudy, directory: Path) -> None:
    """Write ``study`` as the baseline in ``directory``, all or nothing; an older baseline there is replaced.

    Where it fails, the older baseline is where it was. A process that is killed at the worst moment leaves it
    at ``DIRECTORY.replaced``; :func:`load_baseline` says so, and the next save removes it.

    Raises
    ------
    GateError: ``directory`` holds something else than a baseline, or a file is missing or cannot be written.
    """
    if directory.exists() and not _is_baseline(directory) and not _is_empty(directory):
        raise GateError(f"{directory} exists and is no baseline; name an empty or a new folder")
    # A link to a baseline stays a link: what it leads to is replaced.
    place = directory.resolve()
    fresh = _unused_name(place)
    files = [seed.predictions for scheme in study.results.schemes for seed in scheme.seeds]
    try:
        with atomic_directory(fresh) as temporary:
            for name in (RESULTS, *files):
                copy = inside(temporary, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(study.folder / name, copy)
            hashes = {name: file_sha256(temporary / name) for name in sorted((RESULTS, *files))}
            write_text_atomic(
                temporary / "baseline.json", json.dumps({"format": FORMAT, "files": hashes}, indent=2)
            )
        _put(fresh, place)
    except OSError as error:
        raise GateError(f"the baseline {directory} cannot be written: {error}") from None
    finally:
        # After it was put in its place there is nothing under this name any more.
        shutil.rmtree(fresh, ignore_errors=True)


def load_baseline(directory: Path) -> FinishedStudy:
    """Read a baseline, checking that no file of it has changed.

    Raises
    ------
    NoBaselineError: the folder does not exist or is empty; the message says how to write one.
    GateError: it is no baseline, a file of it is missing or was changed, or a save was killed.
    """
    if not directory.exists() or _is_empty(directory):
        old = _replaced(directory.resolve())
        if _is_baseline(old):
            raise GateError(
                f"{directory} is missing, since a save was interrupted; the older baseline is at {old}: "
                f"rename it to {directory.name}, or save the baseline anew"
            )
        raise NoBaselineError(
            f"no baseline yet at {directory}: write one with "
            f"'cxrbench baseline save {directory} --study STUDY'"
        )
    if not _is_baseline(directory):
        raise GateError(f"{directory} is no baseline: it has no baseline.json")
    try:
        record = json.loads((directory / "baseline.json").read_text(encoding="utf-8"))
        version, files = record["format"], dict(record["files"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GateError(f"{directory / 'baseline.json'} cannot be read: {error!r}") from None
    if version != FORMAT:
        raise GateError(f"{directory} has format {version}; this version reads {FORMAT}: save it anew")
    for name, expected in files.items():
        if not (directory / name).is_file():
            raise GateError(f"baseline {directory}: {name} is missing; restore it or save the baseline anew")
        if file_sha256(directory / name) != expected:
            raise GateError(f"baseline {directory}: {name} was changed after the baseline was saved")
    return FinishedStudy.open(directory)


def _put(fresh: Path, place: Path) -> None:
    """Rename ``fresh`` to ``place``; the older baseline there is removed, or comes back where it fails."""
    old = _replaced(place)
    try:
        if _is_empty(place):
            place.rmdir()
        elif place.exists():
            if _is_baseline(old):
                # Left by a save that was killed when its own was in place already.
                shutil.rmtree(old, ignore_errors=True)
            if os.path.lexists(old):
                old = _unused_name(place)
            place.rename(old)
        fresh.rename(place)
    except BaseException:
        if _is_baseline(old) and not place.exists():
            old.rename(place)
        raise
    if _is_baseline(old):
        shutil.rmtree(old, ignore_errors=True)


def _replaced(place: Path) -> Path:
    return place.with_name(f"{place.name}.replaced")


def _unused_name(place: Path) -> Path:
    return place.with_name(f"{TEMPORARY}{secrets.token_hex(4)}-{place.name}")


def _is_empty(directory: Path) -> bool:
    return directory.is_dir() and not any(directory.iterdir())


def _is_baseline(directory: Path) -> bool:
    return (directory / "baseline.json").is_file()
