"""The cohort: one table, one row per image, and a way to read its pixels.

Every data set adapter gives one, and everything after it (packing, splitting, training) reads nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import CohortError, RadiographError
from cxrbench.text import did_you_mean, first_of

if TYPE_CHECKING:
    from cxrbench.radiograph import Header

COLUMNS = ("image_id", "patient_id", "view", "sex", "age", "source", "path")
"""The columns that every cohort table has, in this order, before its label columns.

``image_id``    str, unique in the cohort
``patient_id``  str
``view``        "PA", "AP", "AP supine", "lateral" or missing
``sex``         "M", "F" or missing
``age``         float, years, NaN where unknown
``source``      str: where the image comes from within the data set (a hospital, a folder, a location)
``path``        str: path relative to the data set's root, "/"-separated; for generated images a stable name
"""

SMOOTHED = 0.7
"""What an uncertain label is where it is smoothed: the middle of 0.55 to 0.85, from which Pham et al. draw
("Interpreting chest X-rays via CNNs that exploit hierarchical disease dependencies and uncertainty labels",
Neurocomputing 2021). It is trained on, and neither validates nor tests."""

UNCERTAIN = {"leave-out": np.nan, "zeros": 0.0, "ones": 1.0, "smoothed": SMOOTHED}
"""Policy for uncertain labels -> what such a label becomes."""

VIEWS = ("PA", "AP", "AP supine", "lateral")
SEXES = ("M", "F")


class PixelSource(Protocol):
    """How a cohort's pixels are read.

    A source may also be a :class:`BatchSource` or a :class:`VersionedSource`.
    """

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        """Return image ``index`` (row position of the table) as (size, size) uint8, bright where dense.

        Raises
        ------
        RadiographError: the file cannot be read.
        """
        ...

    def fingerprint(self) -> str:
        """Return a hex digest that changes whenever the pixels may have changed (without reading them)."""
        ...


@runtime_checkable
class BatchSource(Protocol):
    """A pixel source that makes many images at once faster than one by one."""

    def read_batch(self, indices: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
        """Return images ``indices`` (n,) as (n, size, size) uint8."""
        ...


@runtime_checkable
class SizedSource(Protocol):
    """A pixel source whose files have a height and a width of their own."""

    def shape(self, index: int) -> tuple[int, int]:
        """Return height and width of image ``index`` as stored, without decoding it.

        Raises
        ------
        RadiographError: the file's header gives none.
        """
        ...


@runtime_checkable
class HeadedSource(Protocol):
    """A pixel source whose files may say in a header what the cohort's table does not."""

    def header(self, index: int) -> Header:
        """Return what the header of image ``index`` says; nothing where there is none or it is broken."""
        ...


@runtime_checkable
class VersionedSource(Protocol):
    """A pixel source whose pixels also depend on the software that reads them."""

    def versions(self) -> Mapping[str, str]:
        """Return the name of each piece of software -> its version or the digest of its source."""
        ...


@dataclass(frozen=True)
class Cohort:
    """A checked cohort table and its pixels.

    Parameters
    ----------
    dataset: registered name of the data set, such as ``"chestxray14"``.
    table: :data:`COLUMNS`, then ``labels``, then anything else carried along; index 0..n-1.
    labels: names of the label columns; their values are 1.0, 0.0 or NaN (not known), and :data:`SMOOTHED`
        where uncertain labels are.
    pixels: reads the images.
    listed: how many images the data set's own lists name (before what is missing or left out).
    left_out: reason -> number of listed images that are not in ``table``.
    official_test: image_ids of the data set's published test list, empty where it has none.
    uncertain: label -> (n,) whether the data set calls it uncertain; such a label is NaN until
        :meth:`decided`.
    names: label -> what the data set calls it, where that is another name.

    Raises
    ------
    CohortError: the table breaks the contract; the message names the column and the first rows.
    """

    dataset: str
    table: pd.DataFrame
    labels: tuple[str, ...]
    pixels: PixelSource
    listed: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    official_test: frozenset[str] = frozenset()
    uncertain: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_table(self.table, self.labels, self.dataset)
        for column in ("left_out", "uncertain", "names"):
            object.__setattr__(self, column, MappingProxyType(dict(getattr(self, column))))

    def __len__(self) -> int:
        return len(self.table)

    def subset(self, keep: npt.NDArray[np.bool_], reason: str) -> Cohort:
        """Return the rows where ``keep`` is true; the others are counted in ``left_out`` under ``reason``."""
        positions = np.flatnonzero(keep)
        left_out = dict(self.left_out)
        left_out[reason] = left_out.get(reason, 0) + len(self.table) - len(positions)
        parent, rows = resolve(self.pixels, len(self.table))
        return Cohort(
            dataset=self.dataset,
            table=self.table.iloc[positions].reset_index(drop=True),
            labels=self.labels,
            pixels=_Subset(parent, rows[positions]),
            listed=self.listed,
            left_out=left_out,
            official_test=self.official_test,
            uncertain={label: mask[positions] for label, mask in self.uncertain.items()},
            names=self.names,
        )

    def with_labels(self, labels: Mapping[str, str]) -> Cohort:
        """Return this cohort with fewer labels: new name -> the one that it has here.

        Images for which none of these is known stay.
        """
        renamed = {old: new for new, old in labels.items() if new != old}
        table = self.table.drop(columns=[label for label in self.labels if label not in labels.values()])
        return replace(
            self,
            table=table.rename(columns=renamed),
            labels=tuple(labels),
            uncertain={new: self.uncertain[old] for new, old in labels.items() if old in self.uncertain},
            names={**self.names, **{new: self.names.get(old, old) for old, new in renamed.items()}},
        )

    def decided(self, policy: Mapping[str, str]) -> Cohort:
        """Return this cohort with its uncertain labels decided.

        Parameters
        ----------
        policy: label -> one of :data:`UNCERTAIN`; those not named have that of ``"default"``, and without one
            are left out.
        """
        columns = {
            label: self.table[label].mask(
                mask, UNCERTAIN[policy.get(label, policy.get("default", "leave-out"))]
            )
            for label, mask in self.uncertain.items()
        }
        return replace(self, table=self.table.assign(**columns))

    def filter(
        self,
        view: str | Sequence[str] | None = None,
        age: tuple[float | None, float | None] | None = None,
        **where: object,
    ) -> Cohort:
        """Return the images that are asked for; the others are counted in ``left_out``.

        Parameters
        ----------
        view: a view of :data:`VIEWS`, or several.
        age: lowest and highest age in years, both included; None for no bound.
        where: any other column of the table -> its value, or several.

        An image whose view, age or other value is not known is left out where it is asked for.

        Raises
        ------
        CohortError: no such column (the message names the nearest), or no image is left.
        """
        found = self
        wanted = {} if view is None else {"view": view}
        for column, values in {**wanted, **where}.items():
            found = found._where(column, values)
        if age is not None:
            low, high = (-np.inf if age[0] is None else age[0]), (np.inf if age[1] is None else age[1])
            inside = found.table["age"].between(low, high).to_numpy()
            found = found._kept(inside, f"age not known, or not {low:g} to {high:g} years", "age")
        return found

    def _where(self, column: str, values: object) -> Cohort:
        if column not in self.table:
            raise CohortError(
                f"cohort {self.dataset!r}: no column {column!r}{did_you_mean(column, self.table.columns)} "
                f"(columns: {', '.join(self.table.columns)})"
            )
        wanted = list(values) if isinstance(values, Sequence) and not isinstance(values, str) else [values]
        cells = self.table[column]
        if pd.api.types.is_numeric_dtype(cells):
            inside = cells.isin(pd.to_numeric(pd.Series(wanted, dtype=object), errors="coerce").dropna())
        else:
            inside = cells.astype(object).map(str).isin(map(str, wanted)) & cells.notna()
        return self._kept(inside.to_numpy(), f"{column} not {' or '.join(map(str, wanted))}", column)

    def _kept(self, keep: npt.NDArray[np.bool_], reason: str, column: str) -> Cohort:
        if keep.all():
            return self
        if not keep.any():
            there = self.table[column].map(str, na_action="ignore").fillna("not known").value_counts()
            raise CohortError(
                f"cohort {self.dataset!r}: no image is left: {reason}; there are "
                f"{first_of([f'{value} ({count:,})' for value, count in there.items()])}"
            )
        return self.subset(keep, reason)


@dataclass(frozen=True)
class _Subset:
    """Pixels of some rows of another source."""

    parent: PixelSource
    positions: npt.NDArray[np.int64]

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        return self.parent.read(int(self.positions[index]), size)

    def fingerprint(self) -> str:
        return self.parent.fingerprint()


def resolve(pixels: PixelSource, count: int) -> tuple[PixelSource, npt.NDArray[np.int64]]:
    """Return the source behind a subset and, for each of ``count`` rows, the row of that source, (count,)."""
    if isinstance(pixels, _Subset):
        return pixels.parent, pixels.positions
    return pixels, np.arange(count, dtype=np.int64)


def check_table(table: pd.DataFrame, labels: Sequence[str], dataset: str) -> None:
    """Check a cohort table against the contract of :data:`COLUMNS`.

    Raises
    ------
    CohortError: naming the column and up to three offending rows.
    """
    where = f"cohort {dataset!r}"
    missing = [c for c in (*COLUMNS, *labels) if c not in table.columns]
    if missing:
        raise CohortError(f"{where}: columns missing: {', '.join(missing)}")
    if not labels:
        raise CohortError(f"{where}: no label column; a cohort needs at least one")
    if table.empty:
        raise CohortError(f"{where}: no images; check that the folder is complete")
    if not isinstance(table.index, pd.RangeIndex) or table.index[0] != 0 or table.index.step != 1:
        raise CohortError(f"{where}: the table's index must be 0..n-1; call reset_index(drop=True)")
    for column in ("image_id", "patient_id", "source", "path"):
        empty = table[column].isna() | (table[column].astype(str) == "")
        _refuse(where, table, empty, f"column {column!r} is empty")
    for column in ("image_id", "patient_id"):
        # Written by Python's csv module, it would end the row.
        broken = table[column].astype(str).str.contains("\r", regex=False)
        _refuse(where, table, broken, f"column {column!r} holds a carriage return, which no CSV file keeps,")
    _refuse(where, table, table["image_id"].duplicated(keep=False), "image_id appears twice")
    for column, allowed in (("view", VIEWS), ("sex", SEXES)):
        _refuse(
            where,
            table,
            table[column].notna() & ~table[column].isin(allowed),
            f"column {column!r} must be one of {', '.join(allowed)} or missing",
        )
    for label in labels:
        values = pd.to_numeric(table[label], errors="coerce")
        wrong = (table[label].notna() & values.isna()) | (values.notna() & ~values.isin((0.0, 1.0, SMOOTHED)))
        _refuse(where, table, wrong, f"label {label!r} must be 1, 0 or missing")


def _refuse(where: str, table: pd.DataFrame, wrong: pd.Series, what: str) -> None:
    count = int(wrong.sum())
    if count:
        rows = table.loc[wrong, "image_id"].head(3).astype(str).tolist()
        raise CohortError(f"{where}: {what} in {count} rows, first: {', '.join(rows)}")


@dataclass(frozen=True)
class FilePixels:
    """Pixels that lie in files: one path per row, relative to ``root``.

    Files are opened only by :meth:`read`; :meth:`fingerprint` asks the file system for sizes and times.
    Pictures of more than ``max_pixels`` are refused before they are decoded (0: the reader's own limit).
    ``crop``: whether dark and white borders around the film are cut off.
    """

    root: Path
    paths: tuple[str, ...]
    max_pixels: int = 0
    crop: bool = False

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        # Imported here so that a table can be made, checked and split without the image libraries.
        from cxrbench.radiograph import MAX_PIXELS, read_square

        path = self.root / self.paths[index]
        return read_square(path, size, self.max_pixels or MAX_PIXELS, crop=self.crop)

    def shape(self, index: int) -> tuple[int, int]:
        from cxrbench.radiograph import read_shape

        return read_shape(self.root / self.paths[index])

    def header(self, index: int) -> Header:
        from cxrbench.radiograph import Header, read_header

        try:
            return read_header(self.root / self.paths[index])
        except RadiographError:
            return Header()

    def fingerprint(self) -> str:
        import hashlib

        digest = hashlib.sha256(b"cropped to the film\n" if self.crop else b"")
        if self.max_pixels:
            digest.update(f"at most {self.max_pixels} pixels\n".encode())
        for path in self.paths:
            try:
                stat = (self.root / path).stat()
                digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
            except OSError:
                digest.update(f"{path}\0missing\n".encode())
        return digest.hexdigest()

    def versions(self) -> Mapping[str, str]:
        from importlib.metadata import PackageNotFoundError, version

        from cxrbench.files import source_digest

        found = {"cxrbench.radiograph": source_digest("cxrbench.radiograph")}
        for name in ("imagecodecs", "pillow", "pydicom", "simplejpeg"):
            # A missing reader makes its files unreadable, which is reported file by file.
            with contextlib.suppress(PackageNotFoundError):
                found[name] = version(name)
        return found


def cropped(cohort: Cohort) -> Cohort:
    """Return ``cohort`` with its files read without dark and white borders; others stay as they are."""
    source, positions = resolve(cohort.pixels, len(cohort))
    if not isinstance(source, FilePixels):
        return cohort
    return replace(cohort, pixels=_Subset(replace(source, crop=True), positions))
