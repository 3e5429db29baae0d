"""Kermany's paediatric chest radiographs.

Kermany et al., "Identifying medical diagnoses and treatable diseases by image-based deep learning", Cell
2018; 5,856 frontal radiographs of children of one to five years, Guangzhou Women and Children's Medical
Center.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import Selection, list_images, make_cohort, shortened
from cxrbench.datasets.registry import register
from cxrbench.errors import DatasetError
from cxrbench.text import plural

LABEL = "Pneumonia"
PARTS = ("train", "test", "val")
_CAUSES = {"bacteria": "bacteria", "virus": "virus"}
CLASSES = {"NORMAL": 0.0, "PNEUMONIA": 1.0}

_NAMES = (
    # Second edition, the one on Kaggle: person23_bacteria_91, person1_virus_6, NORMAL2-IM-0374-0001.
    re.compile(r"(?P<patient>person\d+)_(?P<cause>bacteria|virus)_\d+(_\d+)*"),
    re.compile(r"(?P<patient>(NORMAL2-)?IM-\d+)(-\d+)+"),
    # Third edition: BACTERIA-1008087-0001, VIRUS-30629-0002, NORMAL-28501-0001.
    re.compile(r"(?P<cause>BACTERIA|VIRUS|NORMAL)-(?P<patient>\d+)-\d+"),
)


def recognises(folder: Path) -> bool:
    """Return whether the folder, or ``chest_xray`` in it, holds a class folder."""
    return _base(folder) is not None


@register(
    "kermany",
    title="Kermany 2018 paediatric pneumonia",
    marker="chest_xray/train/NORMAL and the like",
    recognises=recognises,
    public=True,
    licence="CC BY 4.0",
    page="data.md",
)
def load(root: Path) -> Cohort:
    """Read ``chest_xray/{train,test,val}/{NORMAL,PNEUMONIA}``; ``root`` may be ``chest_xray`` itself.

    The label is "Pneumonia", from the folder; the column ``cause`` is bacteria, virus or missing; ``source``
    is train, test or val. The patient is in the file name. ``test/`` is the official test, unless a patient
    has images in it and elsewhere too, as the second edition's names say of many: there is none then.

    Raises
    ------
    DatasetError: no class folder or no image, an unknown class folder, or a name that gives no patient.
    """
    base = _base(root)
    if base is None:
        raise DatasetError(f"{root}: no chest_xray/train/NORMAL or the like; unpack the archive there")
    _check_classes(base)
    prefix = "" if base == root else f"{base.name}/"
    folders = [f"{prefix}{part}/{kind}" for part in PARTS for kind in CLASSES]
    paths = pd.Series(list_images(root, folders, (".jpeg", ".jpg", ".png")).paths, dtype=object)
    if paths.empty:
        raise DatasetError(f"{base}: no images in {', '.join(PARTS)}; unpack the archive again")
    image_ids = paths.str.removeprefix(prefix)
    pieces = image_ids.str.split("/", expand=True)
    names = pieces[2].str.rpartition(".")[0]
    matches = [next((match for form in _NAMES if (match := form.fullmatch(name))), None) for name in names]
    odd = [path for path, match in zip(paths, matches, strict=True) if match is None]
    if odd:
        raise DatasetError(
            f"{root}: {len(odd):,} file names give no patient, such as {shortened(odd)}; "
            "expected person23_bacteria_91.jpeg, IM-0115-0001.jpeg or BACTERIA-1008087-0001.jpeg"
        )
    found = [match.groupdict() for match in matches if match is not None]
    causes = [_CAUSES.get((match.get("cause") or "").lower()) for match in found]
    frame = pd.DataFrame(
        {
            "image_id": image_ids,
            "patient_id": [match["patient"] for match in found],
            "source": pieces[0],
            "path": paths,
            LABEL: pieces[1].map(CLASSES),
            "cause": causes,
        }
    )
    contrary = frame.loc[frame["cause"].notna() != (frame[LABEL] == 1), "path"]
    if len(contrary):
        raise DatasetError(
            f"{root}: {len(contrary):,} file names contradict their folder, such as {shortened(contrary)}"
        )
    in_test = frame["source"] == "test"
    shared = set(frame.loc[in_test, "patient_id"]) & set(frame.loc[~in_test, "patient_id"])
    notes = [
        f"test/ is not the official test: it shares {plural(len(shared), 'patient')} with train/ or val/"
    ]
    return make_cohort(
        dataset="kermany",
        root=root,
        selection=Selection(frame),
        labels=(LABEL,),
        official_test=() if shared else frame.loc[in_test, "image_id"],
        notes=notes if shared else (),
    )


def _base(folder: Path) -> Path | None:
    for base in (folder / "chest_xray", folder):
        if any((base / part / kind).is_dir() for part in PARTS for kind in CLASSES):
            return base
    return None


def _check_classes(base: Path) -> None:
    """Refuse a class that the data set does not have, rather than leave its images out unsaid.

    Raises
    ------
    DatasetError
    """
    for part in PARTS:
        for child in sorted((base / part).glob("[!.]*")):
            if child.is_dir() and child.name not in CLASSES:
                raise DatasetError(f"{child}: unknown label folder; the classes are {', '.join(CLASSES)}")
