"""Train, validation and test parts of a cohort: by patient, stratified, and written down with a hash."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.storage import canonical_json, write_text_atomic
from cxrbench.errors import CohortError, LeakError

PARTS = ("train", "validation", "test")
FORMAT = "cxrbench split, format 1"
NAMED = 10
"""How many patients or images a message names before it only counts."""

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
    CohortError: an image stands twice, or a part has another name.
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
        if not len(self.image_ids) == len(self.patient_ids) == len(self.parts):
            raise CohortError(f"{where}: image_ids, patient_ids and parts are not of one length")
        twice = [image for image, count in Counter(self.image_ids).items() if count > 1]
        if twice:
            raise CohortError(f"{where}: {_named('image', twice)} in it twice")
        if any(a > b for a, b in zip(self.image_ids, self.image_ids[1:], strict=False)):
            raise CohortError(f"{where}: images are not in ascending order of image_id")
        unknown = sorted(set(self.parts) - set(PARTS))
        if unknown:
            raise CohortError(f"{where}: part {unknown[0]!r} is none of {', '.join(PARTS)}")
        _refuse_shared(self.patient_ids, self.parts, where)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (image, patient and part of every row), 64 hex digits."""
        rows = list(zip(self.image_ids, self.patient_ids, self.parts, strict=True))
        return hashlib.sha256(canonical_json(rows).encode()).hexdigest()

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
                f"split of {self.dataset!r}: {_named('image', unknown)} not in the split; it was made for "
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
    rows = _rows(table, labels, dataset)
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
        _refuse_shared(rows["patient_id"], part, f"{where} by the official test list")
    elif shares[2] > 0:
        needed = 1 + sum(share > 0 for share in shares[1:])
        _need_patients(rows, needed, where)
        part[_take(rows, labels, shares[2], seed)] = "test"
    if shares[1] > 0:
        rest = np.flatnonzero(part != "test")
        remaining = rows.iloc[rest].reset_index(drop=True)
        _need_patients(remaining, 2, where)
        share = shares[1] / (shares[0] + shares[1])
        part[rest[_take(remaining, labels, share, seed)]] = "validation"
    return _split(rows, part, dataset, seed, shares, labels)


def folds_by_patient(
    table: pd.DataFrame,
    label: str,
    k: int,
    seed: int,
    validation: float = 0.1,
    dataset: str = "",
) -> tuple[Split, ...]:
    """Return the k splits of a cross-validation: every image is in the test part of exactly one.

    Parameters
    ----------
    table, seed, dataset: as in :func:`split_by_patient`.
    label: the label column to stratify by.
    k: number of folds, at least 2.
    validation: fraction of the cohort's images that each split takes out of its other folds; may be 0.

    Raises
    ------
    CohortError: too few patients, or ``k`` or ``validation`` out of range.
    """
    where = f"folds of {dataset!r}"
    if k < 2:
        raise CohortError(f"{where}: cross-validation needs at least 2 folds, not {k}")
    shares = _check_fractions((1 - 1 / k - validation, validation, 1 / k))
    rows = _rows(table, [label], dataset)
    _need_patients(rows, k, where)
    fold = _folds(rows, [label], k, seed)
    splits = []
    for number in range(k):
        part = np.full(len(rows), "train", dtype=object)
        part[fold == number] = "test"
        if validation > 0:
            rest = np.flatnonzero(fold != number)
            remaining = rows.iloc[rest].reset_index(drop=True)
            _need_patients(remaining, 2, where)
            taken = _take(remaining, [label], validation / (1 - 1 / k), seed)
            part[rest[taken]] = "validation"
        splits.append(_split(rows, part, dataset, seed, shares, [label], (number + 1, k)))
    return tuple(splits)


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


def check_split(split: Split, table: pd.DataFrame, labels: Sequence[str] = ()) -> None:
    """Check that a split fits a cohort table.

    Parameters
    ----------
    labels: label columns of which every part that has images must hold both a 1 and a 0.

    Raises
    ------
    LeakError: by the table's patients, a patient is in two parts; the patients are named.
    CohortError: images without a part, or a part with one class only.
    """
    where = f"split of {split.dataset!r}"
    part = np.full(len(table), "", dtype=object)
    for name in PARTS:
        part[split.mask(table, name)] = name
    _refuse_shared(table["patient_id"].astype(str), part, where)
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

    The first line names the format, the second holds the hash and the parameters as JSON.
    """
    out = io.StringIO(newline="")
    header = {**_parameters(split), "hash": split.hash}
    out.write(f"# {FORMAT}\n# {canonical_json(header)}\n")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("image_id", "patient_id", "part"))
    writer.writerows(zip(split.image_ids, split.patient_ids, split.parts, strict=True))
    write_text_atomic(path, out.getvalue())


def load_split(path: Path | str) -> Split:
    """Read a split that :func:`save_split` wrote.

    Raises
    ------
    CohortError: no such file, not a split file, or its rows do not match its hash.
    LeakError: a patient is in two parts.
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
    if first != f"# {FORMAT}":
        raise CohortError(f"{path}: not a split file of this version (its first line should be '# {FORMAT}')")
    try:
        header = json.loads(second.removeprefix("# "))
        fold = header["fold"]
        rows = list(csv.reader(io.StringIO(body, newline=""), strict=True))
        if rows[0] != ["image_id", "patient_id", "part"]:
            raise ValueError("column names")
        columns = list(zip(*rows[1:], strict=True)) or [(), (), ()]
        image_ids, patient_ids, parts = columns
        train, validation, test = (float(fraction) for fraction in header["fractions"])
        expected = str(header["hash"])
        split = Split(
            dataset=str(header["dataset"]),
            image_ids=image_ids,
            patient_ids=patient_ids,
            parts=parts,
            seed=int(header["seed"]),
            fractions=(train, validation, test),
            labels=tuple(str(label) for label in header["labels"]),
            fold=None if fold is None else (int(fold[0]), int(fold[1])),
        )
    except CohortError as error:
        raise type(error)(f"{path}: {error}") from None
    except (ValueError, KeyError, TypeError, IndexError, csv.Error):
        raise CohortError(
            f"{path}: the split file is damaged; restore it, or delete it to make a new split"
        ) from None
    if split.hash != expected:
        raise CohortError(
            f"{path}: the split file was changed after it was written (its rows hash to {split.hash[:12]}, "
            f"the header says {expected[:12]}); restore it, or delete it to make a new split"
        )
    return split


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
    rows = _rows(table, labels, dataset)
    asked = {
        "dataset": dataset,
        "fold": None,
        "fractions": list(_check_fractions(fractions)),
        "labels": list(labels),
        "seed": seed,
    }
    stored = _parameters(split)
    differences = [f"{k} {stored[k]!r}, now {asked[k]!r}" for k in asked if stored[k] != asked[k]]
    gone = set(split.image_ids) - set(rows["image_id"])
    new = set(rows["image_id"]) - set(split.image_ids)
    if gone or new:
        differences.append(f"images ({len(gone)} of the split are gone, {len(new)} are new)")
    elif split.patient_ids != tuple(rows["patient_id"]):
        differences.append("the patients of the images")
    elif official_test and set(split.images("test")) != official_test & set(split.image_ids):
        differences.append("the official test list")
    if differences:
        raise CohortError(
            f"{path}: the stored split was made for something else: {'; '.join(differences)}; "
            "delete the file, or choose another output folder, to make a new split"
        )
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


def _rows(table: pd.DataFrame, labels: Sequence[str], dataset: str) -> pd.DataFrame:
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


def _take(rows: pd.DataFrame, labels: Sequence[str], fraction: float, seed: int) -> npt.NDArray[np.bool_]:
    """Return which rows make up ``fraction`` of the images: whole patients, strata in proportion."""
    patients = rows["patient_id"].nunique()
    finest = min(patients, max(_FINEST, math.ceil(1 / fraction)))
    ratio = Fraction(fraction).limit_denominator(finest)
    wanted, k = ratio.numerator, ratio.denominator
    if not 0 < wanted < k:
        wanted, k = (1 if wanted == 0 else finest - 1), finest
    fold = _folds(rows, labels, k, seed)
    return np.isin(fold, _choose(rows, labels, fold, wanted, k))


def _choose(
    rows: pd.DataFrame, labels: Sequence[str], fold: npt.NDArray[np.int64], wanted: int, k: int
) -> list[int]:
    """Choose ``wanted`` of ``k`` folds that together come nearest to their share of each stratum's patients.

    With plenty of patients the folds are all alike. With few, this is what gives each part its positive ones.
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


def _folds(rows: pd.DataFrame, labels: Sequence[str], k: int, seed: int) -> npt.NDArray[np.int64]:
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


def _need_patients(rows: pd.DataFrame, needed: int, where: str) -> None:
    patients = rows["patient_id"].nunique()
    if patients < needed:
        raise CohortError(
            f"{where}: too few patients to fill the parts asked for: {patients}, and {needed} are needed"
        )


def _refuse_shared(patients: Iterable[str], parts: Iterable[str], where: str) -> None:
    first: dict[str, str] = {}
    shared: dict[str, None] = {}
    for patient, part in zip(patients, parts, strict=True):
        if first.setdefault(patient, part) != part:
            shared[patient] = None
    if shared:
        raise LeakError(f"{where}: {_named('patient', sorted(shared))} in more than one part")


def _named(noun: str, names: Sequence[str]) -> str:
    shown = ", ".join(names[:NAMED])
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    one = len(names) == 1
    return f"{len(names)} {noun}{'' if one else 's'} ({shown}{more}) {'is' if one else 'are'}"
