"""SIIM-FISABIO-RSNA COVID-19 Detection, the Kaggle challenge of 2021.

Lakhani et al., "The 2021 SIIM-FISABIO-RSNA machine learning COVID-19 challenge", 2021;
6,054 training studies. Columns as the challenge's data page lists them and public code quotes
them. More in docs/datasets/siim-covid19.md.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import has_columns, read_flags, read_table, refuse_empty, refuse_rows
from cxrbench.errors import DatasetError

APPEARANCES = (
    "Negative for Pneumonia",
    "Typical Appearance",
    "Indeterminate Appearance",
    "Atypical Appearance",
)
"""The four labels of a study, of which it has one."""
OPACITY = "Opacity"
"""The label of an image: whether it has a box."""

IMAGES_FILE, STUDIES_FILE = "train_image_level.csv", "train_study_level.csv"
_HINT = "download the challenge's train_image_level.csv and train_study_level.csv and put them next to train/"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds the table of images."""
    return has_columns(folder / IMAGES_FILE, ("id", "label", "StudyInstanceUID"))


@register(
    "siim-covid19",
    title="SIIM-FISABIO-RSNA COVID-19 Detection 2021",
    marker=f"{IMAGES_FILE} and {STUDIES_FILE}",
    recognises=recognises,
    public=True,
    licence="the challenge's rules: research and education",
    page="datasets/siim-covid19.md",
)
def load(root: Path) -> Cohort:
    """Read the tables of images and of studies, and ``train/study/series/image.dcm``.

    An image has the four labels of its study, and "Opacity" from its own row. Where another image of the
    study has boxes and this one has none, "Opacity" is unknown: often only one of several was boxed.
    ``boxes`` is the number of boxes. The patient is in the DICOM headers, which are not opened here, so a
    study counts as a patient. View, sex and age are missing for the same reason. There is no official test:
    the challenge's has no labels.

    Raises
    ------
    DatasetError: a table or all images missing, a column missing, tables that do not belong together.
    """
    images_path, studies_path = root / IMAGES_FILE, root / STUDIES_FILE
    images = read_table(images_path, ("id", "boxes", "label", "StudyInstanceUID"), hint=_HINT)
    studies = read_table(studies_path, ("id", *APPEARANCES), hint=_HINT)
    refuse_empty(images_path, images, ("id", "label", "StudyInstanceUID"))
    refuse_empty(studies_path, studies, ("id",))
    refuse_rows(images_path, images["id"].duplicated(keep=False), "an image appears twice")
    refuse_rows(studies_path, studies["id"].duplicated(keep=False), "a study appears twice")
    flags = pd.DataFrame({name: read_flags(studies_path, studies[name]) for name in APPEARANCES})
    refuse_rows(studies_path, flags.sum(axis=1) != 1, "a study must have one of the four labels")
    words = images["label"].str.split(n=1).str[0]
    refuse_rows(
        images_path, ~words.isin(("opacity", "none")), "column 'label' must begin with opacity or none"
    )
    study = images["StudyInstanceUID"]
    labels = flags.set_axis(studies["id"].str.removesuffix("_study"))
    refuse_rows(images_path, ~study.isin(labels.index), f"a study that is not in {STUDIES_FILE}")
    here = {
        path.rpartition("/")[2].rpartition(".")[0]: path
        for path in walk_images(root, ["train"], (".dcm",)).paths
    }
    if not here:
        raise DatasetError(f"{root}: no DICOM files in train/; unpack the images there")
    names = images["id"].str.removesuffix("_image")
    boxed = (words == "opacity").astype(np.float64)
    elsewhere = boxed.groupby(study).transform("max") > boxed
    frame = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": study,
            "source": "BIMCV or RICORD",
            "path": names.map(here),
            OPACITY: boxed.mask(elsewhere),
            "boxes": images["label"].str.count("opacity"),
        }
    ).join(labels.loc[study].set_axis(images.index))
    selection = Selection(frame)
    missing = selection.leave_out(frame["path"].isna(), FILE_MISSING)
    listed = set(names)
    several = int((study.value_counts() > 1).sum())
    return make_cohort(
        dataset="siim-covid19",
        root=root,
        selection=selection,
        labels=(*APPEARANCES, OPACITY),
        missing=missing["image_id"] + ".dcm",
        unlisted=sorted(path for name, path in here.items() if name not in listed),
        notes=[f"a study counts as a patient; studies with several images: {several:,}"],
    )
