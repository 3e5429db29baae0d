"""Prediction files: one row per test image with its id, patient, label and one or more scores.

The format is CSV with the columns ``image_id, patient_id, label, score``; Parquet is read too. Other column
names are given by :class:`Columns`. Files are joined on the image id, never on the order of their rows.
"""

from __future__ import annotations

import csv
import itertools
import re
import unicodedata
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import StatisticsError
from cxrbench.files import write_text_atomic
from cxrbench.statistics.inputs import (
    BoolArray,
    FloatArray,
    as_labels,
    as_number,
    as_scores,
    check_length,
    name_rows,
)
from cxrbench.text import NOTHING, SEPARATORS, complaint, first_of, visible

_PARQUET = (".parquet", ".pq")

_TRUTH = {
    text: str(int(value))
    for value in (True, False)
    for text in (str(value), str(value).lower(), str(value).upper())
}
"""Labels as pandas and R write them from booleans, in CSV."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of prediction files.

    Parameters
    ----------
    image: id of the image, unique in a file.
    label: 0 or 1.
    scores: one or more score columns; each is a curve.
    patient: the patient of each image.
    patient_required: whether a file without the patient column is refused.
    """

    image: str = "image_id"
    label: str = "label"
    scores: tuple[str, ...] = ("score",)
    patient: str = "patient_id"
    patient_required: bool = False


@dataclass(frozen=True, eq=False)
class Predictions:
    """Checked predictions for one test sample, from one file or several joined ones.

    Parameters
    ----------
    image_ids: (n,) str, in the order of the first file.
    labels: (n,) bool.
    scores: curve's name -> (n,) float64.
    patients: (n,) str, or None where no file names patients.
    table: the other columns of the first file, as they were read, n rows.
    """

    image_ids: npt.NDArray[np.object_]
    labels: BoolArray
    scores: Mapping[str, FloatArray]
    patients: npt.NDArray[np.object_] | None
    table: pd.DataFrame

    @property
    def n_patients(self) -> int | None:
        """Number of patients, None where they are not known."""
        return None if self.patients is None else len(set(self.patients))


def read_predictions(path: Path | str, columns: Columns | None = None) -> Predictions:
    """Read one prediction file (CSV, or Parquet by its suffix).

    Ids are kept as text, exactly as written. Scores are read as the nearest float64, so that what
    :func:`write_predictions` wrote comes back bit for bit. A curve is called after the file's stem, or with
    several score columns after its column.

    Raises
    ------
    StatisticsError: the file is missing or is not a table, a column is missing, an id is missing or appears
        twice, two ids look like one, a patient is a word for nothing such as ``nan``, a label is neither 0
        nor 1, a score is missing, NaN or infinite, two scores become a tie as float64, a column is named for
        two things, or there is one class only.
        The message names the file and the rows (by image id, or by number where the id is what is missing).
    """
    path = Path(path)
    columns = columns or Columns()
    table = _read_table(path)
    needed = [columns.image, columns.label, *columns.scores]
    both = [name for name, times in Counter([*set(columns.scores), *needed[:2]]).items() if times > 1]
    both += [columns.patient] if columns.patient in needed[1:] else []
    if both:
        raise StatisticsError(f"column {both[0]!r} is named for two things; ids, labels and scores are three")
    if columns.patient_required:
        needed.append(columns.patient)
    missing = [column for column in needed if column not in table.columns]
    if missing:
        has = first_of([visible(str(column))[:60] for column in table.columns])
        raise StatisticsError(f"{path}: no column {', '.join(map(repr, missing))}; the file has {has}")
    if table.empty:
        raise StatisticsError(f"{path}: no rows below the header")
    image_ids = _text(table[columns.image])
    empty = [row for row, value in enumerate(image_ids, start=1) if not value.strip()]
    if empty:
        raise StatisticsError(
            f"{path}: no {columns.image} in {name_rows(empty)}, counted from 1 below the header"
        )
    twice = [image for image, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise StatisticsError(f"{path}: {columns.image} appears more than once: {name_rows(twice, 'image')}")
    _refuse_control_characters(image_ids, f"{path}: {columns.image}")
    _refuse_look_alikes(image_ids, f"{path}: {columns.image}")
    written = table[columns.label].astype(object)
    # Cells of Parquet may be lists, which cannot be looked up.
    told = written.map(lambda cell: _TRUTH.get(cell, cell) if isinstance(cell, str) else cell)
    labels = _numbers(told, image_ids, f"{path}: {columns.label}")
    _refuse((labels != 0) & (labels != 1), labels, image_ids, f"{path}: {columns.label} must be 0 or 1")
    truth = labels == 1
    scores = {}
    for column in columns.scores:
        values = _numbers(table[column], image_ids, f"{path}: {column}")
        _refuse(~np.isfinite(values), values, image_ids, f"{path}: {column} must be finite")
        _refuse_new_ties(table[column], values, image_ids, f"{path}: {column}")
        scores[path.stem if len(columns.scores) == 1 else column] = values
    if len(scores) < len(columns.scores):
        raise StatisticsError(f"a score column is named twice: {', '.join(columns.scores)}")
    if truth.all() or not truth.any():
        held, absent = ("positive", "negative") if truth.all() else ("negative", "positive")
        raise StatisticsError(
            f"{path}: {columns.label}: every image is {held} ({name_rows(image_ids.tolist(), 'image')}), "
            f"none {absent}; an AUC needs both classes"
        )
    patients = None
    if columns.patient in table.columns:
        patients = _text(table[columns.patient])
        _refuse(
            np.array([not patient.strip() for patient in patients]),
            patients,
            image_ids,
            f"{path}: no {columns.patient}",
        )
        nothing = np.array([patient.strip().lower() in NOTHING for patient in patients])
        # The images of all who have no id would be one patient's.
        _refuse(nothing, patients, image_ids, f"{path}: {columns.patient} is a word for nothing")
        _refuse_control_characters(patients, f"{path}: {columns.patient}")
        _refuse_look_alikes(patients, f"{path}: {columns.patient}")
    others = table.drop(columns=[c for c in {*needed, columns.patient} if c in table.columns])
    return Predictions(image_ids, truth, scores, patients, others)


def read_all(paths: Sequence[Path | str], columns: Columns | None = None) -> Predictions:
    """Read several prediction files of one test sample and join them on the image id.

    Curves of one score column each are called after their file; files of the same name are distinguished by
    their folder, or by a number where that is the same too. With several score columns in several files a
    curve is ``file:column``.

    Raises
    ------
    StatisticsError: as :func:`read_predictions` and :func:`join_predictions`.
    """
    if not paths:
        raise StatisticsError("no prediction files given")
    parts = [read_predictions(path, columns) for path in paths]
    if len(parts) == 1:
        return parts[0]
    several = len((columns or Columns()).scores) > 1
    named: dict[str, Predictions] = {}
    for name, part in zip(_names([Path(path) for path in paths]), parts, strict=True):
        scores = {f"{name}:{column}" if several else name: values for column, values in part.scores.items()}
        named[name] = Predictions(part.image_ids, part.labels, scores, part.patients, part.table)
    return join_predictions(named)


def join_predictions(parts: Mapping[str, Predictions]) -> Predictions:
    """Join predictions for the same test images, given under the names to use in messages, on the image id.

    The images stand in the order of the first part.

    Raises
    ------
    StatisticsError: an image is in one part and not in another, has two different labels, or belongs to two
        different patients; the images are named.
    """
    (first_name, first), *others = parts.items()
    position = {image: row for row, image in enumerate(first.image_ids)}
    scores: dict[str, FloatArray] = dict(first.scores)
    patients = first.patients
    for name, part in others:
        _same_images(first_name, position, name, part)
        # Row of the part for each row of the first.
        order = np.empty(len(position), dtype=np.int64)
        order[[position[image] for image in part.image_ids]] = np.arange(len(position))
        _agree(first.labels, part.labels[order], first.image_ids, (first_name, name), "label")
        if part.patients is not None:
            if patients is None:
                patients = part.patients[order]
            _agree(patients, part.patients[order], first.image_ids, (first_name, name), "patient")
        scores.update({curve: values[order] for curve, values in part.scores.items()})
    return Predictions(first.image_ids, first.labels, scores, patients, first.table)


def write_predictions(
    path: Path | str,
    image_ids: Sequence[str],
    patient_ids: Sequence[str],
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    others: Mapping[str, npt.ArrayLike] | None = None,
) -> Path:
    """Write a prediction file, whole or not at all.

    Scores are written with as many digits as bring the same float64 back.

    Parameters
    ----------
    path: where to; the folder must exist. A file of that name is replaced.
    image_ids, patient_ids: (n,) text; image ids unique.
    labels: (n,) 0 or 1.
    scores: (n,) finite.
    others: further columns by their names, each (n,); :func:`read_predictions` gives them as its ``table``.

    Returns
    -------
    Path: ``path``.

    Raises
    ------
    StatisticsError: an id is missing or appears twice, the lengths differ, a label or score is not a number;
        or the folder cannot be written to. What :func:`read_predictions` refuses besides is not looked for.
    """
    path = Path(path)
    truth, values = as_labels(labels), as_scores(scores)
    check_length(values.size, truth.size, "scores")
    for what, ids in (("image_ids", image_ids), ("patient_ids", patient_ids)):
        check_length(len(ids), truth.size, what)
        empty = [row for row, value in enumerate(ids) if not str(value).strip() or pd.isna(value)]
        if empty:
            raise StatisticsError(f"{what}: empty in {name_rows(empty)}")
    images = [str(image) for image in image_ids]
    twice = [image for image, count in Counter(images).items() if count > 1]
    if twice:
        raise StatisticsError(f"image_ids: more than once: {name_rows(twice, 'image')}")
    table = pd.DataFrame(
        {
            "image_id": images,
            "patient_id": [str(patient) for patient in patient_ids],
            "label": truth.astype(np.int64),
            "score": values,
        }
    )
    for column, content in (others or {}).items():
        values_of = np.asarray(content)
        check_length(len(values_of), truth.size, column)
        table[column] = values_of
    try:
        write_text_atomic(path, table.to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        raise StatisticsError(f"{path}: cannot be written: {error.strerror}") from error
    return path


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise StatisticsError(f"{path}: {_no_file(path)}")
    if path.suffix.lower() in _PARQUET:
        try:
            # From the open file: pandas takes a name that begins with ~/ for one in the home folder.
            with path.open("rb") as content:
                table = pd.read_parquet(content)
            # Text that is not UTF-8 is noticed only where it is looked at.
            for column in table.columns:
                table[column].astype(object)
        except OSError as error:
            raise StatisticsError(f"{path}: cannot be read: {error.strerror or complaint(error)}") from None
        except ImportError:
            raise StatisticsError(f"{path}: Parquet needs pyarrow: pip install 'cxrbench[parquet]'") from None
        # pyarrow raises exceptions of its own, of no common kind, for a damaged file.
        except Exception as error:
            raise StatisticsError(f"{path}: not a readable Parquet file: {complaint(error)}") from None
        # An id that is the table's index is a column like any other.
        new = [name for name in table.index.names if name is not None and name not in table.columns]
        return table.reset_index(level=new) if new else table
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            # pandas would give a second column of the same name another one.
            header = Counter(next(csv.reader(file), []))
        repeated = [column for column, count in header.items() if count > 1]
        if repeated:
            raise StatisticsError(f"{path}: column appears twice: {', '.join(repeated)}")
        separator = next((called for sign, called in SEPARATORS.items() if sign in "".join(header)), "")
        if len(header) == 1 and separator:
            raise StatisticsError(
                f"{path}: its columns are separated by {separator}; save it as CSV separated by commas, with "
                "points in its decimal numbers"
            )
        with warnings.catch_warnings():
            # pandas only warns where rows are longer than the header, and drops what is over.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            with path.open("rb") as content:
                return pd.read_csv(content, dtype=str, na_filter=False, index_col=False, encoding="utf-8-sig")
    except StatisticsError:
        raise
    except pd.errors.EmptyDataError:
        raise StatisticsError(f"{path}: empty; expected a header and one row per image") from None
    except UnicodeDecodeError:
        raise StatisticsError(
            f"{path}: not a readable CSV file: it is not UTF-8 text; save it as CSV UTF-8"
        ) from None
    except pd.errors.ParserWarning:
        raise StatisticsError(
            f"{path}: not a readable CSV file: rows have more cells than the header has names"
        ) from None
    except (pd.errors.ParserError, csv.Error, ValueError) as error:
        raise StatisticsError(f"{path}: not a readable CSV file: {complaint(error)}") from None
    except OSError as error:
        raise StatisticsError(f"{path}: cannot be read: {error.strerror}") from None


def _no_file(path: Path) -> str:
    """Return what ``path`` is instead of a file."""
    if path.is_dir():
        return "is a folder; name one prediction file"
    if path.exists():
        return "is a pipe or a device, which is not read; write it to a file first"
    return "is a link that leads to no file" if path.is_symlink() else "no such file"


def _text(column: pd.Series) -> npt.NDArray[np.object_]:
    """Return ids as text; missing ones as the empty text."""
    values: npt.NDArray[np.object_] = column.astype(object).to_numpy()
    missing = column.isna().to_numpy()
    text = np.empty(len(values), dtype=object)
    text[:] = ["" if absent else str(value) for value, absent in zip(values, missing, strict=True)]
    return text


def _numbers(column: pd.Series, image_ids: npt.NDArray[np.object_], what: str) -> FloatArray:
    """Return a column as float64, each text as the nearest one."""
    values = column.astype(object).to_numpy()
    numbers = np.empty(len(values))
    wrong = np.zeros(len(values), dtype=np.bool_)
    for row, value in enumerate(values):
        # Python's own conversion is exact; the fast parsers are not in the last bit.
        number = as_number(value)
        if number is None:
            wrong[row] = True
        else:
            numbers[row] = number
    _refuse(wrong, values, image_ids, f"{what} is not a number")
    return numbers


def _refuse(
    wrong: BoolArray, values: npt.NDArray[np.generic], image_ids: npt.NDArray[np.object_], what: str
) -> None:
    rows = np.flatnonzero(wrong)
    if rows.size:
        text = visible(str(values[rows[0]]))
        found = f", found {text[:60]}{'...' if len(text) > 60 else ''}" if str(values[rows[0]]) else ""
        raise StatisticsError(f"{what}{found} in {name_rows(image_ids[rows].tolist(), 'image')}")


def _refuse_new_ties(
    column: pd.Series, values: FloatArray, image_ids: npt.NDArray[np.object_], what: str
) -> None:
    """Refuse different numbers that are one as float64: they would be counted as ties."""
    written = column.astype(object).to_numpy()
    first: dict[float, object] = {}
    for row, (cell, value) in enumerate(zip(written.tolist(), values.tolist(), strict=True)):
        other = first.setdefault(value, cell)
        if other != cell and _exactly(other) != _exactly(cell):
            raise StatisticsError(
                f"{what}: float64 holds {str(other)[:40]} and {str(cell)[:40]} as one number, in "
                f"{name_rows([image_ids[row]], 'image')}; rescale the scores"
            )


def _exactly(cell: object) -> Decimal:
    """Return what a cell that is a number says, with every digit."""
    return Decimal(cell) if isinstance(cell, str | int | Decimal) else Decimal(float(cell))  # type: ignore[arg-type]


_CONTROL = re.compile(r"[\x00-\x1f]")


def _refuse_control_characters(ids: npt.NDArray[np.object_], what: str) -> None:
    """Refuse ids that no two programs read alike, such as one with a NUL byte."""
    wrong = [value for value in ids if _CONTROL.search(value)]
    if wrong:
        raise StatisticsError(f"{what}: a control character in {name_rows(wrong, 'id')}")


def _refuse_look_alikes(ids: npt.NDArray[np.object_], what: str) -> None:
    """Refuse two ids that a person reads as one: the images of one patient would be those of two."""
    seen: dict[str, str] = {}
    for value in dict.fromkeys(ids.tolist()):
        other = seen.setdefault(_as_read(value), value)
        if other != value:
            raise StatisticsError(
                f"{what}: {ascii(other)[:60]} and {ascii(value)[:60]} look like one; write each id in one way"
            )


def _as_read(value: str) -> str:
    """Return an id in one Unicode form, its blanks as one, without what cannot be seen or ``.0``."""
    if not value.isascii():
        value = unicodedata.normalize("NFKC", value)
        value = "".join(sign for sign in value if unicodedata.category(sign) != "Cf")
    value = " ".join(value.split())
    return value.partition(".")[0] if re.fullmatch(r"\d+\.0+", value) else value


def _same_images(first_name: str, position: Mapping[str, int], name: str, part: Predictions) -> None:
    images = set(part.image_ids)
    lost = [image for image in position if image not in images]
    extra = [image for image in part.image_ids if image not in position]
    if lost or extra:
        missing = [
            f"{name_rows(rows, 'image')} of {holder} not in {other}"
            for rows, holder, other in ((lost, first_name, name), (extra, name, first_name))
            if rows
        ]
        raise StatisticsError(
            f"the files are not of the same images: {'; '.join(missing)}; "
            "compare on common images, or as unpaired"
        )


def _agree(
    first: npt.NDArray[np.generic],
    other: npt.NDArray[np.generic],
    image_ids: npt.NDArray[np.object_],
    names: tuple[str, str],
    what: str,
) -> None:
    rows = np.flatnonzero(first != other)
    if rows.size:
        raise StatisticsError(
            f"{names[0]} and {names[1]} give a different {what} for "
            f"{name_rows(image_ids[rows].tolist(), 'image')}"
        )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its stem, with its folder where two have one stem, or a number."""
    folders: dict[str, set[Path]] = {}
    for path in paths:
        folders.setdefault(path.stem, set()).add(path.absolute().parent)
    names: list[str] = []
    for path in paths:
        name = path.stem if len(folders[path.stem]) == 1 else f"{path.absolute().parent.name}/{path.stem}"
        numbered = (f"{name} ({number})" for number in itertools.count(2))
        while name in names:
            name = next(numbered)
        names.append(name)
    return names
