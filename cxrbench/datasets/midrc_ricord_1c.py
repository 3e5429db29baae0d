"""MIDRC-RICORD-1c: chest radiographs of COVID-19 patients, from The Cancer Imaging Archive.

Tsai et al., "The RSNA International COVID-19 Open Radiology Database (RICORD)", Radiology 2021; 998
studies of 361 patients. The manifest's ``metadata.csv`` as the archive's retriever writes it, the annotations
as MD.ai's JSON; both as public code reads them. More in docs/datasets/midrc-ricord-1c.md.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.registry import register
from cxrbench.datasets.siim_covid19 import APPEARANCES
from cxrbench.datasets.tables import has_columns, numbers, read_ids, read_table, refuse_empty, refuse_rows
from cxrbench.errors import DatasetError
from cxrbench.files import read_file
from cxrbench.text import complaint

COVID = "COVID-19"
"""Positive in every study: the collection is of patients with COVID-19."""

SERIES_FILE = "metadata.csv"
_NEEDED = ("Series UID", "Subject ID", "Study UID", "Number of Images", "File Location")
_HINT = "fetch the collection with the archive's retriever, which writes it"
_MOST = 1000
"""Films of a series that are believed: a study of the collection has a few."""
_STARTS = {name.split()[0].lower(): name for name in APPEARANCES}


def recognises(folder: Path) -> bool:
    """Return whether the folder holds a manifest of this collection and annotations."""
    return has_columns(folder / SERIES_FILE, _NEEDED) and _annotations(folder) is not None


@register(
    "midrc-ricord-1c",
    title="MIDRC-RICORD-1c",
    marker=f"{SERIES_FILE} and *annotations*.json",
    recognises=recognises,
    public=True,
    licence="CC BY-NC 4.0",
    page="datasets/midrc-ricord-1c.md",
)
def load(root: Path) -> Cohort:
    """Read ``metadata.csv``, the annotations and the DICOM files.

    "COVID-19" is 1 throughout. A study's appearance is what more than half of its readers say, as in the
    SIIM-FISABIO-RSNA challenge; where none has a majority, those named are uncertain. ``source`` is the site
    in the patient's id. View, sex and age are in the DICOM headers, which are not opened here, so they are
    missing. There is no official split.

    Raises
    ------
    DatasetError: no table, annotations or image; a column missing; annotations of another form.
    """
    path = root / SERIES_FILE
    series = read_table(path, _NEEDED, hint=_HINT)
    refuse_empty(path, series, ("Series UID", "Study UID", "File Location"))
    series, id_notes = read_ids(path, series, ("Subject ID",))
    refuse_rows(path, series["Series UID"].duplicated(keep=False), "a series appears twice")
    places = series["File Location"].str.replace("\\", "/").str.removeprefix("./").str.rstrip("/")
    outside = places.map(
        lambda place: PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts
    )
    refuse_rows(path, outside.astype(bool), "a file location must lie in the folder")
    annotations = _annotations(root)
    if annotations is None:
        raise DatasetError(f"{root}: no *annotations*.json; download it from the collection's page")
    said = _appearances(annotations)
    tops = sorted({place.split("/")[0] for place in places})
    here: dict[str, list[str]] = defaultdict(list)
    for file in walk_images(root, tops, (".dcm",)).paths:
        here[file.rpartition("/")[0]].append(file)
    if not here:
        raise DatasetError(f"{root}: no DICOM files in {', '.join(tops)}; fetch the images")
    # A row per film, and one for each that the table counts and the folder lacks.
    counts = numbers(series["Number of Images"], range(_MOST + 1))
    refuse_rows(path, counts.isna(), f"column 'Number of Images' must be a whole number up to {_MOST}")
    films = [
        [*here.get(place, ()), *[None] * (int(count) - len(here.get(place, ())))]
        for place, count in zip(places, counts, strict=True)
    ]
    frame = pd.DataFrame(
        {
            "series": series["Series UID"],
            "patient_id": series["Subject ID"],
            "study": series["Study UID"],
            "source": "site "
            + series["Subject ID"].str.extract(r"1C-([^-]+)-", expand=False).fillna("unknown"),
            "place": places,
            "path": films,
        }
    ).explode("path", ignore_index=True)
    number = frame.groupby("series").cumcount() + 1
    frame["image_id"] = frame["series"] + "/" + number.astype(str)
    labels = said.reindex(frame["study"]).set_axis(frame.index)
    selection = Selection(frame.assign(**{COVID: 1.0}).join(labels))
    selection.leave_out(labels.isna().all(axis=1), "study without an appearance")
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    placed = set(places)
    selection.frame = selection.frame.drop(columns=["series", "place"])
    return make_cohort(
        dataset="midrc-ricord-1c",
        root=root,
        selection=selection,
        labels=(COVID, *APPEARANCES),
        missing=missing["place"],
        unlisted=sorted(file for place, files in here.items() if place not in placed for file in files),
        notes=[*id_notes, "COVID-19 is positive in every image: negatives must come from another data set"],
    )


def _annotations(folder: Path) -> Path | None:
    found = sorted(folder.glob("*annotations*.json"))
    return found[-1] if found else None


def _appearances(path: Path) -> pd.DataFrame:
    """Return the four appearances by study: 1, 0, or -1 where the readers are divided.

    Raises
    ------
    DatasetError: not the form in which MD.ai exports annotations, or no appearance in it.
    """
    try:
        export = json.loads(read_file(path))
        names = {
            label["id"]: str(label["name"]) for group in export["labelGroups"] for label in group["labels"]
        }
        given = [one for dataset in export["datasets"] for one in dataset["annotations"]]
        rows = [(one["StudyInstanceUID"], _reader(one), names.get(one["labelId"], "")) for one in given]
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(f"{path}: is not an export of MD.ai: {complaint(error)}") from None
    frame = pd.DataFrame(rows, columns=["study", "reader", "name"], dtype=object)
    first = frame["name"].str.split().str[0].str.lower()
    frame["appearance"] = first.map(_STARTS)
    frame = frame.dropna(subset="appearance").drop_duplicates()
    if frame.empty:
        raise DatasetError(f"{path}: no annotation is one of {', '.join(APPEARANCES)}")
    votes = pd.crosstab(frame["study"], frame["appearance"]).reindex(columns=list(APPEARANCES), fill_value=0)
    readers = frame.groupby("study")["reader"].nunique().reindex(votes.index)
    decided = votes.gt(readers / 2, axis=0).astype(float)
    divided = (decided.sum(axis=1) == 0).to_numpy()[:, None] & (votes > 0)
    return decided.mask(divided, -1.0)


def _reader(annotation: dict[str, Any]) -> str:
    return str(annotation.get("createdById", "unknown"))
