"""MIMIC-CXR-JPG.

Johnson et al., "MIMIC-CXR-JPG - chest radiographs with structured labels", PhysioNet, versions 2.0.0 and
2.1.0; 377,110 images, 227,827 labelled studies, Beth Israel Deaconess Medical Center. Files and columns as
that page describes them (physionet.org/content/mimic-cxr-jpg/2.1.0). More in docs/datasets/mimic-cxr-jpg.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.observations import OBSERVATIONS, Unmentioned, read_observations
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.datasets.projections import keep_views
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import has_columns, read_ids, read_table, refuse_rows, views
from cxrbench.errors import DatasetError

Labeller = Literal["chexpert", "negbio"]

_HINT = "download it from PhysioNet and put it next to files/"
_IMAGE = ("dicom_id", "subject_id", "study_id")
_PARTS = ("train", "validate", "test")


def recognises(folder: Path) -> bool:
    """Return whether the folder holds the metadata table."""
    return has_columns(_table(folder, "metadata"), (*_IMAGE, "ViewPosition"))


@register(
    "mimic-cxr-jpg",
    title="MIMIC-CXR-JPG",
    marker="mimic-cxr-2.0.0-metadata.csv.gz",
    recognises=recognises,
    licence="PhysioNet Credentialed Health Data License 1.5.0",
    page="datasets/mimic-cxr-jpg.md",
    check=choices(laterals=SWITCH, unmentioned=get_args(Unmentioned), labeller=get_args(Labeller)),
)
def load(
    root: Path,
    laterals: bool = False,
    unmentioned: Unmentioned = "unknown",
    labeller: Labeller = "chexpert",
) -> Cohort:
    """Read the metadata, split and label tables (``.csv.gz`` or ``.csv``) and ``files/``.

    A study's labels hold for each of its images. The official test is the split table's; ``source`` is its
    train, validate or test. Sex and age are not in this data set, so they are missing.

    Parameters
    ----------
    root: the folder of the tables and ``files/``.
    laterals: keep lateral views.
    unmentioned: what a label is that a report does not mention (see
        :func:`~cxrbench.datasets.observations.read_observations`).
    labeller: whose labels: ``"chexpert"`` or ``"negbio"``.

    Raises
    ------
    DatasetError: a table or all images missing, a column missing, tables that do not belong together.
    """
    metadata_path, split_path = _table(root, "metadata"), _table(root, "split")
    labels_path = _table(root, labeller)
    metadata = read_table(metadata_path, (*_IMAGE, "ViewPosition"), hint=_HINT)
    metadata, id_notes = read_ids(metadata_path, metadata, _IMAGE)
    refuse_rows(metadata_path, metadata["dicom_id"].duplicated(keep=False), "a dicom_id appears twice")
    parts = _parts(split_path, metadata_path, metadata)
    studies = read_table(labels_path, ("subject_id", "study_id", *OBSERVATIONS), hint=_HINT)
    studies, _ = read_ids(labels_path, studies, ("subject_id", "study_id"))
    refuse_rows(labels_path, studies["study_id"].duplicated(keep=False), "a study appears twice")
    labels = read_observations(labels_path, studies, unmentioned).set_axis(studies["study_id"])
    labelled = metadata["study_id"].isin(labels.index)
    image_ids = metadata["dicom_id"]
    paths = (
        "files/p" + metadata["subject_id"].str[:2] + "/p" + metadata["subject_id"]
        + "/s" + metadata["study_id"] + "/" + image_ids + ".jpg"
    )  # fmt: skip
    here = set(walk_images(root, ["files"], (".jpg",)).paths)
    if not here:
        raise DatasetError(f"{root}: no JPEG files in files/; download the images there")
    stated = metadata["ViewPosition"]
    frame = pd.DataFrame(
        {
            "image_id": image_ids,
            "patient_id": metadata["subject_id"],
            "view": views(stated),
            "source": parts,
            "path": paths,
            "study": metadata["study_id"],
        }
    ).join(labels.reindex(metadata["study_id"]).set_axis(metadata.index))
    selection = Selection(frame)
    keep_views(selection, stated, laterals)
    selection.leave_out(~labelled.loc[selection.frame.index], f"study not labelled by {labeller}")
    missing = selection.leave_out(~selection.frame["path"].isin(here), FILE_MISSING)
    return make_cohort(
        dataset="mimic-cxr-jpg",
        root=root,
        selection=selection,
        labels=OBSERVATIONS,
        missing=missing["path"],
        unlisted=sorted(here.difference(paths)),
        official_test=image_ids[parts == "test"],
        notes=[*id_notes, f"labels of {labeller}, from reports; one set of labels per study"],
    )


def _table(root: Path, name: str) -> Path:
    """Return the path of a table: compressed as published, or unpacked."""
    packed = root / f"mimic-cxr-2.0.0-{name}.csv.gz"
    return packed if packed.is_file() else packed.with_suffix("")


def _parts(path: Path, metadata_path: Path, metadata: pd.DataFrame) -> pd.Series:
    """Return each image's part of the official split.

    Raises
    ------
    DatasetError: an image without a part, or with a patient in another.
    """
    split = read_table(path, (*_IMAGE, "split"), hint=_HINT)
    split, _ = read_ids(path, split, _IMAGE)
    refuse_rows(path, ~split["split"].isin(_PARTS), f"column 'split' must be {', '.join(_PARTS)}")
    refuse_rows(path, split["dicom_id"].duplicated(keep=False), "a dicom_id appears twice")
    refuse_rows(
        path, split.groupby("subject_id")["split"].transform("nunique") > 1, "a patient is in two parts"
    )
    parts = metadata["dicom_id"].map(split.set_index("dicom_id")["split"])
    refuse_rows(metadata_path, parts.isna(), f"an image is not in {path.name}; take both from one version")
    return parts
