"""Read label tables (CSV) strictly, and the fields that every data set spells its own way."""

from __future__ import annotations

import gzip
import re
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from cxrbench.errors import DatasetError
from cxrbench.radiograph.header import age_in_years

T = TypeVar("T")

_VIEWS = {
    "pa": "PA",
    "ap": "AP",
    "ap erect": "AP",
    "ap semi erect": "AP",
    "ap supine": "AP supine",
    "supine": "AP supine",
    "l": "lateral",
    "ll": "lateral",
    "lateral": "lateral",
}
_SEXES = {"m": "M", "male": "M", "f": "F", "female": "F"}


def read_table(path: Path, required: Sequence[str], *, hint: str) -> pd.DataFrame:
    """Read a CSV file as text: names and cells stripped, empty cells missing.

    Parameters
    ----------
    path: UTF-8, comma-separated, one header line.
    required: columns that must be there.
    hint: what to do where the file is missing.

    Returns
    -------
    One row a line; blank lines are dropped, and the index counts rows as a spreadsheet does: the header is
    row 1, so the first is 2.

    Raises
    ------
    DatasetError: missing, empty, not UTF-8, not a table, or without a required column.
    """
    if not path.is_file():
        raise DatasetError(f"{path}: no such file; {hint}")
    try:
        with warnings.catch_warnings():
            # pandas drops surplus cells with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                skip_blank_lines=False,
                index_col=False,
                encoding="utf-8-sig",
            )
    except pd.errors.EmptyDataError:
        raise DatasetError(f"{path}: is empty; {hint}") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text; save it as CSV UTF-8") from None
    except pd.errors.ParserWarning:
        raise DatasetError(f"{path}: rows have more cells than the header has names") from None
    except pd.errors.ParserError as error:
        raise DatasetError(f"{path}: is not a CSV table: {' '.join(str(error).split())}") from None
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DatasetError(f"{path}: is cut or no gzip file; download it again") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    frame.columns = frame.columns.str.strip()
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise DatasetError(f"{path}: column {twice[0]!r} stands twice")
    lacking = [column for column in required if column not in frame.columns]
    if lacking:
        separator = " (are the columns separated by ';'? use commas)" if ";" in frame.columns[0] else ""
        raise DatasetError(
            f"{path}: columns missing: {', '.join(lacking)}{separator}; "
            f"it has {', '.join(map(str, frame.columns))}"
        )
    frame.index = pd.RangeIndex(2, len(frame) + 2)
    frame = pd.DataFrame({name: _strip(frame[name]) for name in frame.columns}).dropna(how="all")
    if frame.empty:
        raise DatasetError(f"{path}: lists no images, only a header; {hint}")
    return frame


def has_columns(path: Path, names: Sequence[str]) -> bool:
    """Return whether a file's first line names these columns: how an adapter knows its table by sight.

    A file that is not there, or is no text, has none.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(100_000).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return False
    return {name.strip().strip('"') for name in re.split("[,;\t]", line)}.issuperset(names)


def read_lines(path: Path) -> pd.Series:
    """Return the lines of a text list, stripped, without the blank ones; the index counts from 1.

    A byte order mark is dropped, and UTF-16 with one is understood.

    Raises
    ------
    DatasetError: it cannot be read, is not text, or lists nothing.
    """
    try:
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
        lines = pd.Series(content.decode(encoding).splitlines(), dtype=object).str.strip()
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    lines.index = pd.RangeIndex(1, len(lines) + 1)
    lines = lines[lines != ""]
    if lines.empty:
        raise DatasetError(f"{path}: lists nothing")
    return lines


def _strip(cells: pd.Series) -> pd.Series:
    text = cells.str.strip()
    return text.mask(text == "")


def refuse_rows(path: Path, wrong: pd.Series, what: str) -> None:
    """Raise where any row of a table from :func:`read_table` is wrong, naming up to three rows.

    Raises
    ------
    DatasetError
    """
    rows = wrong.index[wrong.to_numpy(dtype=bool)]
    if len(rows):
        first = ", ".join(map(str, rows[:3])) + (", ..." if len(rows) > 3 else "")
        raise DatasetError(f"{path}: {what} (row {first}; {len(rows):,} in all)")


def refuse_empty(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise where one of the columns has an empty cell.

    Raises
    ------
    DatasetError
    """
    for column in columns:
        refuse_rows(path, frame[column].isna(), f"column {column!r} is empty")


def map_values(texts: pd.Series, function: Callable[[str], T]) -> list[T | None]:
    """Apply a function once to each distinct text; missing stays None."""
    known = {text: function(text) for text in texts.dropna().unique()}
    return [known.get(text) for text in texts]


def views(texts: pd.Series) -> pd.Series:
    """Return the contract's views; None for a spelling that is not known."""
    return _spelled(texts, _VIEWS)


def sexes(texts: pd.Series) -> pd.Series:
    """Return M or F; None for anything else."""
    return _spelled(texts, _SEXES)


def ages(texts: pd.Series) -> pd.Series:
    """Return ages in years from ``58``, ``058Y``, ``6M``; NaN for anything else or beyond 120 years."""
    values = map_values(texts, age_in_years)
    return pd.Series([np.nan if value is None else value for value in values], texts.index, dtype=np.float64)


def _spelled(texts: pd.Series, known: Mapping[str, str]) -> pd.Series:
    values = map_values(texts, lambda text: known.get(" ".join(text.lower().split())))
    return pd.Series(values, texts.index, dtype=object)
