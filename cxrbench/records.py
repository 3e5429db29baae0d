"""Our own JSON files: frozen records, written whole, checked when read.

A file holds one record's fields, its name, a format number and a seal: the SHA-256 of all that. A file that
was damaged or changed by hand, or that breaks the record's types or ranges, is refused before it is used. The
seal is that of the content and not of the bytes: other line ends or spaces change nothing.

    @record
    class Speed:
        images: Annotated[int, Field(gt=0)]
        seconds: Annotated[float, Field(gt=0)]
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, dataclass_transform

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from cxrbench.errors import RecordError
from cxrbench.files import digest, plain, write_text_atomic
from cxrbench.text import complaint, first_of

T = TypeVar("T")

_CONFIG = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, Field))
def record(kind: type[T]) -> type[T]:
    """Make ``kind`` a frozen dataclass whose fields are checked when it is made.

    Types are strict (no text for a number), unknown fields and NaN are refused, and
    ``Annotated[…, Field(…)]`` gives ranges. Making one that breaks them raises
    pydantic's ``ValidationError``, a ``ValueError``.
    """
    return cast(type[T], dataclass(frozen=True, config=_CONFIG)(kind))


def write_record(path: Path, value: object, format: int = 1) -> None:
    """Write the record ``value`` to ``path`` as JSON at full precision, all or nothing.

    Raises
    ------
    OSError: the file cannot be written; what was there is as it was.
    """
    content: dict[str, Any] = {"record": type(value).__name__, "format": format, **_fields(value)}
    text = json.dumps({**content, "seal": digest(content)}, indent=2, allow_nan=False)
    write_text_atomic(path, text + "\n")


def kept_record(path: Path, kind: type[T], say: Callable[[str], None] | None) -> T | None:
    """Return the record at ``path`` that an earlier run kept; None where there is none, or it was damaged.

    say: called with one line where it was damaged or changed, and is made again.
    """
    if not path.exists():
        return None
    try:
        return read_record(path, kind)
    except RecordError as error:
        if say is not None:
            say(f"{error}; it is made again")
        return None


def read_record(path: Path, kind: type[T], format: int = 1) -> T:
    """Return the record that :func:`write_record` wrote to ``path``.

    Raises
    ------
    RecordError: there is no such file, it cannot be read, holds another record or format, was changed after
        it was written, or breaks the record's types or ranges. The message names the file and the fault.
    """
    if not path.exists():
        raise RecordError(f"{path} does not exist")
    if not path.is_file():
        raise RecordError(f"{path} is not a file")
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_each_once)
    except OSError as error:
        raise RecordError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path} is damaged: not JSON ({complaint(error)})") from None
    if not isinstance(content, dict) or content.get("record") != kind.__name__:
        raise RecordError(f"{path} is not a {kind.__name__} record of cxrbench")
    if content.get("format") != format:
        raise RecordError(
            f"{path} has format {content.get('format')!r}; this version reads {format}, so make it again"
        )
    sealed = content.pop("seal", None)
    try:
        intact = digest(content) == sealed
    except (ValueError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise RecordError(f"{path} was changed after it was written: its seal does not match")
    fields = {name: value for name, value in content.items() if name not in ("record", "format")}
    try:
        made: T = _adapter(cast(Any, kind)).validate_json(json.dumps(fields))
    except ValidationError as error:
        raise RecordError(f"{path}: {faults(error)}") from None
    return made


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON; another program may take the other of two values of one name."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return found


def faults(error: ValidationError) -> str:
    """Return what pydantic found wrong as one line: each field's place and what it should have been."""
    return first_of(
        [
            f"{'.'.join(map(str, fault['loc'])) or 'record'}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ],
        "; ",
        shown=3,
    )


def _fields(value: object) -> dict[str, Any]:
    content = plain(value)
    if not isinstance(content, dict) or not content.keys().isdisjoint(("record", "format", "seal")):
        raise TypeError(
            f"{type(value).__name__} is not a record, or has a field of a name kept for the file's"
        )
    return content


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
