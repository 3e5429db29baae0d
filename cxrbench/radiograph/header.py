"""What a radiograph file says about its patient, leniently read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from cxrbench.errors import RadiographError
from cxrbench.radiograph.quiet import quiet_libraries
from cxrbench.radiograph.reader import is_dicom, needs_extra
from cxrbench.radiograph.refusal import MAX_PIXELS

OLDEST = 120.0
"""Years. An age beyond it is a typing error (ChestX-ray14 of 2017 has patients of 414 years)."""

_AGE = re.compile(r"(\d{1,4}(?:\.\d+)?)\s*([DWMY]?)", re.IGNORECASE)
_PER_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0, "": 1.0}


@dataclass(frozen=True)
class Header:
    """Facts from a file's header.

    Parameters
    ----------
    view: ``ViewPosition`` as written, such as ``"PA"``; None where unknown.
    sex: ``PatientSex`` as written; None where unknown.
    age: years, NaN where unknown.
    width, height: pixels, 0 where unknown.
    """

    view: str | None = None
    sex: str | None = None
    age: float = math.nan
    width: int = 0
    height: int = 0


def read_header(path: Path | str) -> Header:
    """Read view, sex, age and size from a DICOM header; PNG and JPEG give an empty one.

    Values that break the DICOM rules, such as an age of ``77`` in place of ``077Y``, are read where they can
    be understood.

    Raises
    ------
    RadiographError: missing or empty file, or a DICOM header that cannot be parsed.
    """
    path = Path(path)
    if not is_dicom(path):
        return Header()
    with needs_extra(path):
        from cxrbench.radiograph.dicom import open_dataset

    with quiet_libraries():
        try:
            dataset = open_dataset(path, MAX_PIXELS, pixels=False)
            view, sex, age = (
                str(dataset.get(name) or "").strip() for name in ("ViewPosition", "PatientSex", "PatientAge")
            )
            width, height = (int(dataset.get(name) or 0) for name in ("Columns", "Rows"))
        # As in decoding: pydicom raises whatever a broken file leads it to.
        except Exception as error:
            raise RadiographError(path, "its DICOM header is damaged or cut short") from error
    return Header(view or None, sex or None, age_in_years(age), width, height)


def read_shape(path: Path | str) -> tuple[int, int]:
    """Return height and width in pixels as stored, from the file's header.

    Raises
    ------
    RadiographError: missing or empty file, or a header that gives no size.
    """
    path = Path(path)
    with needs_extra(path):
        from PIL import Image

        if not is_dicom(path):
            try:
                with Image.open(path, formats=("PNG", "JPEG")) as image:
                    return image.height, image.width
            except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
                raise RadiographError(path, "its header gives no size") from error
        from cxrbench.radiograph.dicom import open_dataset

    with quiet_libraries():
        try:
            dataset = open_dataset(path, MAX_PIXELS, pixels=False)
            return int(dataset["Rows"].value), int(dataset["Columns"].value)
        # As in decoding: pydicom raises whatever a broken file leads it to.
        except Exception as error:
            raise RadiographError(path, "its header gives no size") from error


def age_in_years(text: str) -> float:
    """Return an age in years from ``077Y``, ``77``, ``6M``, ``3W`` or ``12D``.

    NaN where the text is not an age or the age is beyond :data:`OLDEST`.
    """
    match = _AGE.fullmatch(text.strip())
    if match is None:
        return math.nan
    years = float(match[1]) / _PER_YEAR[match[2].upper()]
    return years if years <= OLDEST else math.nan
