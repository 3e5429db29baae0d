"""The split of a cohort: the part of every image, by patient, and written down with a hash.

Two kinds, one record and one file. A plain split has the parts :data:`PARTS`. A cross-validation has folds,
numbered from 1: fold k tests on part k, validates on part k + 1 (the last on the first) and trains on the
rest, so that every image is tested exactly once and validates exactly once.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import CohortError, LeakError
from cxrbench.files import canonical_json, digest, read_file, write_text_atomic
from cxrbench.text import first_of, visible

PARTS = ("train", "validation", "test")
FEWEST = 3
"""Folds: with two, one tested and one for validation, none would be left to train on."""

_COLUMNS = ["image_id", "patient_id", "part"]
_FORMAT = "# cxrbench split, format 2"


@dataclass(frozen=True)
class Division:
    """How a cohort is to be divided.

    Parameters
    ----------
    dataset: name of the data set, for messages and the file.
    labels: label columns to stratify by.
    seed: what the patients are shuffled with.
    fractions: of images in train, validation and test, met as nearly as whole patients allow. They add up to
        1; validation and test may be 0. Empty where there are folds.
    folds: how many folds of about the same size, at least :data:`FEWEST`; 0 for a plain split.

    Raises
    ------
    CohortError: impossible fractions, too few folds, or no label.
    """

    dataset: str
    labels: tuple[str, ...]
    seed: int
    fractions: tuple[float, ...] = ()
    folds: int = 0

    def __post_init__(self) -> None:
        if not self.labels:
            raise CohortError(f"{self.where}: no label to stratify by")
        if self.folds and (self.folds < FEWEST or self.fractions):
            raise CohortError(
                f"{self.where}: cross-validation needs at least {FEWEST} folds and no fractions, not "
                f"{self.folds} and {self.fractions}"
            )
        if self.folds:
            return
        if len(self.fractions) != 3 or not all(math.isfinite(f) and f >= 0 for f in self.fractions):
            raise CohortError(
                "fractions must be three numbers from 0 to 1 (train, validation, test), not "
                f"{tuple(self.fractions)}"
            )
        if self.fractions[0] == 0:
            raise CohortError("the train fraction is 0; nothing would be trained on")
        if abs(sum(self.fractions) - 1) > 1e-6:
            raise CohortError(
                f"fractions of train, validation and test must add up to 1, not {sum(self.fractions):.6g}"
            )

    @property
    def where(self) -> str:
        """How a message begins."""
        return f"split of {self.dataset!r}"

    @property
    def names(self) -> tuple[str, ...]:
        """What parts are called."""
        return tuple(str(fold) for fold in range(1, self.folds + 1)) or PARTS


@dataclass(frozen=True)
class Split:
    """Which part each image is in.

    Parameters
    ----------
    division: how it was asked for.
    image_ids: all images of the cohort, in ascending order.
    patient_ids: the patient of each image.
    parts: the part of each image: one of :data:`PARTS`, or the number of the fold that tests it.

    Raises
    ------
    CohortError: an image appears twice, a part has another name, or a fold is empty.
    LeakError: a patient is in two parts.
    """

    division: Division
    image_ids: tuple[str, ...]
    patient_ids: tuple[str, ...]
    parts: tuple[str, ...]

    def __post_init__(self) -> None:
        where, known = self.division.where, self.division.names
        if not len(self.image_ids) == len(self.patient_ids) == len(self.parts):
            raise CohortError(
                f"{where}: {len(self.image_ids)} images, {len(self.patient_ids)} patients, "
                f"{len(self.parts)} parts: not of one length"
            )
        twice = [image for image, count in Counter(self.image_ids).items() if count > 1]
        if twice:
            raise CohortError(f"{where}: {named('image', twice)} in it twice")
        if any(a > b for a, b in pairwise(self.image_ids)):
            raise CohortError(f"{where}: images are not in ascending order of image_id")
        unknown = sorted(set(self.parts) - set(known))
        if unknown:
            raise CohortError(f"{where}: part {unknown[0]!r} is not one of {', '.join(known)}")
        empty = sorted(set(known) - set(self.parts)) if self.division.folds else []
        if empty:
            raise CohortError(f"{where}: no image is in fold {empty[0]}")
        refuse_shared(self.patient_ids, self.parts, where)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content (image, patient and part of every row), 64 hex digits."""
        return digest(self._rows)

    @property
    def turns(self) -> Sequence[int | None]:
        """The trainings that test with it: the folds' numbers, or None alone for a plain split."""
        return range(1, self.division.folds + 1) or [None]

    def parts_of(self, table: pd.DataFrame, fold: int | None = None) -> npt.NDArray[np.object_]:
        """Return the part of each row of ``table``, one of :data:`PARTS`: in ``fold``, where there are folds.

        Raises
        ------
        CohortError: the table has images that the split does not know, or there is no such fold.
        """
        where = self.division.where
        if fold not in self.turns:
            raise CohortError(f"{where}: no fold {fold}; they are numbered 1 to {self.division.folds}")
        ids = table["image_id"].astype(str)
        part = ids.map(dict(zip(self.image_ids, self.parts, strict=True)))
        unknown = ids[part.isna()].tolist()
        if unknown:
            raise CohortError(
                f"{where}: {named('image', unknown)} not in the split; it was made for another cohort"
            )
        if fold is not None:
            used = {str(fold): "test", str(fold % self.division.folds + 1): "validation"}
            part = part.map(lambda number: used.get(number, "train"))
        return part.to_numpy(dtype=object)

    @property
    def _rows(self) -> list[tuple[str, str, str]]:
        return list(zip(self.image_ids, self.patient_ids, self.parts, strict=True))


def check_split(split: Split, table: pd.DataFrame, labels: Sequence[str] = ()) -> None:
    """Check that a split fits a cohort table.

    Parameters
    ----------
    labels: label columns; in every fold, every part that has images must hold both a 1 and a 0 of each.

    Raises
    ------
    LeakError: by the table's patients, a patient is in two parts; the patients are named.
    CohortError: images without a part, or a part with one class only.
    """
    for fold in split.turns:
        part = split.parts_of(table, fold)
        where = split.division.where + (f", fold {fold} of {split.division.folds}" if fold else "")
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

    The first line names the format, the second holds the division, the hash and a seal (the SHA-256 of both)
    as JSON, so that a file that was changed is not taken for what was written.
    """
    out = io.StringIO(newline="")
    header = {**vars(split.division), "hash": split.hash}
    out.write(f"{_FORMAT}\n# {canonical_json({**header, 'seal': digest(header)})}\n")
    csv.writer(out, lineterminator="\n").writerows([_COLUMNS, *split._rows])
    write_text_atomic(path, out.getvalue())


def load_split(path: Path | str) -> Split:
    """Read a split that :func:`save_split` wrote.

    Raises
    ------
    CohortError: no such file, not a split file, or it was changed after it was written.
    LeakError: a patient is in two parts.
    """
    try:
        text = read_file(path).decode(errors="surrogateescape")
    except FileNotFoundError:
        raise CohortError(f"{path}: no such split file") from None
    except OSError as error:
        raise CohortError(f"{path}: the split file cannot be read: {error.strerror}") from None
    first, second, body = (*text.split("\n", 2), "", "")[:3]
    if first != _FORMAT:
        raise CohortError(f"{path}: not a split file of this version (its first line should be '{_FORMAT}')")
    try:
        header = json.loads(second.removeprefix("# "))
        sealed = header.pop("seal")
        intact = digest(header) == sealed
        columns, *rows = csv.reader(io.StringIO(body, newline=""), strict=True)
        if columns != _COLUMNS:
            raise ValueError("column names")
        division = Division(
            dataset=str(header["dataset"]),
            labels=tuple(str(label) for label in header["labels"]),
            seed=int(header["seed"]),
            fractions=tuple(float(fraction) for fraction in header["fractions"]),
            folds=int(header["folds"]),
        )
        split = Split(division, *(zip(*rows, strict=True) if rows else [(), (), ()]))
        expected = str(header["hash"])
    except CohortError as error:
        raise type(error)(f"{path}: {error}") from None
    except (ArithmeticError, ValueError, LookupError, TypeError, AttributeError, RecursionError, csv.Error):
        raise CohortError(
            f"{path}: the split file is damaged; restore it, or delete it to make a new split"
        ) from None
    if split.hash != expected or not intact:
        what = "header does not match its seal" if split.hash == expected else "rows do not match their hash"
        raise CohortError(
            f"{path}: the split file was changed after it was written (its {what}); restore it, or delete it "
            "to make a new split"
        )
    return split


def refuse_shared(patients: Iterable[str], parts: Iterable[str], where: str) -> None:
    """Raise a LeakError that names the patients who are in more than one of ``parts``."""
    first: dict[str, str] = {}
    shared: dict[str, None] = {}
    for patient, part in zip(patients, parts, strict=True):
        if first.setdefault(patient, part) != part:
            shared[patient] = None
    if shared:
        raise LeakError(f"{where}: {named('patient', sorted(shared))} in more than one part")


def named(noun: str, names: Sequence[str]) -> str:
    """Return ``2 images (a, b) are`` or ``1 image (a) is``."""
    one = len(names) == 1
    some = first_of([visible(name) for name in names])
    return f"{len(names)} {noun}{'' if one else 's'} ({some}) {'is' if one else 'are'}"
