"""A user's own images, listed in a CSV file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import pandas as pd

from cxrbench.cohort.table import COLUMNS, Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, list_images, make_cohort
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import (
    ages,
    numbers,
    read_flags,
    read_ids,
    read_table,
    refuse_empty,
    refuse_rows,
    sexes,
    views,
    words_for_nothing,
)
from cxrbench.errors import DatasetError

FILE = "manifest.csv"
_HINT = "write one with the columns path, patient_id and a column of 1 and 0 for each label"
_UNKNOWN = ("unknown", "n/a", "na", "nan", "none", "?", "other", "o", "u")
_LABEL_VALUES = (1, 0, -1)


def recognises(folder: Path, file: str = FILE) -> bool:
    """Return whether the folder holds the manifest."""
    return (folder / file).is_file()


def _check(file: object = FILE, labels: object = None) -> None:
    if not isinstance(file, str) or not file:
        raise DatasetError(f"file must be the name of the list, such as {FILE!r}, not {file!r}")
    if labels is not None and not (
        isinstance(labels, list | tuple) and all(isinstance(label, str) for label in labels)
    ):
        raise DatasetError(f"labels must be a list of column names, not {labels!r}")


@register("manifest", title="a list of your own", marker=FILE, recognises=recognises, check=_check)
def load(root: Path, file: str = FILE, labels: Sequence[str] | None = None) -> Cohort:
    """Read a CSV file that lists images of any readable kind.

    Columns: ``path`` (relative to the folder), ``patient_id``, one column per label, and if you like
    ``image_id`` (else the path), ``view``, ``sex``, ``age`` (years, or as DICOM writes them) and ``source``.
    Every other column is carried along as text.

    A label's cells are 1, 0, -1 (uncertain) or empty (not known). Without ``labels``, a further column is a
    label where all of its cells are so, and not all are empty. A column that is so in at least half of its
    cells, but not in all, is refused: it may be a label with a slip in it.

    Parameters
    ----------
    root: the folder that the paths start from.
    file: name of the manifest in it.
    labels: the label columns, where they should not be found by their cells.

    Raises
    ------
    DatasetError: no manifest, no label column, or a cell that cannot be; the message names the row, counted
        as a spreadsheet does (the header is row 1).
    """
    path = root / file
    frame = read_table(path, ("path", "patient_id"), hint=_HINT)
    refuse_empty(path, frame, ("path",))
    frame, id_notes = read_ids(path, frame, ("patient_id",))
    frame["path"] = relative_paths(path, frame["path"])
    labels = _labels(path, frame) if labels is None else _named_labels(path, frame, labels)
    image_ids = frame["image_id"] if "image_id" in frame else frame["path"]
    refuse_rows(path, image_ids.isna(), "column 'image_id' is empty")
    refuse_rows(path, image_ids.duplicated(keep=False), "an image_id appears twice")
    columns = {
        "image_id": image_ids,
        "view": _read_field(path, frame, "view", views, "PA, AP, AP supine, lateral or empty"),
        "sex": _read_field(path, frame, "sex", sexes, "M, F or empty"),
        "age": _read_field(path, frame, "age", ages, "years from 0 to 120, such as 58 or 058Y, or empty"),
        "source": frame["source"].fillna("unknown") if "source" in frame else "manifest",
        **{label: read_flags(path, frame[label], unknown=True) for label in labels},
    }
    selection = Selection(frame.assign(**columns))
    folders = sorted({parent for parent, _, _ in (name.rpartition("/") for name in frame["path"])})
    here = set(list_images(root, folders, ("",)).paths)
    missing = selection.leave_out(~selection.frame["path"].isin(here), FILE_MISSING)
    carried = [c for c in frame.columns if c not in (*COLUMNS, *labels)]
    notes = [*id_notes, f"labels: {', '.join(labels)}; carried along: {', '.join(carried) or 'nothing'}"]
    images = set(list_images(root, folders).paths)
    return make_cohort(
        dataset="manifest",
        root=root,
        selection=selection,
        labels=labels,
        missing=missing["path"],
        unlisted=sorted(images - set(frame["path"])),
        notes=notes,
    )


def relative_paths(path: Path, names: pd.Series) -> pd.Series:
    """Return the paths in their one spelling: "/" between folders, no "." and nothing doubled.

    Raises
    ------
    DatasetError: a path leaves the folder, or two rows name one file.
    """
    names = names.str.replace("\\", "/")
    outside = names.map(lambda name: PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts)
    drive = names.str.match(r"[A-Za-z]:")
    refuse_rows(
        path, outside.astype(bool) | drive, "a path must be relative to the manifest's folder, inside it"
    )
    plain = names.map(lambda name: PurePosixPath(name).as_posix())
    refuse_rows(path, plain == ".", "a path must name a file")
    refuse_rows(path, plain.duplicated(keep=False), "a path appears twice")
    return plain


def _labels(path: Path, frame: pd.DataFrame) -> list[str]:
    """Find the label columns by their cells.

    Raises
    ------
    DatasetError
    """
    labels = []
    for column in frame.columns:
        cells = frame[column].dropna()
        if column in COLUMNS or cells.empty:
            continue
        # Written 01, it is a code of something.
        flags = numbers(cells, _LABEL_VALUES).notna() & ~cells.str.match(r"\s*[+-]?0\d")
        if flags.all():
            labels.append(column)
        elif flags.any() and (flags | words_for_nothing(cells)).all():
            read_flags(path, cells, unknown=True)  # names the word, and the row
        elif flags.mean() >= 0.5:
            what = "mostly 1 and 0 but not here; correct the cell, or name the label columns"
            refuse_rows(path, ~flags, f"column {column!r} is {what}")
    if not labels:
        raise DatasetError(f"{path}: no label column; {_HINT}")
    return labels


def _named_labels(path: Path, frame: pd.DataFrame, labels: Sequence[str]) -> list[str]:
    """Check the label columns that the user named.

    Raises
    ------
    DatasetError
    """
    if isinstance(labels, str) or not labels:
        raise DatasetError(
            f"{path}: labels must be a list of column names, such as ['COVID-19'], not {labels!r}"
        )
    for label in labels:
        if label not in frame.columns or label in COLUMNS:
            others = [column for column in frame.columns if column not in COLUMNS]
            raise DatasetError(f"{path}: no label column {label!r}; there are {', '.join(others) or 'none'}")
    return list(labels)


def _read_field(
    path: Path,
    frame: pd.DataFrame,
    column: str,
    understand: Callable[[pd.Series], pd.Series],
    allowed: str,
) -> pd.Series:
    """Return a field in the contract's spelling, missing where the manifest does not have it.

    Raises
    ------
    DatasetError
    """
    texts = frame.get(column, pd.Series(None, frame.index, dtype=object))
    values = understand(texts)
    known = texts.notna() & ~texts.astype(str).str.lower().isin(_UNKNOWN)
    refuse_rows(path, known & values.isna(), f"column {column!r} must be {allowed}")
    return values
