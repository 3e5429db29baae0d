"""A baseline: the predictions, results and speeds of a study, in a folder that can be committed.

DIR/baseline.json       which results it holds
DIR/results.json        the study's results, with the SHA-256 of every prediction file
DIR/predictions/...     its prediction files, under the same names
DIR/trace.json          what it did, which shows whether a study is the same experiment
DIR/.gitattributes      keeps git from rewriting line ends, which would change the files' hashes

Files of your own in the folder, such as a README, are kept when a baseline is saved again.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from cxrbench.errors import CxrbenchError, GateError
from cxrbench.files import TEMPORARY, atomic_directory, digest, write_text_atomic
from cxrbench.records import read_record, record, write_record
from cxrbench.study.finished import FinishedStudy, inside
from cxrbench.study.results import RESULTS, Sha256, save_results
from cxrbench.trace.records import NAME as TRACE
from cxrbench.trace.records import write_trace

FORMAT = 2
RECORD = "baseline.json"
ATTRIBUTES = ".gitattributes"
_OURS = (RECORD, RESULTS, TRACE, "predictions")


class NoBaselineError(GateError):
    """There is no baseline yet: a state of its own, not a failure of the study."""


@record
class Baseline:
    """The digests of the results and of the trace that the baseline was saved with."""

    results: Sha256
    trace: Sha256 | None


def save_baseline(study: FinishedStudy, directory: Path) -> None:
    """Write ``study`` as the baseline in ``directory``, all or nothing; an older baseline there is replaced.

    Where it fails, the older baseline is where it was. A process that is killed at the worst moment leaves it
    at ``DIRECTORY.replaced``; :func:`load_baseline` says so, and the next save removes it.

    Raises
    ------
    GateError: ``directory`` holds something else than a baseline, or cannot be written.
    CxrbenchError: a prediction file is missing or not the one that the results were computed from.
    """
    if directory.exists() and not _is_baseline(directory) and not _is_empty(directory):
        raise GateError(f"{directory} exists and is not a baseline; name an empty or a new folder")
    # A link to a baseline stays a link: what it leads to is replaced.
    place = directory.resolve()
    fresh = _unused_name(place)
    try:
        with atomic_directory(fresh) as temporary:
            if place.exists():
                _keep_other_files(place, temporary)
            for name, _ in study.files:
                copy = inside(temporary, name)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(inside(study.folder, name), copy)
            save_results(study.results, temporary / RESULTS)
            trace = study.trace()
            if trace is not None:
                write_trace(trace, temporary / TRACE)
            # What was copied is checked, and not what lay there before.
            FinishedStudy(temporary, study.results).check()
            if not (temporary / ATTRIBUTES).exists():
                write_text_atomic(temporary / ATTRIBUTES, "* -text\n")
            write_record(
                temporary / RECORD, Baseline(digest(study.results), digest(trace) if trace else None), FORMAT
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
    GateError: it is not a baseline, a file of it is missing or was changed, or a save was killed.
    """
    if not directory.exists() or _is_empty(directory):
        old = _replaced(directory.resolve())
        if _is_baseline(old):
            raise GateError(
                f"{directory} is missing, since a save was interrupted; the older baseline is at {old}: "
                f"rename it to {directory.name}, or save the baseline again"
            )
        raise NoBaselineError(
            f"no baseline yet at {directory}: write one with "
            f"'cxrbench baseline save {directory} --study STUDY'"
        )
    if not _is_baseline(directory):
        raise GateError(f"{directory} is not a baseline: it has no {RECORD}")
    try:
        recorded = read_record(directory / RECORD, Baseline, FORMAT)
        study = FinishedStudy.open(directory)
        study.check()
        trace = study.trace()
    except CxrbenchError as error:
        raise GateError(f"baseline {directory}: {error}; restore it, or save the baseline again") from None
    for name, found, saved in (
        (RESULTS, digest(study.results), recorded.results),
        (TRACE, digest(trace) if trace else None, recorded.trace),
    ):
        if found != saved:
            raise GateError(
                f"baseline {directory}: {name} is not the one that was saved; restore it, or save the "
                "baseline again"
            )
    return study


def _keep_other_files(place: Path, fresh: Path) -> None:
    """Copy to ``fresh`` what in the older baseline at ``place`` is not a baseline's."""
    for entry in place.iterdir():
        if entry.name in _OURS or entry.name.startswith(TEMPORARY):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, fresh / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, fresh / entry.name, follow_symlinks=False)


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
    return (directory / RECORD).is_file()
