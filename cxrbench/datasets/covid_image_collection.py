"""COVID-19 Image Data Collection.

Cohen et al., "COVID-19 image data collection: prospective predictions are the future", MELBA 2020.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, list_images, make_cohort
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import (
    ages,
    has_columns,
    map_values,
    read_ids,
    read_table,
    refuse_empty,
    refuse_rows,
    sexes,
    views,
)
from cxrbench.errors import DatasetError

LABEL = "COVID-19"
LABEL_FILE = "metadata.csv"

_COLUMNS = ("patientid", "finding", "view", "modality", "folder", "filename")
_UNLABELLED = ("", "todo", "unknown")
_HINT = "clone the collection's repository: metadata.csv lies next to images/"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds a ``metadata.csv`` with this collection's columns."""
    return has_columns(folder / LABEL_FILE, ("patientid", "finding", "filename"))


@register(
    "covid-image-collection",
    title="COVID-19 Image Data Collection",
    marker=f"{LABEL_FILE} with the columns patientid, finding and filename",
    recognises=recognises,
    public=True,
    licence="of each image in the column license of its metadata.csv",
    page="data.md",
)
def load(root: Path) -> Cohort:
    """Read the collection: ``metadata.csv`` and the folders that it names.

    Of the rows listed, only frontal X-rays (PA, AP, AP erect, AP supine) with a finding stay; the others are
    counted by reason. COVID-19, however deep in a finding such as ``Pneumonia/Viral/COVID-19`` or
    ``COVID-19, ARDS``, is the positive; every other finding, "No Finding" among them, is negative. The column
    ``finding`` keeps the text. Some cases were entered twice, under two patient ids with the same files: such
    patients are taken as one, and each file once.

    Raises
    ------
    DatasetError: no metadata or no image, columns missing, or a finding that may or may not mean COVID-19.
    """
    path = root / LABEL_FILE
    frame = read_table(path, _COLUMNS, hint=_HINT)
    refuse_empty(path, frame, ("folder", "filename"))
    frame, id_notes = read_ids(path, frame, ("patientid",))
    blank = pd.Series(None, frame.index, dtype=object)
    listed = frame["folder"] + "/" + frame["filename"]
    folders = sorted(frame["folder"].unique())
    here = set(list_images(root, folders).paths)
    if not here:
        raise DatasetError(
            f"{root}: no images in {', '.join(folders)}/; get the folders that {LABEL_FILE} names"
        )
    finding = frame["finding"].fillna("")
    uncertain = pd.Series(map_values(finding, _is_uncertain), frame.index).astype(bool)
    refuse_rows(path, uncertain, f"unknown label: a finding that is not spelled {LABEL!r} but looks like it")
    label = pd.Series(map_values(finding, _is_covid), frame.index).astype(np.float64)
    patients = _one_id_a_person(frame["patientid"], listed)
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": frame["filename"],
                "patient_id": patients,
                "view": views(frame["view"]),
                "sex": sexes(frame.get("sex", blank)),
                "age": ages(frame.get("age", blank)),
                "source": frame.get("location", blank).fillna("unknown"),
                "path": listed,
                LABEL: label,
                "finding": frame["finding"],
                "offset": frame.get("offset", blank),
                "modality": frame["modality"],
            }
        )
    )
    selection.leave_out(selection.frame["modality"].str.lower() != "x-ray", "not an X-ray")
    selection.leave_out(selection.frame["view"] == "lateral", "lateral view")
    selection.leave_out(selection.frame["view"].isna(), "view not known")
    missing = selection.leave_out(~selection.frame["path"].isin(here), FILE_MISSING)
    unlabelled = selection.frame["finding"].fillna("").str.lower().isin(_UNLABELLED)
    selection.leave_out(unlabelled, "no label (todo, unknown or empty)")
    _check_repeats(path, selection.frame)
    selection.leave_out(selection.frame["path"].duplicated(), "same file listed again")
    selection.frame = selection.frame.drop(columns="modality")
    merged = frame["patientid"].nunique() - patients.nunique()
    notes = [*id_notes]
    if merged:
        notes.append(
            f"patient ids that share a file with an earlier one, taken as the same patient: {merged:,}"
        )
    return make_cohort(
        dataset="covid-image-collection",
        root=root,
        selection=selection,
        labels=(LABEL,),
        missing=missing["path"],
        unlisted=sorted(here - set(listed)),
        notes=notes,
    )


def _parts(finding: str) -> list[str]:
    return [re.sub(r"[^a-z0-9]", "", part.lower()) for part in re.split(r"[/,|]", finding)]


def _is_covid(finding: str) -> bool:
    return "covid19" in _parts(finding)


def _is_uncertain(finding: str) -> bool:
    """Return whether the text speaks of COVID-19 in words that this module does not know."""
    return not _is_covid(finding) and re.search(r"covid|sars\W*cov\W*2|ncov", finding.lower()) is not None


def _one_id_a_person(patients: pd.Series, files: pd.Series) -> pd.Series:
    """Return patient ids in which those that share a file, directly or through others, are one: the first."""
    patient_codes, patient_names = pd.factorize(patients)
    file_codes, file_names = pd.factorize(files)
    nodes = len(patient_names) + len(file_names)
    edges = (np.ones(len(patients)), (patient_codes, file_codes + len(patient_names)))
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    return patients.groupby(component[patient_codes]).transform("first")


def _check_repeats(path: Path, frame: pd.DataFrame) -> None:
    """Refuse a file that is listed with and without COVID-19.

    Raises
    ------
    DatasetError
    """
    contrary = frame.groupby("path")[LABEL].transform("nunique") > 1
    refuse_rows(path, contrary, f"the same file is listed with and without {LABEL}")
