"""A table as JSON lines that reads back as it was: "007" stays text, a missing value stays missing.

The first line names columns and kinds; every further line is one row, a JSON list. CSV would lose both.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
from pandas.api import types


def dump_table(table: pd.DataFrame) -> bytes:
    """Return a table as JSON lines, ASCII; equal tables give equal bytes.

    Columns are booleans, integers, floats (an infinite value is the text "inf" or "-inf") or anything else:
    text, numbers and booleans as they are, other objects as their ``str``. Missing values are null. The index
    is not kept.
    """
    kinds = [_kind(table[column].dtype) for column in table.columns]
    header = {"columns": [str(column) for column in table.columns], "kinds": kinds}
    columns = [_values(table[c], kind) for c, kind in zip(table.columns, kinds, strict=True)]
    encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
    lines = [encode(header), *(encode(row) for row in zip(*columns, strict=True))]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_table(content: bytes) -> pd.DataFrame:
    """Return the table of :func:`dump_table`'s bytes, with index 0..n-1.

    Raises
    ------
    ValueError: the bytes are something else.
    """
    try:
        header, *rows = [json.loads(line) for line in content.decode().splitlines()]
        names, kinds = header["columns"], header["kinds"]
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return pd.DataFrame(
            {name: _series(column, kind) for name, kind, column in zip(names, kinds, columns, strict=True)},
            index=pd.RangeIndex(len(rows)),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a table in JSON lines: {error}") from error


def _kind(dtype: object) -> str:
    if isinstance(dtype, np.dtype):
        if types.is_bool_dtype(dtype):
            return "bool"
        if types.is_integer_dtype(dtype):
            return "int"
        if types.is_float_dtype(dtype):
            return "float"
    return "object"


def _values(series: pd.Series, kind: str) -> list[object]:
    if kind in ("bool", "int"):
        return list(series.tolist())
    if kind == "float":
        return [_number(value) for value in series.tolist()]
    return [_object(value) for value in series.astype(object).tolist()]


def _number(value: float) -> float | str | None:
    if math.isfinite(value):
        return float(value)
    return None if math.isnan(value) else str(value)


def _object(value: object) -> object:
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return _number(value)
    return value if isinstance(value, str | bool | int) else str(value)


def _series(values: tuple[object, ...], kind: str) -> pd.Series:
    if kind == "bool":
        return pd.Series(values, dtype=np.bool_)
    if kind == "int":
        return pd.Series(values, dtype=np.int64)
    if kind == "float":
        return pd.Series([np.nan if v is None else float(str(v)) for v in values], dtype=np.float64)
    filled = [np.nan if v is None else v for v in values]
    series = pd.Series(filled, dtype=object)
    try:
        # Text gets the type that this pandas has for text.
        return series.infer_objects()
    except UnicodeEncodeError:
        # A file name that is not UTF-8 does not fit that type.
        return series
