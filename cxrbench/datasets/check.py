"""Count what a data set's folder holds, and read every image of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.cohort.table import COLUMNS, Cohort
from cxrbench.cores import LOST, in_order
from cxrbench.datasets.folder import FolderCohort, shortened
from cxrbench.datasets.tables import sexes, views
from cxrbench.errors import RadiographError
from cxrbench.radiograph import MAX_PIXELS, Header, picture_faults, read_header, read_shown
from cxrbench.text import one_line

_FEW = 20


@dataclass(frozen=True)
class Reading:
    """What came of reading one file: its header, or why it could not be read.

    ``faults``: what makes its picture unlikely to be a radiograph
    (:func:`cxrbench.radiograph.picture_faults`).
    """

    path: str
    header: Header
    error: str | None = None
    faults: tuple[str, ...] = ()


@dataclass(frozen=True)
class Counts:
    """Counts of a cohort and of the folder that it came from.

    Parameters
    ----------
    listed: images in the data set's own lists; ``left_out`` says by reason which are not among ``images``.
    labels: label -> (positive, negative, uncertain, unknown).
    views, sexes: value -> images; "unknown" for those without.
    others: column -> value -> images, for the source and the columns carried along that have few values. A
        column with more values than one per two images is an identifier or a measurement, and not counted.
    official_test: images of the published test list that are here.
    missing, unlisted, notes: see :class:`~cxrbench.datasets.folder.FolderCohort`.
    """

    dataset: str
    listed: int
    left_out: dict[str, int]
    images: int
    patients: int
    labels: dict[str, tuple[int, int, int, int]]
    views: dict[str, int]
    sexes: dict[str, int]
    others: dict[str, dict[str, int]]
    official_test: int
    missing: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return plain values: what ``cxrbench data check --json`` prints."""
        names = ("positive", "negative", "uncertain", "unknown")
        return {
            "dataset": self.dataset,
            "listed": self.listed,
            "left_out": self.left_out,
            "images": self.images,
            "patients": self.patients,
            "labels": {label: dict(zip(names, counts, strict=True)) for label, counts in self.labels.items()},
            "views": self.views,
            "sexes": self.sexes,
            "others": self.others,
            "official_test": self.official_test,
            "missing": list(self.missing),
            "unlisted": list(self.unlisted),
            "notes": list(self.notes),
        }


def count(cohort: Cohort, readings: Sequence[Reading] = ()) -> Counts:
    """Count a cohort by label, view and sex.

    Parameters
    ----------
    cohort: the cohort; one from a folder adapter also says what is missing and unlisted.
    readings: files that were read; where the table does not know view or sex, their headers may.
    """
    table = cohort.table
    headers = {reading.path: reading.header for reading in readings}
    from_file = [headers.get(path, Header()) for path in table["path"]]
    view = table["view"].fillna(views(pd.Series([header.view for header in from_file], dtype=object)))
    sex = table["sex"].fillna(sexes(pd.Series([header.sex for header in from_file], dtype=object)))
    others = ["source", *(column for column in table.columns if column not in (*COLUMNS, *cohort.labels))]
    folder = cohort if isinstance(cohort, FolderCohort) else None
    return Counts(
        dataset=cohort.dataset,
        listed=cohort.listed,
        left_out=dict(cohort.left_out),
        images=len(cohort),
        patients=int(table["patient_id"].nunique()),
        labels={label: _states(cohort, label) for label in cohort.labels},
        views=_tally(view),
        sexes=_tally(sex),
        others={column: _tally(table[column]) for column in others if _tells_groups_apart(table[column])},
        official_test=len(cohort.official_test),
        missing=folder.missing if folder else (),
        unlisted=folder.unlisted if folder else (),
        notes=folder.notes if folder else (),
    )


def read_all(
    root: Path, paths: Sequence[str], workers: int | None = None, max_pixels: int = 0
) -> Iterator[Reading]:
    """Read every file whole, several at a time, and yield what came of each, in order.

    Parameters
    ----------
    root, paths: the files, relative to the folder.
    workers: how many at a time; by default one per core (:mod:`cxrbench.cores`).
    max_pixels: pictures of more are refused before they are decoded (0: the reader's own limit).
    """
    one = partial(_read_one, root, max_pixels)
    with closing(in_order(one, paths, lambda path: Reading(path, Header(), LOST), workers)) as readings:
        yield from readings


def problems(counts: Counts, broken: Sequence[Reading], *, allow_missing: bool) -> list[str]:
    """Return what is wrong with a folder, one line each: files missing, files broken."""
    lines = []
    if counts.missing and not allow_missing:
        lines.append(
            f"listed images that are not here: {len(counts.missing):,} ({shortened(counts.missing)}); "
            "complete the folder, or pass --allow-missing where it is meant to be incomplete"
        )
    return lines + [f"{one_line(reading.path)}: {reading.error}" for reading in broken]


def remaining(counts: Counts) -> list[tuple[str, int, int]]:
    """Return (reason, left out, images still in) in the order in which the adapter left rows out."""
    rows, left = [], counts.listed
    for reason, number in counts.left_out.items():
        left -= number
        rows.append((reason, number, left))
    return rows


def _read_one(root: Path, max_pixels: int, path: str) -> Reading:
    try:
        faults = picture_faults(read_shown(root / path, max_pixels or MAX_PIXELS))
        return Reading(path, read_header(root / path), faults=faults)
    except RadiographError as error:
        return Reading(path, Header(), error.reason)


def _states(cohort: Cohort, label: str) -> tuple[int, int, int, int]:
    """Return how many images are positive, negative, uncertain and unknown."""
    values = cohort.table[label]
    uncertain = int(cohort.uncertain[label].sum()) if label in cohort.uncertain else 0
    unknown = int(values.isna().sum()) - uncertain
    return int((values == 1).sum()), int((values == 0).sum()), uncertain, unknown


def _tells_groups_apart(values: pd.Series) -> bool:
    return 1 < values.nunique() <= (_FEW if values.name == "source" else min(_FEW, len(values) // 2))


def _tally(values: pd.Series) -> dict[str, int]:
    """Return value -> images: numbers in their order, before texts in theirs; the unknown last."""
    tally = dict(sorted(Counter(values.dropna().map(str)).items(), key=_place))
    unknown = int(values.isna().sum())
    return {**tally, "unknown": unknown} if unknown else tally


def _place(entry: tuple[str, int]) -> tuple[float, str]:
    try:
        return float(entry[0]), ""
    except ValueError:
        return inf, entry[0]
