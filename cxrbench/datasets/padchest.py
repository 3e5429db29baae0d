"""PadChest.

Bustos et al., "PadChest: a large chest x-ray image dataset with multi-label annotated reports", Medical Image
Analysis 2020; 160,861 images of 67,625 patients, Hospital San Juan de Alicante, 2007 to 2017. Columns and
values as in the table that torchxrayvision carries. More in docs/datasets/padchest.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.datasets.projections import keep_views
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import (
    has_columns,
    numbers,
    read_ids,
    read_table,
    refuse_empty,
    refuse_rows,
    sexes,
    views,
)
from cxrbench.datasets.words import Words
from cxrbench.errors import DatasetError

FINDINGS: dict[str, tuple[str, ...]] = {
    "atelectasis": (
        "laminar atelectasis",
        "lobar atelectasis",
        "segmental atelectasis",
        "atelectasis basal",
        "total atelectasis",
        "round atelectasis",
    ),
    "cardiomegaly": (),
    "consolidation": (),
    "pulmonary edema": (),
    "pleural effusion": ("loculated pleural effusion", "loculated fissural effusion"),
    "emphysema": (),
    "pulmonary fibrosis": (),
    "hiatal hernia": (),
    "infiltrates": (),
    "nodule": ("multiple nodules",),
    "pulmonary mass": (),
    "pleural thickening": ("apical pleural thickening", "calcified pleural thickening"),
    "pneumonia": ("atypical pneumonia",),
    "pneumothorax": ("hydropneumothorax",),
}
"""The labels of the cohort unless others are named: PadChest's word -> narrower words that count as it."""

_TABLES = "PADCHEST_chest_x_ray_images_labels_160K*.csv*"
_NEEDED = (
    "ImageID",
    "StudyDate_DICOM",
    "PatientID",
    "PatientBirth",
    "PatientSex_DICOM",
    "Projection",
    "Labels",
)
_HINT = "download PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv and put it next to the images"
_LIST = r"\[\s*('[^']*'\s*(,\s*'[^']*'\s*)*)?\]"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds the table of labels."""
    return _table(folder) is not None


@register(
    "padchest",
    title="PadChest",
    marker="PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv",
    recognises=recognises,
    licence="the dataset's research use agreement",
    page="datasets/padchest.md",
    check=choices(laterals=SWITCH),
)
def load(root: Path, laterals: bool = False, labels: Sequence[str] | None = None) -> Cohort:
    """Read the table of labels and the PNG files, in numbered folders or all in one.

    A finding that an image's list names is positive; others are negative, unless the list says "unchanged",
    which leaves them unknown. Images without any word, and those marked "exclude", are left out. The age is
    the year of the study less the year of birth. The columns ``label_method`` (Physician or RNN_model) and
    ``study`` are carried along. There is no official split.

    Parameters
    ----------
    root: the folder of the table; images lie in it or in folders below it.
    laterals: keep lateral views.
    labels: PadChest's words to use as labels instead of :data:`FINDINGS`; one that is a key of it counts its
        narrower words too.

    Raises
    ------
    DatasetError: no table or no image, a column missing, a list of labels that cannot be read, or a label
        that no image has.
    """
    path = _table(root)
    if path is None:
        raise DatasetError(f"{root}: no {_TABLES.replace('*', '')}; {_HINT}")
    frame = read_table(path, _NEEDED, hint=_HINT)
    refuse_empty(path, frame, ("ImageID",))
    frame, notes = read_ids(path, frame, ("PatientID",))
    refuse_rows(path, frame["ImageID"].duplicated(keep=False), "an image appears twice")
    images = walk_images(root, [""], (".png",))
    here = images.by_name()
    if not here:
        raise DatasetError(f"{root}: no PNG files in it or below it; unpack the images there")
    texts = frame["Labels"].mask(frame["Labels"] == "nan")
    wrong = texts.notna() & ~texts.str.fullmatch(_LIST).fillna(False)
    refuse_rows(path, wrong, "column 'Labels' must be a list such as ['pneumonia', 'nodule']")
    # Many words begin with a blank in the original.
    words = Words.read(path, texts, "'([^']*)'")
    # "Unchanged" compares with a report that is not here.
    chosen = words.labels(FINDINGS, labels, unsaid=("unchanged",))
    projection = frame["Projection"].replace({"AP_horizontal": "AP supine", "UNK": None})
    blank = pd.Series(None, frame.index, dtype=object)
    age = numbers(frame["StudyDate_DICOM"]) // 10_000 - numbers(frame["PatientBirth"])
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": frame["ImageID"],
                "patient_id": frame["PatientID"],
                "view": views(projection),
                "sex": sexes(frame["PatientSex_DICOM"]),
                "age": age.where(age.between(0, 120)),
                "source": "Hospital San Juan de Alicante",
                "path": frame["ImageID"].map(here),
            }
        )
        .join(chosen)
        .assign(label_method=frame.get("MethodLabel", blank), study=frame.get("StudyID", blank))
    )
    keep_views(selection, projection, laterals)
    for reason, rows in (("no label", words.none()), ("marked 'exclude'", words.named("exclude"))):
        selection.leave_out(rows.loc[selection.frame.index], reason)
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    both = words.where(["normal" in named and len(named) > 1 for named in words.distinct])
    notes = (*notes, *images.repeated())
    if both.any():
        notes = (*notes, f"images that are called normal and have a further label: {int(both.sum()):,}")
    return make_cohort(
        dataset="padchest",
        root=root,
        selection=selection,
        labels=list(chosen.columns),
        missing=missing["image_id"],
        unlisted=sorted(here[name] for name in set(here).difference(frame["ImageID"])),
        notes=notes,
    )


def _table(folder: Path) -> Path | None:
    found = sorted(path for path in folder.glob(_TABLES) if has_columns(path, ("ImageID", "Labels")))
    return found[-1] if found else None
