"""New images for a trained network: a folder, one file, or a table of files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.table import Cohort, FilePixels
from cxrbench.datasets.folder import IMAGE_SUFFIXES, check_files, walk_images
from cxrbench.datasets.manifest import relative_paths
from cxrbench.datasets.tables import read_table, refuse_empty, refuse_rows
from cxrbench.errors import DatasetError, RadiographError
from cxrbench.radiograph.reader import is_dicom

TABLES = (".csv", ".tsv")
_LABELS = {"1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}


@dataclass(frozen=True)
class NewImages:
    """Images as a cohort, whose label is NaN where it is not known.

    patients: whether it is known whose they are; if not, ``patient_id`` is the image's. others: files of the
    folder that are no images by their names or first bytes, and are not read.
    """

    cohort: Cohort
    patients: bool
    others: tuple[str, ...] = ()


def new_images(path: Path, label: str, *, links: bool = False, max_pixels: int = 0) -> NewImages:
    """Return the images that ``path`` names, unread.

    Parameters
    ----------
    path: a folder, with all folders in it; one image file; or a CSV file with a column ``path`` (relative to
        the file's folder) and if you like ``image_id``, ``patient_id`` and one called as ``label``.
    label: what the network scores.
    links: whether a link may lead out of the folder.
    max_pixels: of the largest picture that is decoded (0: the reader's own limit).

    Raises
    ------
    DatasetError, CohortError: there is no such file or folder, no image in it, or the table is faulty.
    """
    names: list[str] = []
    others: list[str] = []
    if path.is_dir():
        root = path
        for name in walk_images(path, [""], ("",)).paths:
            (names if _is_image(path, name) else others).append(name)
        if not names:
            raise DatasetError(f"{path}: no image files (DICOM, PNG or JPEG) among {len(others):,} files")
        table = pd.DataFrame({"path": names})
    elif path.suffix.lower() in TABLES:
        root, table = path.parent, _listed(path, label)
    elif path.exists():
        root, table = path.parent, pd.DataFrame({"path": [path.name]})
    else:
        raise DatasetError(f"{path}: no such file or folder")
    check_files(root, table["path"], links=links)
    patients = "patient_id" in table
    images = table.get("image_id", table["path"])
    cohort = Cohort(
        dataset="new images",
        table=pd.DataFrame(
            {
                "image_id": images,
                "patient_id": table.get("patient_id", images),
                "view": None,
                "sex": None,
                "age": np.nan,
                "source": "new images",
                "path": table["path"],
                label: table.get(label, pd.Series(np.nan, table.index)).astype(np.float64),
            }
        ).reset_index(drop=True),
        labels=(label,),
        pixels=FilePixels(root, tuple(table["path"]), max_pixels),
        listed=len(table),
    )
    return NewImages(cohort, patients, tuple(others))


def _is_image(root: Path, name: str) -> bool:
    """Return whether a file is named as an image, or holds DICOM's magic word under whatever name."""
    if name.lower().endswith(IMAGE_SUFFIXES):
        return True
    try:
        return is_dicom(root / name)
    except RadiographError:
        return False


def _listed(path: Path, label: str) -> pd.DataFrame:
    hint = "list the images in a column path, relative to the table's folder"
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    frame = read_table(path, ("path",), hint=hint, separator=separator)
    refuse_empty(path, frame, [c for c in ("path", "image_id", "patient_id") if c in frame])
    frame["path"] = relative_paths(path, frame["path"])
    if "image_id" in frame:
        refuse_rows(path, frame["image_id"].duplicated(keep=False), "an image_id appears twice")
    if label in frame:
        wrong = frame[label].notna() & ~frame[label].isin(_LABELS)
        refuse_rows(path, wrong, f"label {label!r} must be 1, 0 or empty")
        frame[label] = frame[label].map(_LABELS)
    return frame
