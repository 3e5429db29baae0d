"""VinDr-CXR, from PhysioNet or from the Kaggle challenge.

Nguyen et al., "VinDr-CXR: an open dataset of chest X-rays with radiologist's annotations", Scientific Data
2022; 15,000 training images read by three radiologists each, 3,000 test images read by five in consensus. The
challenge's table is as torchxrayvision carries it, PhysioNet's as public code reads it. More in
docs/datasets/vindr-cxr.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.options import choices
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import has_columns, read_flags, read_ids, read_table, refuse_empty, refuse_rows
from cxrbench.errors import DatasetError

NO_FINDING = "No finding"
FINDINGS = (
    "Aortic enlargement",
    "Atelectasis",
    "Calcification",
    "Cardiomegaly",
    "Clavicle fracture",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Enlarged PA",
    "ILD",
    "Infiltration",
    "Lung Opacity",
    "Lung cavity",
    "Lung cyst",
    "Mediastinal shift",
    "Nodule/Mass",
    "Pleural effusion",
    "Pleural thickening",
    "Pneumothorax",
    "Pulmonary fibrosis",
    "Rib fracture",
    "Other lesion",
    "COPD",
    "Lung tumor",
    "Pneumonia",
    "Tuberculosis",
    "Other diseases",
    NO_FINDING,
)
"""The 22 local and 6 global labels of the PhysioNet edition. The challenge has 14 of the local ones."""

Readers = Literal["majority", "any", "unanimous"]

_HINT = "download VinDr-CXR from PhysioNet, or the challenge's train.csv, and put it next to train/"
_CHALLENGE = ("image_id", "class_name", "rad_id")


def recognises(folder: Path) -> bool:
    """Return whether the folder holds a table of image labels, or the challenge's list of boxes."""
    return any(_tables(folder)) or has_columns(folder / "train.csv", _CHALLENGE)


@register(
    "vindr-cxr",
    title="VinDr-CXR",
    marker="annotations/image_labels_train.csv, or train.csv with the columns image_id and class_name",
    recognises=recognises,
    licence="PhysioNet Credentialed Health Data License 1.5.0; Kaggle: the challenge's rules",
    page="datasets/vindr-cxr.md",
    check=choices(readers=get_args(Readers)),
)
def load(root: Path, readers: Readers = "majority") -> Cohort:
    """Read ``annotations/image_labels_{train,test}.csv``, or the challenge's ``train.csv``, and the images.

    Several readers give one label per image. All images are PA. There is one patient per image: the data set
    names no patients. The test images are the official test; ``source`` is train or test.

    Parameters
    ----------
    root: the folder of ``annotations/`` or ``train.csv``, and of ``train/`` and ``test/``.
    readers: when a label is positive: where more than half of the readers say so, where any does
        ("No finding": where all do), or where all do; with ``"unanimous"``, what they disagree on is
        uncertain.

    Raises
    ------
    DatasetError: no table or no image, a column missing, a cell that is not 0 or 1, a reader twice.
    """
    parts = [_read_labels(path, part, readers) for part, path in _tables(root)]
    if not parts:
        parts = [_read_boxes(root / "train.csv", readers)]
    frame = pd.concat(parts)
    labels = [label for label in FINDINGS if label in frame.columns]
    here = {
        path.rpartition(".")[0]: path
        for path in walk_images(root, ["train", "test"], (".dicom", ".dcm")).paths
    }
    if not here:
        raise DatasetError(f"{root}: no DICOM files in train/ or test/; unpack the images there")
    places = frame["source"] + "/" + frame.index.astype(str)
    frame = frame.assign(
        image_id=frame.index, patient_id=frame.index, view="PA", path=places.map(here).to_numpy()
    )
    selection = Selection(frame)
    missing = selection.leave_out(frame["path"].isna(), FILE_MISSING)
    listed = set(places)
    return make_cohort(
        dataset="vindr-cxr",
        root=root,
        selection=selection,
        labels=labels,
        missing=missing["source"] + "/" + missing["image_id"] + ".dicom",
        unlisted=sorted(path for place, path in here.items() if place not in listed),
        official_test=frame.loc[frame["source"] == "test", "image_id"],
        notes=["the data set names no patients: each image counts as one"],
    )


def _tables(root: Path) -> Iterator[tuple[str, Path]]:
    for part in ("train", "test"):
        path = root / "annotations" / f"image_labels_{part}.csv"
        if has_columns(path, ("image_id", "Aortic enlargement")):
            yield part, path


def _read_labels(path: Path, part: str, readers: Readers) -> pd.DataFrame:
    """Read a table of PhysioNet: a row per image and reader (train), or per image (test). Index: image_id."""
    frame = read_table(path, ("image_id", *FINDINGS[:-2], NO_FINDING), hint=_HINT)
    frame, _ = read_ids(path, frame, ("image_id",))
    # Both spellings are found in code that reads the tables.
    frame = frame.rename(columns={"Other disease": "Other diseases"})
    labels = [label for label in FINDINGS if label in frame.columns]
    by = ["image_id", "rad_id"] if "rad_id" in frame.columns else ["image_id"]
    refuse_rows(path, frame.duplicated(by, keep=False), "an image appears twice for one reader")
    votes = pd.DataFrame(index=frame.index)
    for label in labels:
        votes[label] = read_flags(path, frame[label])
    grouped = votes.groupby(frame["image_id"], sort=False)
    return _decide(grouped.sum(), grouped.size(), readers).assign(source=part)


def _read_boxes(path: Path, readers: Readers) -> pd.DataFrame:
    """Read the challenge's list of boxes: a row per box, image and reader. Index: image_id."""
    frame = read_table(path, _CHALLENGE, hint=_HINT)
    refuse_empty(path, frame, _CHALLENGE)
    wrong = ~frame["class_name"].isin(FINDINGS)
    refuse_rows(
        path, wrong, f"unknown class; those of VinDr-CXR are {', '.join(FINDINGS[:22])}, {NO_FINDING}"
    )
    once = frame.drop_duplicates(list(_CHALLENGE))
    votes = pd.crosstab(once["image_id"], once["class_name"]).astype(np.float64)
    # The order in which the table first names them.
    order = once["image_id"].drop_duplicates()
    asked = once.groupby("image_id")["rad_id"].nunique()
    return _decide(votes.loc[order], asked.loc[order], readers).assign(source="train")


def _decide(votes: pd.DataFrame, asked: pd.Series, readers: Readers) -> pd.DataFrame:
    """Return 1, 0 or -1 (uncertain) from the number of readers who say yes and who were asked."""
    all_say = votes.eq(asked, axis=0)
    if readers == "unanimous":
        return pd.DataFrame(
            np.where(all_say, 1.0, np.where(votes > 0, -1.0, 0.0)), votes.index, votes.columns
        )
    decided = votes.gt(asked / 2, axis=0) if readers == "majority" else votes > 0
    if readers == "any" and NO_FINDING in votes:
        decided[NO_FINDING] = all_say[NO_FINDING]
    return decided.astype(np.float64)
