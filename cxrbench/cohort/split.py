"""Train, validation and test parts of a cohort: by patient, stratified, and written down with a hash."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.grouping import (
    by_image,
    check_images,
    grouped_folds,
    named,
    need_patients,
    refuse_shared,
    strata,
)
from cxrbench.cohort.splitfile import read_rows, refuse_other, rows_hash, write_rows
from cxrbench.errors import CohortError

PARTS = ("train", "validation", "test")
COLUMNS = ("image_id", "patient_id", "part")
FORMAT = "cxrbench split, format 2"
_FINEST = 20
"""Fractions are met to the nearest a/K with K up to this many folds (or 1/fraction, where that is more)."""


@dataclass(frozen=True)
class Split:
    """Which part each image is in.

    Parameters
    ----------
    dataset: name of the data set.
    image_ids: all images of the cohort, in ascending order.
    patient_ids: the patient of each image.
    parts: the part of each image, one of :data:`PARTS`.
    seed: what the patients were shuffled with.
    fractions: of train, validation and test, as asked for.
    labels: what the parts were stratified by.
    fold: (number, of how many) where the split is one of a cross-validation, numbered from 1.

    Raises
    ------
    CohortError: an image appears twice, or a part has another name.
    LeakError: a patient is in two parts.
    """

    dataset: str
    image_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    parts: tuple[str, ...]
    seed: int
    fractions: tuple[float, float, float]
    labels: tuple[str, ...]
    fold: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        where = f"split of {self.dataset!r}"
        check_images(self.image_ids, self.patient_ids, self.parts, where)
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown:
            raise CohortError(f"{where}: part {unknown[0]!r} is not one of {', '.join(PARTS)}")
        refuse_shared(self.patient_ids, self.parts, where)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (image, patient and part of every row), 64 hex digits."""
        return rows_hash(list(zip(self.image_ids, self.patient_ids, self.parts, strict=True)))

    @cached_property
    def assignment(self) -> dict[str, str]:
        """image_id -> part."""
        return dict(zip(self.image_ids, self.parts, strict=True))

    def images(self, part: str) -> tuple[str, ...]:
        """Return the image_ids of a part, ascending."""
        _check_part(part)
        return tuple(i for i, p in zip(self.image_ids, self.parts, strict=True) if p == part)

    def mask(self, table: pd.DataFrame, part: str) -> npt.NDArray[np.bool_]:
        """Return for each row of ``table`` whether it is in ``part``.

        Raises
        ------
        CohortError: the table has images that the split does not know.
        """
        _check_part(part)
        found = table["image_id"].astype(str).map(self.assignment)
        unknown = table.loc[found.isna(), "image_id"].astype(str).tolist()
        if unknown:
            raise CohortError(
                f"split of {self.dataset!r}: {named('image', unknown)} not in the split; it was made for "
                "another cohort"
            )
        return np.asarray(found == part, dtype=np.bool_)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return part -> ``{"images": …, "patients": …}``."""
        patients = {part: set[str]() for part in PARTS}
        for patient, part in zip(self.patient_ids, self.parts, strict=True):
            patients[part].add(patient)
        images = Counter(self.parts)
        return {part: {"images": images[part], "patients": len(patients[part])} for part in PARTS}


def split_by_patient(
    table: pd.DataFrame,
    labels: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    official_test: frozenset[str] = frozenset(),
    dataset: str = "",
) -> Split:
    """Split a cohort's images so that no patient is in two parts.

    Parts are unions of folds of scikit-learn's ``StratifiedGroupKFold``: the test part first, then validation
    out of the rest. An image's stratum is the rarest label that it carries (see :func:`strata`). Patients are
    shuffled with ``seed`` after sorting, so the order of the table's rows does not matter.

    Parameters
    ----------
    table: a cohort table; image_id, patient_id and ``labels`` are read.
    labels: label columns to stratify by.
    fractions: of images in train, validation and test, met as nearly as whole patients allow. They add up
        to 1; validation and test may be 0.
    seed: of the shuffling.
    official_test: published test list. Its images that are in the table are the test part, and only train to
        validation is then divided, in the proportion of ``fractions``.
    dataset: name, for messages and the file.

    Raises
    ------
    CohortError: fractions, columns or the number of patients make a split impossible.
    LeakError: a patient has images both inside and outside ``official_test``; the patients are named.
    """
    shares = _check_fractions(fractions)
    rows = by_image(table, labels, dataset)
    where = f"split of {dataset!r}"
    part = np.full(len(rows), "train", dtype=object)
    if official_test:
        official = rows["image_id"].isin(official_test).to_numpy()
        if not official.any() and shares[2] > 0:
            raise CohortError(
                f"{where}: none of the {len(official_test)} images of the official test list is here; ask "
                "for a test fraction of 0, or leave the official list out"
            )
        if official.all():
            raise CohortError(
                f"{where}: every image is in the official test list; nothing is left to train on"
            )
        part[official] = "test"
        refuse_shared(rows["patient_id"], part, f"{where} by the official test list")
    elif shares[2] > 0:
        needed = 1 + sum(share > 0 for share in shares[1:])
        need_patients(rows, needed, where)
        part[_take(rows, labels, shares[2], seed)] = "test"
    if shares[1] > 0:
        rest = np.flatnonzero(part != "test")
        remaining = rows.iloc[rest].reset_index(drop=True)
        need_patients(remaining, 2, where)
        share = shares[1] / (shares[0] + shares[1])
        part[rest[_take(remaining, labels, share, seed)]] = "validation"
    return _split(rows, part, dataset, seed, shares, labels)


def check_split(split: Split, table: pd.DataFrame, labels: Sequence[str] = ()) -> None:
    """Check that a split fits a cohort table.

    Parameters
    ----------
    labels: label columns; every part that has images must hold both a 1 and a 0 of each.

    Raises
    ------
    LeakError: by the table's patients, a patient is in two parts; the patients are named.
    CohortError: images without a part, or a part with one class only.
    """
    where = f"split of {split.dataset!r}"
    if split.fold is not None:
        where += f", fold {split.fold[0]} of {split.fold[1]}"
    part = np.full(len(table), "", dtype=object)
    for name in PARTS:
        part[split.mask(table, name)] = name
    refuse_shared(table["patient_id"].astype(str), part, where)
    for label in labels:
        if label not in table.columns:
            raise CohortError(f"{where}: the table has no label column {label!r}")
        values = table[label].to_numpy(dtype=np.float64)
        for name in PARTS:
            inside = values[part == name]
            positive, negative = int((inside == 1).sum()), int((inside == 0).sum())
            if len(inside) and not (positive and negative):
                raise CohortError(
                    f"{where}: in the {name} part {label!r} is 1 for {positive} and 0 for {negative} of "
                    f"{len(inside)} images; an AUC needs both: use another seed, other fractions or more "
                    "patients"
                )


def save_split(split: Split, path: Path | str) -> None:
    """Write a split as CSV (image_id, patient_id, part) under two comment lines, all or nothing.

    The first line names the format, the second holds the parameters, the hash and a seal as JSON.
    """
    write_rows(
        path,
        FORMAT,
        _parameters(split),
        COLUMNS,
        list(zip(split.image_ids, split.patient_ids, split.parts, strict=True)),
    )


def load_split(path: Path | str) -> Split:
    """Read a split that :func:`save_split` wrote.

    Raises
    ------
    CohortError: no such file, not a split file, or it was changed after it was written.
    LeakError: a patient is in two parts.
    """

    def split(header: Mapping[str, Any], columns: Sequence[tuple[str, ...]]) -> Split:
        image_ids, patient_ids, parts = columns
        train, validation, test = (float(fraction) for fraction in header["fractions"])
        fold = header["fold"]
        return Split(
            dataset=str(header["dataset"]),
            image_ids=image_ids,
            patient_ids=patient_ids,
            parts=parts,
            seed=int(header["seed"]),
            fractions=(train, validation, test),
            labels=tuple(str(label) for label in header["labels"]),
            fold=None if fold is None else (int(fold[0]), int(fold[1])),
        )

    return read_rows(path, FORMAT, COLUMNS, split)


def load_or_make(
    path: Path | str,
    table: pd.DataFrame,
    labels: Sequence[str],
    fractions: Sequence[float],
    seed: int,
    official_test: frozenset[str] = frozenset(),
    dataset: str = "",
) -> Split:
    """Return the split stored at ``path`` if it was made from the same, or make one and store it.

    The parameters are those of :func:`split_by_patient`.

    Raises
    ------
    CohortError: the stored split is of other images, patients or parameters (the message says which), or is
        damaged.
    LeakError: as :func:`split_by_patient`.
    """
    path = Path(path)
    if not path.exists():
        split = split_by_patient(table, labels, fractions, seed, official_test, dataset)
        save_split(split, path)
        return split
    split = load_split(path)
    rows = by_image(table, labels, dataset)
    asked = {
        "dataset": dataset,
        "fold": None,
        "fractions": list(_check_fractions(fractions)),
        "labels": list(labels),
        "seed": seed,
    }
    further = []
    gone = set(split.image_ids) - set(rows["image_id"])
    new = set(rows["image_id"]) - set(split.image_ids)
    if gone or new:
        further.append(f"images ({len(gone)} of the split are gone, {len(new)} are new)")
    elif split.patient_ids != tuple(rows["patient_id"]):
        further.append("the patients of the images")
    elif official_test and set(split.images("test")) != official_test & set(split.image_ids):
        further.append("the official test list")
    refuse_other(path, _parameters(split), asked, further)
    return split


def _parameters(split: Split) -> dict[str, object]:
    return {
        "dataset": split.dataset,
        "fold": None if split.fold is None else list(split.fold),
        "fractions": list(split.fractions),
        "labels": list(split.labels),
        "seed": split.seed,
    }


def _split(
    rows: pd.DataFrame,
    part: npt.NDArray[np.object_],
    dataset: str,
    seed: int,
    fractions: tuple[float, float, float],
    labels: Sequence[str],
    fold: tuple[int, int] | None = None,
) -> Split:
    return Split(
        dataset=dataset,
        image_ids=tuple(rows["image_id"]),
        patient_ids=tuple(rows["patient_id"]),
        parts=tuple(part),
        seed=seed,
        fractions=fractions,
        labels=tuple(labels),
        fold=fold,
    )


def _take(rows: pd.DataFrame, labels: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which rows make up ``fraction`` of the images: whole patients, strata in proportion."""
    patients = rows["patient_id"].nunique()
    finest = min(patients, max(_FINEST, math.ceil(1 / fraction)))
    ratio = Fraction(fraction).limit_denominator(finest)
    wanted, k = ratio.numerator, ratio.denominator
    if not 0 < wanted < k:
        wanted, k = (1 if wanted == 0 else finest - 1), finest
    fold = grouped_folds(rows, labels, k, seed)
    return np.isin(fold, _choose(rows, labels, fold, wanted, k))


def _choose(
    rows: pd.DataFrame, labels: Sequence[str], fold: npt.NDArray[np.int64], wanted: int, k: int
) -> list[int]:
    """Choose ``wanted`` of ``k`` folds that together come nearest to their share of each stratum's patients.

    With plenty of patients the folds are all alike. With few, only this gives each part its positives.
    """
    kinds, stratum = np.unique(strata(rows, labels), return_inverse=True)
    patient = pd.factorize(rows["patient_id"])[0]
    # (folds, strata + 1): patients of each stratum in each fold, and all its images.
    content = np.zeros((k, len(kinds) + 1))
    for fold_of, stratum_of, _ in np.unique(np.stack([fold, stratum, patient], axis=1), axis=0):
        content[fold_of, stratum_of] += 1
    content[:, -1] = np.bincount(fold, minlength=k)
    total = content.sum(axis=0)
    chosen: list[int] = []
    for count in range(1, wanted + 1):
        target = total * (count / k)
        if count == wanted:
            # A stratum that two patients have should be on both sides.
            target = np.where(total >= 2, np.maximum(target, 1.0), target)
        inside = content[chosen].sum(axis=0)
        distance = {
            f: float((np.abs(inside + content[f] - target) / total).sum())
            for f in range(k)
            if f not in chosen
        }
        chosen.append(min(distance, key=lambda f: (distance[f], f)))
    return chosen


def _check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    values = tuple(float(f) for f in fractions)
    if len(values) != 3 or not all(math.isfinite(f) and f >= 0 for f in values):
        raise CohortError(
            f"fractions must be three numbers from 0 to 1 (train, validation, test), not {values}"
        )
    if values[0] == 0:
        raise CohortError("the train fraction is 0; nothing would be trained on")
    if abs(sum(values) - 1) > 1e-6:
        raise CohortError(f"fractions of train, validation and test must add up to 1, not {sum(values):.6g}")
    return values[0], values[1], values[2]


def _check_part(part: str) -> None:
    if part not in PARTS:
        raise CohortError(f"no part {part!r}; the parts are {', '.join(PARTS)}")
