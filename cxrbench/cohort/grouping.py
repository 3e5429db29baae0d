"""What splits and folds are made from: patients that stay whole, strata, and messages that name them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import CohortError, LeakError
from cxrbench.text import first_of

"""How many patients or images a message names before it only counts."""


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


def by_image(table: pd.DataFrame, labels: Sequence[str], dataset: str) -> pd.DataFrame:
    """Return the columns that a split reads, in ascending order of image_id."""
    where = f"split of {dataset!r}"
    if not labels:
        raise CohortError(f"{where}: no label to stratify by")
    missing = [c for c in ("image_id", "patient_id", *labels) if c not in table.columns]
    if missing:
        raise CohortError(f"{where}: the table has no column {', '.join(map(repr, missing))}")
    rows = table[["image_id", "patient_id", *labels]].copy()
    # Plain Python strings: their order does not depend on how pandas stores them.
    rows["image_id"] = rows["image_id"].astype(str).astype(object)
    rows["patient_id"] = rows["patient_id"].astype(str).astype(object)
    return rows.sort_values("image_id", kind="stable").reset_index(drop=True)


def check_images(
    image_ids: Sequence[str], patient_ids: Sequence[str], parts: Sequence[object], where: str
) -> None:
    """Check the columns of a split or of folds: of one length, each image once, in ascending order.

    Raises
    ------
    CohortError: they are not; the message begins with ``where``.
    """
    if not len(image_ids) == len(patient_ids) == len(parts):
        raise CohortError(
            f"{where}: {len(image_ids)} images, {len(patient_ids)} patients, {len(parts)} parts: not of "
            "one length"
        )
    twice = [image for image, count in Counter(image_ids).items() if count > 1]
    if twice:
        raise CohortError(f"{where}: {named('image', twice)} in it twice")
    if any(a > b for a, b in pairwise(image_ids)):
        raise CohortError(f"{where}: images are not in ascending order of image_id")


def grouped_folds(rows: pd.DataFrame, labels: Sequence[str], k: int, seed: int) -> npt.NDArray[np.int64]:
    """Return the fold of each row, 0 to k - 1, by scikit-learn's StratifiedGroupKFold."""
    # Imported here: reading a stored split should not wait for scikit-learn.
    from sklearn.model_selection import StratifiedGroupKFold

    # The patients are shuffled here, not by scikit-learn, whose shuffling has changed between versions.
    patient, names = pd.factorize(rows["patient_id"], sort=True)
    group = np.random.default_rng(seed).permutation(len(names))[patient]
    stratum = strata(rows, labels)
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


def need_patients(rows: pd.DataFrame, needed: int, where: str) -> None:
    patients = rows["patient_id"].nunique()
    if patients < needed:
        raise CohortError(
            f"{where}: too few patients to fill the parts asked for: {patients}, and {needed} are needed"
        )


def refuse_shared(patients: Iterable[str], parts: Iterable[str], where: str) -> None:
    first: dict[str, str] = {}
    shared: dict[str, None] = {}
    for patient, part in zip(patients, parts, strict=True):
        if first.setdefault(patient, part) != part:
            shared[patient] = None
    if shared:
        raise LeakError(f"{where}: {named('patient', sorted(shared))} in more than one part")


def named(noun: str, names: Sequence[str]) -> str:
    one = len(names) == 1
    return f"{len(names)} {noun}{'' if one else 's'} ({first_of(names)}) {'is' if one else 'are'}"
