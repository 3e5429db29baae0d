"""RSNA Pneumonia Detection Challenge 2018.

Shih et al., "Augmenting the National Institutes of Health chest radiograph dataset with expert annotations of
possible pneumonia", Radiology: Artificial Intelligence 2019; 26,684 labelled images, all from ChestX-ray14.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.boxes import BOX_PLACES, format_boxes
from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, list_images, make_cohort
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import numbers, read_flags, read_ids, read_table, refuse_empty, refuse_rows
from cxrbench.errors import DatasetError, RadiographError
from cxrbench.radiograph.header import read_header
from cxrbench.text import complaint

LABEL = "Lung Opacity"
CLASSES = (LABEL, "No Lung Opacity / Not Normal", "Normal")
BOXES_FILE = "stage_2_train_labels.csv"
CLASSES_FILE = "stage_2_detailed_class_info.csv"
IMAGES = "stage_2_train_images"
_CORNERS = ("x", "y", "width", "height")

_HINT = "download the challenge's stage 2 label files and put them next to stage_2_train_images/"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds one of the two label files."""
    return (folder / BOXES_FILE).is_file() or (folder / CLASSES_FILE).is_file()


@register(
    "rsna-pneumonia",
    title="RSNA Pneumonia Detection Challenge 2018",
    marker=f"{BOXES_FILE} and {CLASSES_FILE}",
    recognises=recognises,
    public=True,
    licence="the challenge's rules: research and education",
    page="data.md",
)
def load(root: Path) -> Cohort:
    """Read the RSNA challenge: ``stage_2_train_images/*.dcm`` and its two label files.

    One row per image: several boxes are one positive. The label is "Lung Opacity"; the column ``class`` keeps
    the three classes, ``boxes`` the number of boxes and ``box_places`` where they lie. View, sex and age are
    missing: they are in the DICOM headers, of which only one is opened, for the films' size. The challenge's
    ``patientId`` names an image: there is one per patient id, whoever the patient was.

    Raises
    ------
    DatasetError: a label file or all images missing, an unknown class, or label files that contradict.
    """
    boxes_path, classes_path = root / BOXES_FILE, root / CLASSES_FILE
    boxes = read_table(boxes_path, ("patientId", "x", "Target"), hint=_HINT)
    classes = read_table(classes_path, ("patientId", "class"), hint=_HINT)
    boxes, _ = read_ids(boxes_path, boxes, ("patientId",))
    classes, _ = read_ids(classes_path, classes, ("patientId",))
    refuse_empty(classes_path, classes, ("class",))
    unknown = ~classes["class"].isin(CLASSES)
    refuse_rows(classes_path, unknown, f"unknown class; the three are {', '.join(CLASSES)}")
    classes = classes.drop_duplicates(["patientId", "class"])
    refuse_rows(classes_path, classes["patientId"].duplicated(), "an image has two classes")
    images = (
        boxes.assign(Target=read_flags(boxes_path, boxes["Target"]), box=boxes["x"].notna())
        .groupby("patientId", sort=False)
        .agg(lowest=("Target", "min"), highest=("Target", "max"), boxes=("box", "sum"))
        .join(classes.set_index("patientId")["class"], how="outer")
    )
    _check_agreement(root, images)
    here = list_images(root, [IMAGES], (".dcm",)).by_name()
    if not here:
        raise DatasetError(f"{root}: no DICOM files in {IMAGES}/; unpack the images there")
    names = images.index.astype(str)
    places, note = _box_places(root, boxes, here)
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": names,
                "patient_id": names,
                "source": "NIH Clinical Center",
                "path": [here.get(f"{name}.dcm") for name in names],
                LABEL: images["highest"].to_numpy(),
                "class": images["class"].to_numpy(),
                "boxes": images["boxes"].to_numpy(dtype=np.int64),
                BOX_PLACES: [None if places is None else places.get(str(name), "") for name in names],
            }
        )
    )
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    return make_cohort(
        dataset="rsna-pneumonia",
        root=root,
        selection=selection,
        labels=(LABEL,),
        missing=missing["image_id"] + ".dcm",
        unlisted=sorted(set(here) - set(names + ".dcm")),
        notes=note,
    )


def _box_places(
    root: Path, boxes: pd.DataFrame, here: Mapping[str, str]
) -> tuple[dict[str, str] | None, tuple[str, ...]]:
    """Return image -> where its boxes lie, as shares of the side of the square that a film is read as.

    Each box is "left top right bottom"; several are separated by "; ". The label file gives pixels. All films
    are published in one size, which the header of the first one with a box tells. Where it does not, or a box
    reaches out of such a film, the places are not known: None, and a note.
    """
    marked = boxes[boxes["x"].notna()]
    films = [here[f"{name}.dcm"] for name in marked["patientId"].unique() if f"{name}.dcm" in here]
    if not films:
        return {}, ()
    if not set(_CORNERS) <= set(boxes.columns):
        return None, (f"boxes: where they lie is not known (no columns {', '.join(_CORNERS)})",)
    try:
        header = read_header(root / films[0])
    except RadiographError as error:
        return None, (f"boxes: where they lie is not known ({complaint(error)})",)
    corners = pd.DataFrame({name: numbers(marked[name]) for name in _CORNERS})
    side = min(header.width, header.height)
    left = corners["x"] - (header.width - side) / 2
    top = corners["y"] - (header.height - side) / 2
    ends = pd.DataFrame(
        {"left": left, "top": top, "right": left + corners["width"], "bottom": top + corners["height"]}
    )
    inside = (corners["x"] + corners["width"] <= header.width + 1) & (
        corners["y"] + corners["height"] <= header.height + 1
    )
    if side == 0 or not inside.all():
        size = f"{header.width} by {header.height} px"
        return None, (f"boxes: where they lie is not known, since some reach out of a film of {size}",)
    shares = (ends / side).groupby(marked["patientId"], sort=False)
    return {str(name): format_boxes(of_film.to_numpy()) for name, of_film in shares}, ()


def _check_agreement(root: Path, images: pd.DataFrame) -> None:
    """Refuse label files that contradict each other.

    Raises
    ------
    DatasetError
    """
    only = images["highest"].isna() | images["class"].isna()
    contrary = (images["lowest"] != images["highest"]) | (
        (images["highest"] == 1) != (images["class"] == LABEL)
    )
    for rows, what in (
        (only, f"appear in only one of {BOXES_FILE} and {CLASSES_FILE}"),
        (contrary & ~only, f"have a Target in {BOXES_FILE} that their class or another row contradicts"),
    ):
        if rows.any():
            first = ", ".join(map(str, images.index[rows][:3]))
            raise DatasetError(
                f"{root}: {int(rows.sum()):,} images {what}, first: {first}; "
                "take both files from one download"
            )
