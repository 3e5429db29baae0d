"""OpenI, the Indiana University chest X-ray collection.

Demner-Fushman et al., "Preparing a collection of radiology examinations for distribution and retrieval",
JAMIA 2016; 7,470 images of 3,955 reports. The reports as the NLM publishes them (``ecgen-radiology/*.xml``,
read in the copy that torchxrayvision carries), or the two tables of the edition on Kaggle. More in
docs/datasets/openi.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.folder import FILE_MISSING, Selection, make_cohort, walk_images
from cxrbench.datasets.options import SWITCH, choices
from cxrbench.datasets.projections import LATERAL
from cxrbench.datasets.registry import register
from cxrbench.datasets.tables import has_columns, read_ids, read_table, refuse_empty, refuse_rows
from cxrbench.datasets.words import Words
from cxrbench.errors import DatasetError
from cxrbench.text import complaint

FINDINGS: dict[str, tuple[str, ...]] = {
    "Pulmonary Atelectasis": (),
    "Cardiomegaly": (),
    "Consolidation": (),
    "Pulmonary Edema": (),
    "Pleural Effusion": (),
    "Emphysema": ("Pulmonary Emphysema",),
    "Pulmonary Fibrosis": (),
    "Hernia, Hiatal": (),
    "Infiltrate": (),
    "Mass": (),
    "Nodule": (),
    "Opacity": (),
    "Pneumonia": (),
    "Pneumothorax": ("Hydropneumothorax",),
    "Fractures, Bone": (),
}
"""The labels of the cohort unless others are named: heading -> narrower headings that count as it."""

REPORTS, REPORTS_FILE, PROJECTIONS_FILE = "ecgen-radiology", "indiana_reports.csv", "indiana_projections.csv"
_HINT = "download the collection's reports and put them next to the images"


def recognises(folder: Path) -> bool:
    """Return whether the folder holds the reports, as XML or as a table."""
    return (folder / REPORTS).is_dir() or has_columns(folder / REPORTS_FILE, ("uid", "Problems"))


@register(
    "openi",
    title="OpenI (Indiana University)",
    marker=f"{REPORTS}/ or {REPORTS_FILE}",
    recognises=recognises,
    public=True,
    licence="CC BY-NC-ND 4.0",
    page="datasets/openi.md",
    findings={
        "Pulmonary Atelectasis": "Atelectasis",
        "Hernia, Hiatal": "Hernia",
        "Fractures, Bone": "Fracture",
    },
    check=choices(laterals=SWITCH),
)
def load(root: Path, laterals: bool = False, labels: Sequence[str] | None = None) -> Cohort:
    """Read the reports and the PNG files, in whatever folder below ``root``.

    A report's headings hold for each of its images; a heading that it does not have is negative. Which images
    are lateral is only in ``indiana_projections.csv``; AP or PA is nowhere. Without that table the reports
    are read with ``laterals = true`` only. A report counts as a patient. No sex, no age, no official split.

    Parameters
    ----------
    root: the folder of the reports.
    laterals: keep lateral views.
    labels: headings to use as labels instead of :data:`FINDINGS`.

    Raises
    ------
    DatasetError: no report or no image, a report that is no XML, a column missing, a label that no report
        has, or views that are not known.
    """
    folder, table = root / REPORTS, root / REPORTS_FILE
    source = folder if folder.is_dir() else table
    frame = _from_xml(folder) if folder.is_dir() else _from_tables(table, root / PROJECTIONS_FILE)
    sides = _sides(root / PROJECTIONS_FILE)
    if sides is None and not laterals:
        raise DatasetError(
            f"{root}: which images are lateral is not known; put {PROJECTIONS_FILE} there, or take all with "
            "the option laterals = true"
        )
    found = walk_images(root, [""], (".png",))
    here = {_key(path.rpartition("/")[2]): path for path in found.paths}
    if not here:
        raise DatasetError(f"{root}: no PNG files in it or below it; unpack the images there")
    words = Words.read(source, frame["headings"], "[^;]+")
    chosen = words.labels(FINDINGS, labels)
    keys = frame["image"].map(_key)
    side = keys.map(sides or {})
    selection = Selection(
        pd.DataFrame(
            {
                "image_id": keys,
                "patient_id": frame["uid"],
                "view": side.map({"Lateral": "lateral"}),
                "source": "Indiana University",
                "path": keys.map(here),
            }
        ).join(chosen)
    )
    if not laterals:
        selection.leave_out(selection.frame["view"] == "lateral", LATERAL)
    silent = words.none() | words.named("No Indexing")
    selection.leave_out(silent.loc[selection.frame.index], "report without headings")
    missing = selection.leave_out(selection.frame["path"].isna(), FILE_MISSING)
    listed = set(keys)
    return make_cohort(
        dataset="openi",
        root=root,
        selection=selection,
        labels=list(chosen.columns),
        missing=missing["image_id"],
        unlisted=sorted(path for key, path in here.items() if key not in listed),
        notes=["a report counts as a patient; AP or PA is not known"],
    )


def _key(name: str) -> str:
    """Return what the editions' names of an image have in common.

    ``CXR1_1_IM-0001-3001`` (XML), ``CXR1_1_IM-0001-3001.png`` and ``1_IM-0001-3001.dcm.png`` are one image.
    """
    stem = name.removesuffix(".png").removesuffix(".dcm")
    number, _, rest = stem.removeprefix("CXR").partition("_")
    return rest if stem.startswith("CXR") and not rest.startswith("IM-") else f"{number}_{rest}"


def _from_xml(folder: Path) -> pd.DataFrame:
    rows = []
    for path in sorted(folder.glob("*.xml"), key=lambda path: (len(path.name), path.name)):
        try:
            report = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, LookupError, ValueError, OSError) as error:
            # An encoding that is not known, or not for XML, is no ParseError.
            raise DatasetError(f"{path}: is not an XML report: {complaint(error)}") from None
        uid = report.find("uId")
        if uid is None or "id" not in uid.attrib:
            raise DatasetError(f"{path}: has no uId; it is not a report of the collection")
        headings = ";".join((major.text or "").partition("/")[0] for major in report.iterfind("MeSH/major"))
        rows += [
            (uid.attrib["id"].removeprefix("CXR"), image.attrib.get("id", ""), headings)
            for image in report.iterfind("parentImage")
        ]
    if not rows:
        raise DatasetError(f"{folder}: no report names an image; {_HINT}")
    frame = pd.DataFrame(rows, columns=["uid", "image", "headings"], dtype=object)
    twice = frame.loc[frame["image"].duplicated(), "image"]
    if len(twice):
        raise DatasetError(f"{folder}: image {twice.iloc[0]} appears in two reports")
    return frame


def _from_tables(reports_path: Path, projections_path: Path) -> pd.DataFrame:
    reports = read_table(reports_path, ("uid", "Problems"), hint=_HINT)
    images = read_table(projections_path, ("uid", "filename"), hint=_HINT)
    reports, _ = read_ids(reports_path, reports, ("uid",))
    images, _ = read_ids(projections_path, images, ("uid",))
    refuse_empty(projections_path, images, ("filename",))
    refuse_rows(reports_path, reports["uid"].duplicated(keep=False), "a report appears twice")
    refuse_rows(projections_path, images["filename"].duplicated(keep=False), "an image appears twice")
    unknown = ~images["uid"].isin(reports["uid"])
    refuse_rows(projections_path, unknown, f"a report that is not in {reports_path.name}")
    headings = images["uid"].map(reports.set_index("uid")["Problems"])
    return pd.DataFrame({"uid": images["uid"], "image": images["filename"], "headings": headings})


def _sides(path: Path) -> dict[str, str] | None:
    """Return image -> Frontal or Lateral, or None where the table is not here."""
    if not path.is_file():
        return None
    table = read_table(path, ("filename", "projection"), hint=_HINT)
    wrong = ~table["projection"].isin(("Frontal", "Lateral"))
    refuse_rows(path, wrong, "column 'projection' must be Frontal or Lateral")
    return dict(zip(table["filename"].map(_key), table["projection"], strict=True))
