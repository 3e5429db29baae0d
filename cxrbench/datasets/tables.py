"""Read label tables (CSV) strictly, and the fields that every data set spells its own way."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import unicodedata
import warnings
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from cxrbench.errors import DatasetError
from cxrbench.radiograph.header import age_in_years
from cxrbench.text import NOTHING, SEPARATORS, complaint, exact_number, first_of, one_line

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


LARGEST = 2 * 1024**3
"""Bytes of text beyond which a table is refused: the largest archive's tables have a tenth of it."""

_POWER_OF_TEN = r"\d(\.\d+)?[eE]\+\d+|\d\.\d+[eE]\d+"
"""How a spreadsheet or pandas writes a number that is too long for it."""


def read_text(path: Path) -> str:
    """Return the text of a table or list: UTF-8, with or without a byte-order mark, or UTF-16 with one.

    A file whose name ends in ``.gz`` is unpacked.

    Raises
    ------
    DatasetError: no regular file, not readable, in another encoding, with a NUL in it, or too large.
    """
    if path.exists() and not path.is_file():
        raise DatasetError(f"{path}: is not a regular file")
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DatasetError(f"{path}: is cut short or not a gzip file; download it again") from None
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > LARGEST:
        raise DatasetError(f"{path}: holds more than {LARGEST // 1024**3} GiB of text; no table is so large")
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: is not UTF-8 text; save it as CSV UTF-8") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DatasetError(f"{path}: line {line} holds a NUL character; the file is damaged, or not text")
    return text


def read_names(path: Path) -> list[str]:
    """Return the names that a list of files holds, one per line; blank lines and repeats are left out.

    Raises
    ------
    DatasetError: as :func:`read_text`.
    """
    lines = (line.strip() for line in read_text(path).splitlines())
    return list(dict.fromkeys(line for line in lines if line))


def match_names(
    path: Path, names: Iterable[str], image_ids: Iterable[str]
) -> tuple[list[str], tuple[str, ...]]:
    """Return the image ids that a published list of files means, with or without folder and extension.

    And a note, where some of its names are no image of the data set.

    Parameters
    ----------
    path: the list's file, for messages.
    names: its lines, from :func:`read_names`.
    image_ids: all that the data set's tables list, whether they are here or not.

    Raises
    ------
    DatasetError: the list is empty, or none of its names is an image of the data set.
    """
    known = {_stem(image): image for image in image_ids}
    names = list(names)
    found = [known[_stem(name)] for name in names if _stem(name) in known]
    if not found:
        first = f"none of its {len(names):,} names, such as {names[0]!r}," if names else "nothing in it"
        raise DatasetError(
            f"{path}: {first} is an image of this data set; take the list and the tables from one download, "
            "or remove the list"
        )
    if len(found) == len(names):
        return found, ()
    return found, (
        f"names in {path.name} that no table lists: {len(names) - len(found):,} of {len(names):,}",
    )


def _stem(name: str) -> str:
    """Return a file's name without folders and a picture's extension."""
    last = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return stem if dot and suffix.lower() in ("png", "jpg", "jpeg", "dcm", "dicom") else last


def read_table(path: Path, required: Sequence[str], *, hint: str, separator: str = ",") -> pd.DataFrame:
    """Read a CSV file as text: names and cells stripped, empty cells missing.

    Parameters
    ----------
    path: one header line; see :func:`read_text` for its encoding.
    required: columns that must be there.
    hint: what to do where the file is missing.
    separator: of the columns, where the archive publishes its table with another than commas.

    Returns
    -------
    One row per line; blank lines are dropped, and the index counts rows as a spreadsheet does: the header is
    row 1, so the first is 2 (where blank lines stand above the header, by so many more). The column of row
    numbers that pandas writes before the first is dropped.

    Raises
    ------
    DatasetError: missing, empty, not text, not a table, or without a required column.
    """
    if not path.exists():
        raise DatasetError(f"{path}: no such file; {hint}")
    text = read_text(path)
    body = text.lstrip("\r\n")
    if not body.strip():
        raise DatasetError(f"{path}: is empty; {hint}")
    above = len(text[: len(text) - len(body)].splitlines())
    header = re.split("[\r\n]", body, maxsplit=1)[0]
    if separator == ",":
        _refuse_other_separators(path, header, required)
    try:
        with warnings.catch_warnings():
            # pandas drops surplus cells with no more than a warning.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(body),
                sep=separator,
                dtype=str,
                keep_default_na=False,
                na_values=[""],
                skip_blank_lines=False,
                index_col=False,
            )
    except pd.errors.ParserWarning:
        raise DatasetError(f"{path}: rows have more cells than the header has names") from None
    except pd.errors.ParserError as error:
        raise DatasetError(f"{path}: is not a CSV table: {complaint(error)}") from None
    _refuse_torn_rows(path, body, separator, above, required)
    frame.columns = frame.columns.str.strip()
    lacking = [column for column in required if column not in frame.columns]
    if lacking:
        folded = {str(column).casefold(): column for column in frame.columns}
        near = folded.get(lacking[0].casefold())
        meant = f" (there is {near!r}: letters must agree)" if near else ""
        raise DatasetError(
            f"{path}: columns missing: {', '.join(lacking)}{meant}; it has "
            f"{', '.join(map(str, frame.columns))}"
        )
    frame.index = pd.RangeIndex(2 + above, len(frame) + 2 + above)
    frame = pd.DataFrame({name: _strip(frame[name]) for name in frame.columns}).dropna(how="all")
    if frame.empty:
        raise DatasetError(f"{path}: lists no images, only a header; {hint}")
    return _without_row_numbers(frame)


def _refuse_torn_rows(path: Path, body: str, separator: str, above: int, required: Sequence[str]) -> None:
    """Refuse what pandas reads without a word: rows that lack cells, rows in a quotation, columns twice.

    Raises
    ------
    DatasetError
    """
    for quoted in re.finditer(rf'(?:^|(?<={re.escape(separator)}))"[^"]*(?:""[^"]*)*"', body, re.MULTILINE):
        after = body[quoted.end() : quoted.end() + 1]
        if after.strip() and after != separator and "\n" in quoted[0]:
            line = 1 + above + body.count("\n", 0, quoted.start())
            raise DatasetError(
                f"{path}: line {line} has a quotation mark that is not closed: further rows are lost in it"
            )
    rows = csv.reader(io.StringIO(body, newline=""), delimiter=separator)
    try:
        names = [name.strip() for name in next(rows)]
        twice = [name for name in names if name and names.count(name) > 1]
        if twice:
            raise DatasetError(f"{path}: column {twice[0]!r} appears twice")
        whole, needed = (
            max((place for place, name in enumerate(names, 1) if name and name in wanted), default=0)
            for wanted in (names, required)
        )
        filled = [
            (row, len(cells)) for row, cells in enumerate(rows, 2 + above) if any(map(str.strip, cells))
        ]
    except csv.Error:  # a cell of more than 128 KiB
        return
    # In the middle they are sound: Excel leaves out the separators behind a row's last filled cell.
    short = [row for row, cells in filled if cells < needed or (row == filled[-1][0] and cells < whole)]
    if short:
        raise DatasetError(
            f"{path}: rows have fewer cells than the header has names (row "
            f"{first_of([str(row) for row in short], shown=3)}); is the file cut short?"
        )


def _refuse_other_separators(path: Path, header: str, required: Sequence[str]) -> None:
    """Refuse a header that names the columns, but not between commas.

    Raises
    ------
    DatasetError
    """
    wanted = set(required)
    for separator, called in SEPARATORS.items():
        names = _names(header, separator)
        if len(names) > 1 and wanted & names and not wanted <= _names(header, ","):
            raise DatasetError(
                f"{path}: its columns are separated by {called}; save it as CSV separated by commas, with "
                "points in its decimal numbers"
            )


def _names(header: str, separator: str) -> set[str]:
    return {name.strip().strip('"') for name in header.split(separator)}


def _without_row_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Drop the first column where it has no name and only numbers the rows, as pandas writes its index."""
    first = str(frame.columns[0])
    unnamed = re.fullmatch(r"(Unnamed: 0(\.\d+)?)?", first)
    if unnamed and frame[first].str.fullmatch(r"\d+").all() and frame[first].is_unique:
        return frame.drop(columns=first)
    return frame


def one_of(path: Path, frame: pd.DataFrame, names: Sequence[str]) -> pd.Series:
    """Return the one column that editions of a table call by different ``names``.

    Raises
    ------
    DatasetError: none of them is there, or several.
    """
    there = [name for name in names if name in frame]
    if len(there) == 1:
        return frame[there[0]]
    if there:
        raise DatasetError(f"{path}: columns {' and '.join(there)} say the same; take one out")
    raise DatasetError(f"{path}: columns missing: {' or '.join(names)}; it has {', '.join(frame.columns)}")


def read_ids(path: Path, frame: pd.DataFrame, columns: Sequence[str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Refuse ids that a spreadsheet or pandas has damaged, mend what can be mended, and note near ones.

    ``nan`` and ``None`` are what a program writes for a missing id: all those images would be one patient's.
    ``7`` and ``7.0`` are one patient whose id went through a float, so that half of the rows have another
    spelling. Where all ids of a column are whole numbers and none has two spellings, ``7.0`` is read as
    ``7``. ``8.39E+35`` has lost its last digits. ``7``, ``007``, ``P1`` and ``p1`` may be two patients or
    one: they are kept apart, and said.

    Returns
    -------
    tuple[pd.DataFrame, tuple[str, ...]]: the table, and notes where ids were read as whole numbers, or differ
        in letter case, spaces or leading zeros alone.

    Raises
    ------
    DatasetError: an empty cell, a word for nothing, an id in powers of ten, or two spellings that are one
        number, one of them with a decimal point.
    """
    refuse_empty(path, frame, columns)
    notes: list[str] = []
    read = {}
    for column in columns:
        read[column], found = _ids(path, frame[column], column)
        notes += found
    return frame.assign(**read), tuple(notes)


def _ids(path: Path, ids: pd.Series, column: str) -> tuple[pd.Series, list[str]]:
    nothing = ids.str.lower().isin(NOTHING)
    if nothing.any():
        word = ids[nothing].iloc[0]
        refuse_rows(path, nothing, f"column {column!r} holds {word!r}, which programs write for a missing id")
    shortened = ids.str.fullmatch(_POWER_OF_TEN).astype(bool)
    if shortened.any():
        what = f"column {column!r} holds {ids[shortened].iloc[0]!r}, a long number that a program shortened"
        refuse_rows(path, shortened, f"{what}; take the ids from the original, as text")
    distinct = [str(value) for value in ids.unique()]
    spellings: dict[str, list[str]] = {}
    for value in distinct:
        if re.fullmatch(r"\d+(\.0*)?", value):
            spellings.setdefault(value.partition(".")[0], []).append(value)
    for values in spellings.values():
        if len(values) > 1:
            what = f"column {column!r} writes one number as {values[0]!r} and {values[1]!r}"
            refuse_rows(path, ids.isin(values), f"{what}; write each id in one way, as text")
    notes = []
    decimals = [value for value in distinct if "." in value]
    if decimals and sum(map(len, spellings.values())) == len(distinct):
        whole = decimals[0].partition(".")[0]
        notes.append(f"column {column}: decimal numbers read as whole numbers ({decimals[0]} as {whole})")
        ids = ids.str.partition(".")[0]
        distinct = list(spellings)
    folded: dict[str, list[str]] = {}
    for value in distinct:
        key = "".join(unicodedata.normalize("NFKC", value).casefold().split())
        # A spreadsheet's marks of a text.
        key = key.strip("'=\"")
        key = key.partition(".")[0] if re.fullmatch(r"\d+\.0*", key) else key
        folded.setdefault(key.lstrip("0") if key.isdecimal() else key, []).append(value)
    alike = [values for values in folded.values() if len(values) > 1]
    if alike:
        shown = ", ".join(one_line(value) for value in alike[0][:3])
        notes.append(
            f"column {column}: ids that differ only in letter case, spaces or leading zeros, kept apart: "
            f"{sum(map(len, alike)):,} ({shown})"
        )
    return ids, notes


def numbers(texts: pd.Series, allowed: Collection[int] = ()) -> pd.Series:
    """Return the numbers that cells hold, however they are written: ``1``, ``1.0`` and ``1e0`` are one.

    Parameters
    ----------
    texts: cells, some perhaps missing.
    allowed: the only numbers that are meant; by default all are.

    Returns
    -------
    float64; NaN for a missing cell, and for one that is no such number (``0_9``, ``1,5``).
    """

    def read(text: str) -> float:
        number = exact_number(text)
        return np.nan if number is None or (allowed and number not in allowed) else float(number)

    return pd.Series(map_values(texts, read), texts.index, dtype=np.float64)


def read_flags(path: Path, cells: pd.Series, *, unknown: bool = False) -> pd.Series:
    """Return a label's column as 1 and 0; with ``unknown``, also -1 (uncertain) and NaN where it is empty.

    Raises
    ------
    DatasetError: another value in a cell; a missing one, unless ``unknown``.
    """
    values = numbers(cells, (1, 0, -1) if unknown else (1, 0))
    words = words_for_nothing(cells)
    if words.any():
        what = f"label {cells.name!r} holds {cells[words].iloc[0]!r}"
        refuse_rows(path, words, f"{what}; leave the cell empty" if unknown else f"{what}, not 0 or 1")
    wrong = values.isna() & (cells.notna() if unknown else True)
    allowed = "1, 0, -1 (uncertain) or empty" if unknown else "0 or 1"
    refuse_rows(path, wrong, f"label {cells.name!r} must be {allowed}")
    return values


def words_for_nothing(cells: pd.Series) -> pd.Series:
    """Return which cells of a label hold a word that programs write for a missing value."""
    return cells.str.lower().isin((*NOTHING, "na", "n/a"))


def has_columns(path: Path, names: Sequence[str]) -> bool:
    """Return whether a file's first line names these columns: how an adapter knows its table by sight.

    A file that is not there, or is not text, has none.
    """
    if not path.is_file():
        return False
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            line = file.readline(100_000).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError, zlib.error):
        return False
    return {name.strip().strip('"') for name in re.split("[,;\t]", line)}.issuperset(names)


def read_lines(path: Path) -> pd.Series:
    """Return the lines of a text list, stripped, without the blank ones; the index counts from 1.

    Raises
    ------
    DatasetError: as :func:`read_text`, or it lists nothing.
    """
    lines = pd.Series(read_text(path).splitlines(), dtype=object).str.strip()
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
