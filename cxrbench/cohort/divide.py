"""Dividing a cohort: patients stay whole, strata keep their shares, and the order of rows does not matter."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.split import Division, Split, load_split, refuse_shared, save_split
from cxrbench.errors import CohortError

_FINEST = 20
"""Fractions are met to the nearest a/K with K up to this many folds (or 1/fraction, where that is more)."""


def load_or_divide(
    path: Path | str, table: pd.DataFrame, division: Division, official_test: frozenset[str] = frozenset()
) -> Split:
    """Return the split stored at ``path`` if it was made from the same, or make one and store it.

    Raises
    ------
    CohortError: the stored split is of other images, patients or settings (the message says which), or is
        damaged; or as :func:`divide`.
    LeakError: as :func:`divide`.
    """
    path = Path(path)
    if not path.exists():
        split = divide(table, division, official_test)
        save_split(split, path)
        return split
    split = load_split(path)
    rows = _by_image(table, division)
    stored, asked = vars(split.division), vars(division)
    other = [f"{key} {stored[key]!r}, now {asked[key]!r}" for key in asked if stored[key] != asked[key]]
    gone, new = set(split.image_ids) - set(rows["image_id"]), set(rows["image_id"]) - set(split.image_ids)
    tested = {image for image, part in zip(split.image_ids, split.parts, strict=True) if part == "test"}
    if gone or new:
        other.append(f"images ({len(gone)} of the split are gone, {len(new)} are new)")
    elif split.patient_ids != tuple(rows["patient_id"]):
        other.append("the patients of the images")
    elif official_test and tested != official_test & set(split.image_ids):
        other.append("the official test list")
    if other:
        raise CohortError(
            f"{path}: it was made for something else: {'; '.join(other)}; "
            "delete the file, or choose another output folder, to have it made again"
        )
    return split


def divide(table: pd.DataFrame, division: Division, official_test: frozenset[str] = frozenset()) -> Split:
    """Divide a cohort's images so that no patient is in two parts.

    Folds are those of scikit-learn's ``StratifiedGroupKFold``. The parts of a plain split are unions of such
    folds: the test part first, then validation out of the rest. An image's stratum is the rarest label that
    it carries (see :func:`strata`). Patients are shuffled after sorting, so the order of the table's rows
    does not matter.

    Parameters
    ----------
    table: a cohort table; image_id, patient_id and the division's labels are read.
    official_test: published test list, for a plain split. Its images that are in the table are the test part,
        and only train to validation is then divided, in the proportion of the fractions.

    Raises
    ------
    CohortError: columns or the number of patients make it impossible.
    LeakError: a patient has images both inside and outside ``official_test``; the patients are named.
    """
    rows = _by_image(table, division)
    if division.folds:
        _need_patients(rows, division.folds, division)
        folds = _grouped_folds(rows, division, division.folds)
        part = np.array([str(fold + 1) for fold in folds], dtype=object)
    else:
        part = _three_parts(rows, division, official_test)
    return Split(division, tuple(rows["image_id"]), tuple(rows["patient_id"]), tuple(part))


def _three_parts(
    rows: pd.DataFrame, division: Division, official_test: frozenset[str]
) -> npt.NDArray[np.object_]:
    """Return the part of each row of a plain split."""
    train, validation, test = division.fractions
    part = np.full(len(rows), "train", dtype=object)
    if official_test:
        official = rows["image_id"].isin(official_test).to_numpy()
        if not official.any() and test > 0:
            raise CohortError(
                f"{division.where}: none of the {len(official_test)} images of the official test list is "
                "here; ask for a test fraction of 0, or leave the official list out"
            )
        if official.all():
            raise CohortError(
                f"{division.where}: every image is in the official test list; nothing is left to train on"
            )
        part[official] = "test"
        refuse_shared(rows["patient_id"], part, f"{division.where} by the official test list")
    elif test > 0:
        _need_patients(rows, 2 + (validation > 0), division)
        part[_take(rows, division, test)] = "test"
    if validation > 0:
        rest = np.flatnonzero(part != "test")
        remaining = rows.iloc[rest].reset_index(drop=True)
        _need_patients(remaining, 2, division)
        part[rest[_take(remaining, division, validation / (train + validation))]] = "validation"
    return part


def strata(table: pd.DataFrame, labels: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the stratum of each image, (n,) int64.

    ``j`` where ``labels[j]`` is the rarest of the labels that the image carries (rarity counted in patients
    over the table, ties by the order of ``labels``); ``len(labels)`` where it carries none of them;
    ``len(labels) + 1`` where not one label is known. For a single label: positive, negative, unknown.
    """
    values = table[list(labels)].to_numpy(dtype=np.float64)
    positive = values == 1.0
    patient = pd.factorize(table["patient_id"].astype(str))[0]
    patients = np.array([len(np.unique(patient[column])) for column in positive.T])
    by_rarity = np.argsort(patients, kind="stable")
    first = np.argmax(positive[:, by_rarity], axis=1)
    result = np.where(positive.any(axis=1), by_rarity[first], len(labels))
    return np.where(np.isnan(values).all(axis=1), len(labels) + 1, result).astype(np.int64)


def _by_image(table: pd.DataFrame, division: Division) -> pd.DataFrame:
    """Return the columns that a split reads, in ascending order of image_id."""
    columns = ["image_id", "patient_id", *division.labels]
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise CohortError(f"{division.where}: the table has no column {', '.join(map(repr, missing))}")
    rows = table[columns].copy()
    # Plain Python strings: their order does not depend on how pandas stores them.
    rows["image_id"] = rows["image_id"].astype(str).astype(object)
    rows["patient_id"] = rows["patient_id"].astype(str).astype(object)
    return rows.sort_values("image_id", kind="stable").reset_index(drop=True)


def _grouped_folds(rows: pd.DataFrame, division: Division, k: int) -> npt.NDArray[np.int64]:
    """Return the fold of each row, 0 to k - 1, by scikit-learn's StratifiedGroupKFold."""
    # Imported here: reading a stored split should not wait for scikit-learn.
    from sklearn.model_selection import StratifiedGroupKFold

    # The patients are shuffled here, not by scikit-learn, whose shuffling has changed between versions.
    patient, names = pd.factorize(rows["patient_id"], sort=True)
    group = np.random.default_rng(division.seed).permutation(len(names))[patient]
    stratum = strata(rows, division.labels)
    fold = np.zeros(len(rows), dtype=np.int64)
    # Where strata are so small that a fold would stay empty, equal sizes come first.
    for kinds in (stratum, np.zeros_like(stratum)):
        if np.bincount(kinds).max() < k:
            continue
        with warnings.catch_warnings():
            # Strata of fewer images than folds are spread as far as they go; there is nothing to warn of.
            warnings.filterwarnings("ignore", message="The least populated class in y", category=UserWarning)
            for number, (_, inside) in enumerate(StratifiedGroupKFold(k).split(kinds, kinds, group)):
                fold[inside] = number
        if np.bincount(fold, minlength=k).all():
            break
    return fold


def _take(rows: pd.DataFrame, division: Division, fraction: float) -> npt.NDArray[np.bool_]:
    """Return which rows make up ``fraction`` of the images: whole patients, strata in proportion."""
    patients = rows["patient_id"].nunique()
    finest = min(patients, max(_FINEST, math.ceil(1 / fraction)))
    ratio = Fraction(fraction).limit_denominator(finest)
    wanted, k = ratio.numerator, ratio.denominator
    if not 0 < wanted < k:
        wanted, k = (1 if wanted == 0 else finest - 1), finest
    fold = _grouped_folds(rows, division, k)
    return np.isin(fold, _choose(rows, division, fold, wanted, k))


def _choose(
    rows: pd.DataFrame, division: Division, fold: npt.NDArray[np.int64], wanted: int, k: int
) -> list[int]:
    """Choose ``wanted`` of ``k`` folds that together come nearest to their share of each stratum's patients.

    With plenty of patients the folds are all alike. With few, only this gives each part its positives.
    """
    kinds, stratum = np.unique(strata(rows, division.labels), return_inverse=True)
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


def _need_patients(rows: pd.DataFrame, needed: int, division: Division) -> None:
    patients = rows["patient_id"].nunique()
    if patients < needed:
        raise CohortError(
            f"{division.where}: too few patients to fill the parts asked for: {patients}, and {needed} are "
            "needed"
        )
