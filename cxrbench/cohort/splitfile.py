"""The file of a split or of folds: one row per image, below a line that names the format and one of JSON.

The JSON line holds the parameters, the hash of the rows and a seal (the SHA-256 of both), so that a file that
was changed is not taken for what was written.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cxrbench.errors import CohortError
from cxrbench.files import canonical_json, digest, write_text_atomic


class Hashed(Protocol):
    """A record that knows the hash of its rows."""

    @property
    def hash(self) -> str: ...


T = TypeVar("T", bound=Hashed)


def rows_hash(rows: Sequence[Sequence[object]]) -> str:
    """Return the SHA-256 of ``rows``, 64 hex digits."""
    return hashlib.sha256(canonical_json(rows).encode()).hexdigest()


def write_rows(
    path: Path | str,
    kind: str,
    parameters: Mapping[str, object],
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Write ``rows`` as CSV under two comment lines, all or nothing.

    The first line names the format ``kind``, the second holds ``parameters``, the hash and the seal as JSON.
    """
    out = io.StringIO(newline="")
    header = {**parameters, "hash": rows_hash(rows)}
    out.write(f"# {kind}\n# {canonical_json({**header, 'seal': digest(header)})}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text_atomic(path, out.getvalue())


def refuse_other(
    path: Path | str, stored: Mapping[str, object], asked: Mapping[str, object], further: Sequence[str]
) -> None:
    """Refuse a stored file that was made from other things than those asked for now.

    Parameters
    ----------
    stored: the file's parameters.
    asked: those wanted now, with the same keys.
    further: what else differs, in words.

    Raises
    ------
    CohortError: something differs; the message says what.
    """
    differences = [f"{key} {stored[key]!r}, now {asked[key]!r}" for key in asked if stored[key] != asked[key]]
    if differences or further:
        raise CohortError(
            f"{path}: it was made for something else: {'; '.join([*differences, *further])}; "
            "delete the file, or choose another output folder, to have it made again"
        )


def read_rows(
    path: Path | str,
    kind: str,
    columns: Sequence[str],
    make: Callable[[Mapping[str, Any], Sequence[tuple[str, ...]]], T],
) -> T:
    """Return what ``make`` makes of the header and the columns of a file that :func:`write_rows` wrote.

    The hash of what ``make`` returns must be that of the header.

    Raises
    ------
    CohortError: no such file, not a file of this format, or it was changed after it was written.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode(errors="surrogateescape")
    except FileNotFoundError:
        raise CohortError(f"{path}: no such split file") from None
    except OSError as error:
        raise CohortError(f"{path}: the split file cannot be read: {error}") from None
    first, _, rest = text.partition("\n")
    second, _, body = rest.partition("\n")
    if first != f"# {kind}":
        raise CohortError(f"{path}: not a split file of this version (its first line should be '# {kind}')")
    try:
        header = json.loads(second.removeprefix("# "))
        rows = list(csv.reader(io.StringIO(body, newline=""), strict=True))
        if rows[0] != list(columns):
            raise ValueError("column names")
        expected, sealed = str(header["hash"]), header.pop("seal")
        intact = digest(header) == sealed
        made = make(header, list(zip(*rows[1:], strict=True)) or [()] * len(columns))
    except CohortError as error:
        raise type(error)(f"{path}: {error}") from None
    except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error):
        raise CohortError(
            f"{path}: the split file is damaged; restore it, or delete it to make a new split"
        ) from None
    if made.hash != expected or not intact:
        what = "header does not match its seal" if made.hash == expected else "rows do not match their hash"
        raise CohortError(
            f"{path}: the split file was changed after it was written (its {what}); restore it, or delete it "
            "to make a new split"
        )
    return made
