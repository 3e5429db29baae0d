"""COVIDx, the lists that COVID-Net is trained on.

Wang, Lin and Wong, "COVID-Net: a tailored deep convolutional neural network design for detection of COVID-19
cases from chest X-ray images", Scientific Reports 2020. The lists are read as they are in
lindawangg/COVID-Net, ``labels/*.txt``; sources and counts are in its ``docs/COVIDx.md``. More in
docs/datasets/covidx.md.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, list_images, make_cohort, shortened
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import read_lines, refuse_rows
from cxrbench.errors import DatasetError
from cxrbench.text import plural

LABEL = "COVID-19"
PARTS = ("train", "val", "test")
CLASSES = {"positive": 1.0, "negative": 0.0, "COVID-19": 1.0, "pneumonia": 0.0, "normal": 0.0}

_HINT = "put train_COVIDx9B.txt or the like, from COVID-Net's labels/, next to train/ and test/"
# Patients may have a blank in their names ("COVID 488 COVID(488).png positive sirm"), files have none.
_LINE = re.compile(
    rf"(?P<patient>\S.*?)\s+(?P<file>\S+)\s+(?P<kind>{'|'.join(CLASSES)})(?:\s+(?P<source>\S+))?"
)


def recognises(folder: Path) -> bool:
    """Return whether the folder holds a list whose first line is one of COVIDx."""
    return any(_is_list(path) for part in PARTS for path in _lists(folder, part))


@register(
    "covidx",
    title="COVIDx",
    marker="train.txt or train_COVIDx….txt",
    recognises=recognises,
    public=True,
    licence="that of each source; the lists: COVID-Net's open source licence",
    page="datasets/covidx.md",
)
def load(root: Path, version: str | None = None) -> Cohort:
    """Read the text lists and the folders ``train/``, ``val/`` and ``test/``.

    A line is patient, file, class and source. The label is COVID-19: "positive" or "COVID-19" against
    "negative", "pneumonia" and "normal"; the column ``class`` keeps the word. Patients of two sources are
    two. The test list is the official test, unless a patient of it is in another list too. View, sex and age
    are not in the lists.

    Parameters
    ----------
    root: the folder of the lists and of the folders of images.
    version: which lists, such as ``"9B"`` or ``"CXR-3A"``, where the folder holds those of several versions.

    Raises
    ------
    DatasetError: no list or no image, lists of several versions, or a line that is not as published.
    """
    found = {part: path for part in PARTS if (path := _list(root, part, version)) is not None}
    if not found:
        raise DatasetError(f"{root}: no list {'of version ' + version if version else 'of COVIDx'}; {_HINT}")
    frame = pd.concat([_read_list(path, part) for part, path in found.items()], ignore_index=True)
    here = set(list_images(root, PARTS).paths)
    if not here:
        raise DatasetError(f"{root}: no images in train/, val/ or test/; put them there")
    selection = Selection(frame)
    selection.leave_out(frame["path"].duplicated(), "same file listed again")
    missing = selection.leave_out(~selection.frame["path"].isin(here), FILE_MISSING)
    left = selection.frame
    parts_of = left["path"].str.partition("/")[0]
    tested = parts_of == "test"
    shared = set(left.loc[tested, "patient_id"]) & set(left.loc[~tested, "patient_id"])
    twice = left["path"].str.partition("/")[2].duplicated()
    one_label = left.groupby("source")[LABEL].transform("nunique") == 1
    notes = [f"images of sources that have only one label: {int(one_label.sum()):,} of {len(left):,}"]
    if twice.any():
        notes.append(f"file names that appear in two parts: {int(twice.sum()):,}")
    if shared:
        notes.append(
            f"the test list is not the official test: it shares {plural(len(shared), 'patient')} with "
            f"another list ({shortened(sorted(shared))})"
        )
    return make_cohort(
        dataset="covidx",
        root=root,
        selection=selection,
        labels=(LABEL,),
        missing=missing["path"],
        unlisted=sorted(here.difference(frame["path"])),
        official_test=() if shared else left.loc[tested, "image_id"],
        notes=notes,
    )


def _lists(folder: Path, part: str) -> list[Path]:
    named = sorted(folder.glob(f"{part}_COVIDx*.txt"))
    plain = folder / f"{part}.txt"
    return [*named, plain] if plain.is_file() else named


def _list(root: Path, part: str, version: str | None) -> Path | None:
    """Return the list of a part.

    Raises
    ------
    DatasetError: lists of several versions, and none was named.
    """
    lists = _lists(root, part)
    if version is not None:
        names = {f"{part}_COVIDx{version}.txt", f"{part}_COVIDx_{version}.txt"}
        lists = [path for path in lists if path.name in names]
    if len(lists) > 1:
        names_found = ", ".join(path.name for path in lists)
        raise DatasetError(f"{root}: lists of several versions: {names_found}; name one, version = '9B'")
    return lists[0] if lists else None


def _is_list(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open(encoding="utf-8-sig") as file:
            return _LINE.fullmatch(file.readline(1000).strip()) is not None
    except (OSError, UnicodeDecodeError):
        return False


def _read_list(path: Path, part: str) -> pd.DataFrame:
    lines = read_lines(path)
    pieces = lines.str.extract(rf"^{_LINE.pattern}$")
    short = ~lines.str.match(r"\S+\s+\S+\s+\S")
    refuse_rows(path, short, "a line must be patient, file, class and source")
    refuse_rows(path, pieces["kind"].isna(), f"unknown class; the classes are {', '.join(CLASSES)}")
    refuse_rows(path, pieces["file"].str.contains(r"[/\\]"), "a file must be a name without a folder")
    contrary = pieces.groupby("file")["kind"].transform("nunique") > 1
    refuse_rows(path, contrary, "a file appears twice, with two classes")
    source = pieces["source"].fillna("unknown")
    return pd.DataFrame(
        {
            "image_id": part + "/" + pieces["file"],
            "patient_id": source + "-" + pieces["patient"],
            "source": source,
            "path": part + "/" + pieces["file"],
            LABEL: pieces["kind"].map(CLASSES),
            "class": pieces["kind"],
        }
    )
