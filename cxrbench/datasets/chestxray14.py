"""NIH ChestX-ray14.

Wang et al., "ChestX-ray8: hospital-scale chest X-ray database and benchmarks on weakly-supervised
classification and localization of common thorax diseases", CVPR 2017; 112,120 frontal images of 30,805
patients.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, list_images, make_cohort
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import (
    ages,
    match_names,
    one_of,
    read_ids,
    read_names,
    read_table,
    refuse_empty,
    refuse_rows,
    sexes,
    views,
)
from cxrbench.errors import DatasetError

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Consolidation",
    "Edema",
    "Effusion",
    "Emphysema",
    "Fibrosis",
    "Hernia",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pleural_Thickening",
    "Pneumonia",
    "Pneumothorax",
)
"""The 14 findings by their published names, the cohort's label columns."""

LABEL_FILES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
"""The list of images, newest first."""

_COLUMNS = ("Image Index", "Finding Labels", "Patient ID", "Patient Age", "View Position")
_SEX = ("Patient Gender", "Patient Sex")
"""The column of the sex: its name changed between copies of the list."""

_NO_FINDING = "No Finding"
_HINT = "download Data_Entry_2017_v2020.csv from the NIH and put it next to images/"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds one of the label files."""
    return any((folder / name).is_file() for name in LABEL_FILES)


@register(
    "chestxray14",
    title="NIH ChestX-ray14",
    marker=" or ".join(LABEL_FILES),
    recognises=recognises,
    public=True,
    licence="free to use, with the NIH Clinical Center named as the source",
    page="data.md",
)
def load(root: Path) -> Cohort:
    """Read ChestX-ray14: a label file, and ``images/`` or ``images_001/images/`` to ``images_012/images/``.

    A finding that an image's row does not name is negative, so "No Finding" is 0 in all 14. Where
    ``test_list.txt`` is present it is the official test. Ages beyond 120 years, which the list of 2017 has,
    are unknown.

    Raises
    ------
    DatasetError: no label file, no image, columns missing, or a finding that is none of the 14.
    """
    path = next((root / name for name in LABEL_FILES if (root / name).is_file()), root / LABEL_FILES[0])
    frame = read_table(path, _COLUMNS, hint=_HINT)
    refuse_empty(path, frame, ("Image Index", "Finding Labels"))
    frame, id_notes = read_ids(path, frame, ("Patient ID",))
    findings = _findings(path, frame["Finding Labels"])
    images = list_images(root, _image_folders(root), (".png",))
    here = images.by_name()
    age = ages(frame["Patient Age"])
    odd_ages = int((age.isna() & frame["Patient Age"].notna()).sum())
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": frame["Image Index"],
                "patient_id": frame["Patient ID"],
                "view": views(frame["View Position"]),
                "sex": sexes(one_of(path, frame, _SEX)),
                "age": age,
                "source": "NIH Clinical Center",
                "path": frame["Image Index"].map(here),
            }
        ).join(findings)
    )
    if not here:
        raise DatasetError(
            f"{root}: no PNG files in images/ or images_001/images/ ...; unpack the images there"
        )
    official_test, list_notes = _test_list(root, frame["Image Index"])
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    notes = [
        *id_notes,
        *images.repeated(),
        *([f"ages that cannot be right, taken as unknown: {odd_ages:,}"] if odd_ages else []),
    ]
    return make_cohort(
        dataset="chestxray14",
        root=root,
        selection=selection,
        labels=FINDINGS,
        missing=missing["image_id"],
        unlisted=sorted(set(here) - set(frame["Image Index"])),
        official_test=official_test,
        notes=[*notes, *list_notes],
    )


def _image_folders(root: Path) -> list[str]:
    parts = sorted(child.name for child in root.glob("images_*") if child.is_dir())
    return ["images", *(f"{part}/images" for part in parts), *parts]


def _findings(path: Path, texts: pd.Series) -> pd.DataFrame:
    """Return one 0/1 column per finding. Of 112,120 rows only some 800 differ, so each is parsed once."""
    codes, distinct = pd.factorize(texts)
    rows = np.zeros((len(distinct), len(FINDINGS)))
    column = {finding: place for place, finding in enumerate(FINDINGS)}
    for row, text in enumerate(distinct):
        names = [name.strip() for name in text.split("|")]
        unknown = [name for name in names if name not in column and name != _NO_FINDING]
        if unknown:
            what = f"unknown finding {unknown[0]!r}; the 14 of ChestX-ray14 are {', '.join(FINDINGS)}"
            refuse_rows(path, texts == text, what)
        if _NO_FINDING in names and len(names) > 1:
            refuse_rows(path, texts == text, f"{text!r} says both no finding and a finding")
        rows[row, [column[name] for name in names if name != _NO_FINDING]] = 1.0
    return pd.DataFrame(rows[codes], index=texts.index, columns=list(FINDINGS))


def _test_list(root: Path, image_ids: pd.Series) -> tuple[list[str], tuple[str, ...]]:
    path = root / "test_list.txt"
    return match_names(path, read_names(path), image_ids) if path.exists() else ([], ())
