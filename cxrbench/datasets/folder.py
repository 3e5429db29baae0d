"""What every adapter does with a folder: list it, join it with a label table, and keep count of the rest."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.table import COLUMNS, Cohort, FilePixels
from cxrbench.errors import DatasetError
from cxrbench.text import complaint, one_line

FILE_MISSING = "file missing"
"""The reason in ``left_out`` for images that the data set lists and the folder does not hold."""

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".dcm", ".dicom")
_TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".gz")


@dataclass(frozen=True)
class FolderCohort(Cohort):
    """A cohort read from a folder, with what a reader should know of that folder.

    Parameters
    ----------
    missing: listed images whose files are not here (as many as ``left_out["file missing"]``).
    unlisted: image files that are here and in no list; they are not in the table.
    notes: remarks, one line each, on choices that the adapter made for this folder.
    """

    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folder:
    """Image files found in some folders of a data set: paths relative to its root, "/"-separated."""

    root: Path
    paths: tuple[str, ...]

    def by_name(self) -> dict[str, str]:
        """Return file name -> path; of files with the same name, the first in the order of the folders."""
        named: dict[str, str] = {}
        for path in self.paths:
            named.setdefault(path.rpartition("/")[2], path)
        return named

    def repeated(self) -> tuple[str, ...]:
        """Return a note where files in several folders have one name: :meth:`by_name` takes the first."""
        others = len(self.paths) - len(self.by_name())
        return (f"files of a name that a file in another folder has, not read: {others:,}",) if others else ()


def list_images(root: Path, folders: Iterable[str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Folder:
    """List image files by reading the directories ``folders`` (relative to ``root``; "" is ``root`` itself).

    Files are not opened, and hidden ones (``.DS_Store``, ``._name.png``) not counted. Folders that do not
    exist hold nothing.

    Raises
    ------
    DatasetError: a folder that cannot be listed, or something else in its place.
    """
    paths: list[str] = []
    for folder in folders:
        try:
            with os.scandir(root / folder) as entries:
                names = sorted(entry.name for entry in entries)
        except (OSError, ValueError) as error:
            _refuse_in_the_way(root, folder)
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                continue
            raise DatasetError(f"{root / folder}: cannot be listed: {complaint(error)}") from None
        prefix = f"{folder}/" if folder else ""
        paths += [
            prefix + name
            for name in names
            if name.lower().endswith(tuple(suffixes)) and not name.startswith(".")
        ]
    return Folder(root, _in_utf_8(root, paths))


def walk_images(root: Path, folders: Iterable[str], suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Folder:
    """List image files in ``folders`` and all folders below them, as :func:`list_images` does for one level.

    Links to folders are not followed.

    Raises
    ------
    DatasetError: a folder that cannot be listed.
    """

    def refuse(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise DatasetError(f"{error.filename}: cannot be listed: {error.strerror}") from None

    endings = tuple(suffixes)
    paths: list[str] = []
    for folder in folders:
        _refuse_in_the_way(root, folder)
        skip = len(os.fspath(root)) + 1
        for directory, below, names in os.walk(root / folder, onerror=refuse):
            below[:] = sorted(name for name in below if not name.startswith("."))
            prefix = f"{directory[skip:]}/".replace(os.sep, "/") if len(directory) > skip else ""
            paths += [
                prefix + name
                for name in sorted(names)
                if name.lower().endswith(endings) and not name.startswith(".")
            ]
    return Folder(root, _in_utf_8(root, paths))


def _refuse_in_the_way(root: Path, folder: str) -> None:
    """Refuse what is no folder where a folder of the archive would be: its images would be missed unsaid.

    Raises
    ------
    DatasetError
    """
    place = root
    for name in folder.split("/"):
        place = place / name
        if not os.path.lexists(place):
            return
        if not place.is_dir():
            raise DatasetError(f"{place}: is not a folder, or a link to nothing")


def check_tables(root: Path) -> None:
    """Refuse tables and lists of a folder that are none: an adapter would take them as absent, or wait.

    Looked for in the folder and two levels below it, where archives have them.

    Raises
    ------
    DatasetError: a pipe, a device, a folder, or a link to nothing with a table's name; the first is named.
    """
    level = [os.fspath(root)]
    for _ in range(3):
        below = []
        for folder in level:
            try:
                with os.scandir(folder) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in found:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
                if entry.name.lower().endswith(_TABLE_SUFFIXES) and not _is_file(entry):
                    raise DatasetError(
                        f"{one_line(entry.path)}: is not a regular file, or a link to nothing; put the table "
                        "there, or remove it"
                    )
        level = below


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:  # a link that leads to itself
        return False


def _in_utf_8(root: Path, paths: Iterable[str]) -> tuple[str, ...]:
    """Return ``paths``, refusing names that no table can hold.

    Raises
    ------
    DatasetError
    """
    paths = tuple(paths)
    try:
        "".join(paths).encode()
    except UnicodeEncodeError:
        odd = [path for path in paths if any("\ud800" <= character <= "\udfff" for character in path)]
        raise DatasetError(
            f"{root}: {len(odd):,} file names are not UTF-8, such as {odd[0]!a}; rename them"
        ) from None
    return paths


def check_files(root: Path, paths: Iterable[str], *, links: bool) -> None:
    """Refuse what is not a film of this folder: devices, pipes, links out of it, one file under two names.

    Parameters
    ----------
    root: the data set's folder; it may be a link itself.
    paths: the listed files, relative to it; those that are not here are none of this function's business.
    links: whether a link may lead out of the folder.

    Raises
    ------
    DatasetError: the first of them is named.
    """
    home = os.path.realpath(root)
    inside = home.rstrip(os.sep) + os.sep
    folders: dict[str, str] = {}
    seen: dict[str, str] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        if parent not in folders:
            folders[parent] = os.path.realpath(f"{home}{os.sep}{parent}")
        real = f"{folders[parent]}{os.sep}{name}"
        try:
            mode = os.lstat(real).st_mode
            if stat.S_ISLNK(mode):
                real = os.path.realpath(real)
                mode = os.lstat(real).st_mode
        except OSError:
            continue
        if not stat.S_ISREG(mode):
            raise DatasetError(f"{root}: {path} is not a regular file")
        if not links and not real.startswith(inside):
            raise DatasetError(
                f"{root}: {path} is a link out of the folder; allow it with 'links = true' in the "
                "role, or --links"
            )
        if seen.setdefault(real, path) != path:
            raise DatasetError(f"{root}: {path} is the same file as {seen[real]}; list it once")


class Selection:
    """A label table on its way to a cohort: rows leave it for a reason, and every one is counted.

    Attributes
    ----------
    frame: the rows that are left.
    listed: how many there were at first.
    left_out: reason -> rows, in the order in which they left.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        self.frame = frame
        self.listed = len(frame)
        self.left_out: dict[str, int] = {}

    def leave_out(self, rows: pd.Series | npt.NDArray[np.bool_], reason: str) -> pd.DataFrame:
        """Take the rows out for which ``rows`` is true; return them."""
        gone = np.asarray(rows, dtype=bool)
        if gone.any():
            self.left_out[reason] = self.left_out.get(reason, 0) + int(gone.sum())
        out, self.frame = self.frame.loc[gone], self.frame.loc[~gone]
        return out


def make_cohort(
    *,
    dataset: str,
    root: Path,
    selection: Selection,
    labels: Sequence[str],
    missing: Iterable[str] = (),
    unlisted: Iterable[str] = (),
    official_test: Iterable[str] = (),
    notes: Iterable[str] = (),
) -> FolderCohort:
    """Put a selection's columns in the order of the cohort contract and wrap it.

    A label's cell of -1 is uncertain (see :class:`~cxrbench.cohort.table.Cohort`). Columns of
    :data:`~cxrbench.cohort.table.COLUMNS` that the frame lacks are filled as unknown; ``source``
    defaults to the data set's name.

    Raises
    ------
    DatasetError: nothing is left.
    CohortError: the table breaks the contract.
    """
    frame = selection.frame.reset_index(drop=True)
    if frame.empty:
        reasons = "; ".join(f"{count:,} {reason}" for reason, count in selection.left_out.items())
        raise DatasetError(f"{root}: none of the {selection.listed:,} images listed can be used: {reasons}")
    table = frame.copy()
    for column, default in (("view", None), ("sex", None), ("age", np.nan), ("source", dataset)):
        if column not in table:
            table[column] = default
    table["age"] = table["age"].astype(np.float64)
    uncertain = {}
    for label in labels:
        values = table[label].astype(np.float64)
        if (values == -1.0).any():
            uncertain[label] = (values == -1.0).to_numpy()
        table[label] = values.mask(values == -1.0)
    first = [*COLUMNS, *labels]
    table = table[[*first, *(column for column in table.columns if column not in first)]]
    here = set(table["image_id"])
    return FolderCohort(
        dataset=dataset,
        table=table,
        labels=tuple(labels),
        pixels=FilePixels(root, tuple(table["path"])),
        listed=selection.listed,
        left_out=selection.left_out,
        uncertain=uncertain,
        official_test=frozenset(name for name in official_test if name in here),
        missing=tuple(missing),
        unlisted=tuple(unlisted),
        notes=tuple(notes),
    )


def shortened(names: Iterable[str], limit: int = 3) -> str:
    """Return the first few names for a message."""
    names = list(names)
    return ", ".join(one_line(name) for name in names[:limit]) + (", ..." if len(names) > limit else "")
