"""The folds of a cross-validation: by patient, stratified, and written down with a hash.

Every image is tested exactly once and validates exactly once: fold k tests on part k, validates on part k + 1
(the last on the first) and trains on the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from cxrbench.cohort.grouping import by_image, check_images, grouped_folds, need_patients, refuse_shared
from cxrbench.cohort.split import Split
from cxrbench.cohort.splitfile import read_rows, refuse_other, rows_hash, write_rows
from cxrbench.errors import CohortError

FEWEST = 3
"""With two, one tested and one for validation, none would be left to train on."""

COLUMNS = ("image_id", "patient_id", "fold")
FORMAT = "cxrbench folds, format 2"


@dataclass(frozen=True)
class Folds:
    """Which fold tests each image.

    Parameters
    ----------
    dataset: name of the data set.
    image_ids: all images of the cohort, in ascending order.
    patient_ids: the patient of each image.
    folds: the fold that tests each image, 1 to ``k``.
    k: how many folds there are.
    seed: what the patients were shuffled with.
    labels: what the folds were stratified by.

    Raises
    ------
    CohortError: fewer than :data:`FEWEST` folds, an image appears twice, or a fold is empty or out of range.
    LeakError: a patient is in two folds.
    """

    dataset: str
    image_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    folds: tuple[int, ...]
    k: int
    seed: int
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        where = f"folds of {self.dataset!r}"
        if self.k < FEWEST:
            raise CohortError(f"{where}: cross-validation needs at least {FEWEST} folds, not {self.k}")
        check_images(self.image_ids, self.patient_ids, self.folds, where)
        if set(self.folds) != set(range(1, self.k + 1)):
            raise CohortError(
                f"{where}: its folds are {', '.join(map(str, sorted(set(self.folds))))}, not 1 to {self.k}"
            )
        refuse_shared(self.patient_ids, map(str, self.folds), where)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (image, patient and fold of every row), 64 hex digits."""
        return rows_hash(self._rows)

    def split(self, fold: int) -> Split:
        """Return the split of fold 1 to ``k``: tested on it, validated on the next, trained on the rest."""
        if not 1 <= fold <= self.k:
            raise CohortError(f"folds of {self.dataset!r}: no fold {fold}; they are numbered 1 to {self.k}")
        part = {fold: "test", fold % self.k + 1: "validation"}
        return Split(
            dataset=self.dataset,
            image_ids=self.image_ids,
            patient_ids=self.patient_ids,
            parts=tuple(part.get(number, "train") for number in self.folds),
            seed=self.seed,
            fractions=(1 - 2 / self.k, 1 / self.k, 1 / self.k),
            labels=self.labels,
            fold=(fold, self.k),
        )

    @property
    def _rows(self) -> list[tuple[str, str, str]]:
        return list(zip(self.image_ids, self.patient_ids, map(str, self.folds), strict=True))


def folds_by_patient(
    table: pd.DataFrame, labels: Sequence[str], k: int, seed: int, dataset: str = ""
) -> Folds:
    """Divide a cohort's images into ``k`` folds of about the same size and labels, patients whole.

    The folds are those of scikit-learn's ``StratifiedGroupKFold``; strata and shuffling are those of
    :func:`~cxrbench.cohort.split.split_by_patient`, so the order of the table's rows does not matter.

    Parameters
    ----------
    table: a cohort table; image_id, patient_id and ``labels`` are read.
    labels: label columns to stratify by.
    k: number of folds, at least :data:`FEWEST`.
    seed: of the shuffling.
    dataset: name, for messages and the file.

    Raises
    ------
    CohortError: ``k`` is too small, there are fewer patients than folds, or a column is missing.
    """
    rows = by_image(table, labels, dataset)
    need_patients(rows, k, f"folds of {dataset!r}")
    return Folds(
        dataset=dataset,
        image_ids=tuple(rows["image_id"]),
        patient_ids=tuple(rows["patient_id"]),
        folds=tuple(int(fold) + 1 for fold in grouped_folds(rows, labels, k, seed)),
        k=k,
        seed=seed,
        labels=tuple(labels),
    )


def save_folds(folds: Folds, path: Path | str) -> None:
    """Write folds as CSV (image_id, patient_id, fold) under two comment lines, as splits are written."""
    write_rows(path, FORMAT, _parameters(folds), COLUMNS, folds._rows)


def load_folds(path: Path | str) -> Folds:
    """Read folds that :func:`save_folds` wrote.

    Raises
    ------
    CohortError: no such file, not a file of folds, or it was changed after it was written.
    LeakError: a patient is in two folds.
    """

    def folds(header: Mapping[str, Any], columns: Sequence[tuple[str, ...]]) -> Folds:
        image_ids, patient_ids, numbers = columns
        return Folds(
            dataset=str(header["dataset"]),
            image_ids=image_ids,
            patient_ids=patient_ids,
            folds=tuple(int(number) for number in numbers),
            k=int(header["k"]),
            seed=int(header["seed"]),
            labels=tuple(str(label) for label in header["labels"]),
        )

    return read_rows(path, FORMAT, COLUMNS, folds)


def load_or_make_folds(
    path: Path | str, table: pd.DataFrame, labels: Sequence[str], k: int, seed: int, dataset: str = ""
) -> Folds:
    """Return the folds stored at ``path`` if they were made from the same, or make some and store them.

    The parameters are those of :func:`folds_by_patient`.

    Raises
    ------
    CohortError: the stored folds are of other images, patients or parameters (the message says which), or the
        file is damaged; or as :func:`folds_by_patient`.
    """
    path = Path(path)
    if not path.exists():
        folds = folds_by_patient(table, labels, k, seed, dataset)
        save_folds(folds, path)
        return folds
    folds = load_folds(path)
    rows = by_image(table, labels, dataset)
    asked = {"dataset": dataset, "k": k, "labels": list(labels), "seed": seed}
    same = folds.image_ids == tuple(rows["image_id"]) and folds.patient_ids == tuple(rows["patient_id"])
    refuse_other(path, _parameters(folds), asked, [] if same else ["the images or their patients"])
    return folds


def _parameters(folds: Folds) -> dict[str, object]:
    return {"dataset": folds.dataset, "k": folds.k, "labels": list(folds.labels), "seed": folds.seed}
