"""CheXpert, full size and small, with CheXlocalize's test set.

Irvin, Rajpurkar et al., "CheXpert: a large chest radiograph dataset with uncertainty labels and expert
comparison", AAAI 2019; 223,414 training images of 64,540 patients in ``train.csv``, 234 images in
``valid.csv``. Layout and columns as in the table that torchxrayvision carries (``chexpert_train.csv.gz``) and
its ``CheX_Dataset`` and ``CheXlocalize_Dataset``; the batches of the full-size download as named in public
repositories that unpack them. More in docs/datasets/chexpert.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.observations import OBSERVATIONS, Unmentioned, read_observations
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.datasets.projections import keep_views
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import ages, has_columns, read_table, refuse_empty, refuse_rows, sexes, views
from cxrbench.errors import DatasetError

TABLES = {
    "train": ("train.csv",),
    "valid": ("valid.csv", "val_labels.csv"),
    "test": ("test_labels.csv",),
}
"""Part -> its table: CheXpert's own name, then CheXlocalize's."""

_NEEDED = ("Path", *OBSERVATIONS[1:])
_BATCHES = "CheXpert-v1.0 batch"
_IMAGE = re.compile(
    r"(?:^|.*/)(train|valid|val|test)/((patient\d+)/study\d+/view\d+_(?:frontal|lateral)\.jpg)"
)
_HINT = "download CheXpert and name the folder that holds train.csv and valid.csv"


def recognises(folder: Path) -> bool:
    """Return whether the folder, or the archive's own folder in it, holds one of the tables."""
    return _base(folder) is not None


@register(
    "chexpert",
    title="CheXpert",
    marker="train.csv or valid.csv with the columns Path and Enlarged Cardiomediastinum",
    recognises=recognises,
    licence="Stanford's research use agreement: research, no redistribution",
    page="datasets/chexpert.md",
    check=choices(laterals=SWITCH, unmentioned=get_args(Unmentioned)),
)
def load(root: Path, laterals: bool = False, unmentioned: Unmentioned = "unknown") -> Cohort:
    """Read ``train.csv``, ``valid.csv`` and, where it is there, CheXlocalize's ``test_labels.csv``.

    ``root`` is the folder of the tables, or the one that holds ``CheXpert-v1.0-small``, ``CheXpert-v1.0`` or
    the unpacked batches. The official test is the test set where it is here, else the validation set, both
    labelled by radiologists; ``source`` says train, valid or test. An age of 0 is unknown.

    Parameters
    ----------
    root: the folder.
    laterals: keep lateral views.
    unmentioned: what a label is that a report does not mention (see
        :func:`~cxrbench.datasets.observations.read_observations`).

    Raises
    ------
    DatasetError: no table or no image, a column missing, a path or a label that is not as published.
    """
    base = _base(root)
    if base is None:
        raise DatasetError(f"{root}: no train.csv or valid.csv of CheXpert; {_HINT}")
    parts = [_read_part(path, unmentioned) for path in _tables(base)]
    frame = pd.concat(parts, ignore_index=True)
    here = _images(root, base)
    if not here:
        raise DatasetError(f"{root}: no JPEG files in train/, valid/ or test/; unpack the images there")
    frame["path"] = frame["image_id"].map(here)
    listed = set(frame["image_id"])
    stated = frame.pop("stated")
    selection = Selection(frame)
    # The test set's table has no views: which films are frontal is in their names, AP or PA is not said.
    frontal = selection.frame.loc[selection.frame["view"].isna() & stated.isna()]
    keep_views(selection, stated, laterals, unknown=True)
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    present = set(selection.frame["source"])
    tested = next((part for part in ("test", "valid") if part in present), "none")
    notes = [
        {
            "test": "the official test is the test set",
            "valid": "the official test is the validation set: the test set is not here",
            "none": "no official test: neither the test set nor the validation set is here",
        }[tested]
    ]
    if len(frontal):
        notes.append(f"frontal images of which the table does not say AP or PA: {len(frontal):,}")
    return make_cohort(
        dataset="chexpert",
        root=root,
        selection=selection,
        labels=OBSERVATIONS,
        missing=missing["image_id"],
        unlisted=sorted(path for image, path in here.items() if image not in listed),
        official_test=selection.frame.loc[selection.frame["source"] == tested, "image_id"],
        notes=notes,
    )


def _base(folder: Path) -> Path | None:
    """Return the folder of the tables: this one, or the archive's in it."""
    inside = (folder / "CheXpert-v1.0-small", folder / "CheXpert-v1.0", *sorted(folder.glob(f"{_BATCHES}*")))
    return next((base for base in (folder, *inside) if any(_tables(base))), None)


def _tables(base: Path) -> Iterator[Path]:
    for names in TABLES.values():
        found = next(
            (base / name for name in names if has_columns(base / name, ("Path", OBSERVATIONS[1]))), None
        )
        if found:
            yield found


def _read_part(path: Path, unmentioned: Unmentioned) -> pd.DataFrame:
    """Read one part's table: the contract's columns but the path, the labels, and ``stated``, its AP/PA."""
    part = next(part for part, names in TABLES.items() if path.name in names)
    frame = read_table(path, _NEEDED, hint=_HINT)
    refuse_empty(path, frame, ("Path",))
    pieces = frame["Path"].str.replace("\\", "/").str.extract(_IMAGE)
    shape = "train/patient00001/study1/view1_frontal.jpg"
    refuse_rows(path, pieces[0].isna(), f"column 'Path' must end like {shape}")
    refuse_rows(path, pieces[0].replace("val", "valid") != part, f"a path of another part than {part}")
    refuse_rows(path, pieces[1].duplicated(keep=False), "an image appears twice")
    blank = pd.Series(None, frame.index, dtype=object)
    side = frame.get("Frontal/Lateral", blank)
    refuse_rows(
        path, side.notna() & ~side.isin(("Frontal", "Lateral")), "column 'Frontal/Lateral' must say so"
    )
    lateral = (side == "Lateral") | (side.isna() & pieces[1].str.contains("_lateral"))
    stated = frame.get("AP/PA", blank)
    age = ages(frame.get("Age", blank))
    return pd.DataFrame(
        {
            "image_id": part + "/" + pieces[1],
            "patient_id": pieces[2],
            "view": views(stated).mask(lateral, "lateral"),
            "sex": sexes(frame.get("Sex", blank)),
            "age": age.mask(age == 0),
            "source": part,
            "stated": stated,
        }
    ).join(read_observations(path, frame, unmentioned))


def _images(root: Path, base: Path) -> dict[str, str]:
    """Return image id -> path for the images that are here, whatever the layout."""
    prefix = "" if base == root else f"{base.name}/"
    folders = {
        f"{prefix}train": "train",
        f"{prefix}valid": "valid",
        f"{prefix}val": "valid",
        f"{prefix}test": "test",
    }
    # The full-size download: patients of the training set lie in the batches' folders themselves.
    for batch in sorted(root.glob(f"{_BATCHES}*(train*")):
        folders[batch.name] = "train"
    found: dict[str, str] = {}
    for folder, part in folders.items():
        for path in walk_images(root, [folder], (".jpg",)).paths:
            found.setdefault(part + path[len(folder) :], path)
    return found
