"""Elements of a DICOM header, leniently read and named in the field's words where they cannot be.

An element that is there but empty means the same as none, here and in the items of sequences.
"""

from __future__ import annotations

import math
from typing import Any

from pydicom.dataset import Dataset

from cxrbench.radiograph.refusal import Refused

_WORDS = {
    "BitsAllocated": "Bits Allocated",
    "BitsStored": "Bits Stored",
    "Columns": "Columns",
    "HighBit": "High Bit",
    "ImagerPixelSpacing": "Imager Pixel Spacing",
    "LUTData": "LUT Data",
    "LUTDescriptor": "LUT Descriptor",
    "ModalityLUTSequence": "Modality LUT Sequence",
    "NumberOfFrames": "Number of Frames",
    "PhotometricInterpretation": "Photometric Interpretation",
    "PixelAspectRatio": "Pixel Aspect Ratio",
    "PixelPaddingRangeLimit": "Pixel Padding Range Limit",
    "PixelPaddingValue": "Pixel Padding Value",
    "PixelRepresentation": "Pixel Representation",
    "PixelSpacing": "Pixel Spacing",
    "PlanarConfiguration": "Planar Configuration",
    "PresentationLUTShape": "Presentation LUT Shape",
    "RescaleIntercept": "Rescale Intercept",
    "RescaleSlope": "Rescale Slope",
    "Rows": "Rows",
    "SOPClassUID": "SOP Class UID",
    "SamplesPerPixel": "Samples per Pixel",
    "VOILUTFunction": "VOI LUT Function",
    "VOILUTSequence": "VOI LUT Sequence",
    "WindowCenter": "Window Center",
    "WindowWidth": "Window Width",
}


def values(dataset: Dataset, name: str) -> list[Any]:
    """Return the values of an element, in order; blank ones as None, and none at all where it is empty.

    Raises
    ------
    Refused: the element cannot be understood.
    """
    try:
        value = dataset.get(name)
        several = list(value) if isinstance(value, list | tuple) or hasattr(value, "append") else [value]
    # What pydicom raises here depends on what the element holds, and often quotes it.
    except Exception as error:
        raise Refused(f"its {_WORDS[name]} cannot be understood") from error
    blank = [None if one is None or (isinstance(one, str) and not one.strip()) else one for one in several]
    return blank if any(one is not None for one in blank) else []


def numbers(dataset: Dataset, name: str) -> list[float | None]:
    """Return the values of an element as numbers, None for blank ones.

    Raises
    ------
    Refused: a value that is not a number.
    """
    try:
        return [None if value is None else float(value) for value in values(dataset, name)]
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"its {_WORDS[name]} is not a number") from error


def number(dataset: Dataset, name: str) -> float | None:
    """Return the first value of an element as a finite number, None where it is missing or empty.

    Raises
    ------
    Refused: it is not a number.
    """
    first = next((value for value in numbers(dataset, name) if value is not None), None)
    if first is not None and not math.isfinite(first):
        raise Refused(f"its {_WORDS[name]} is not a number")
    return first


def whole(dataset: Dataset, name: str, default: int | None = None) -> int:
    """Return the first value of an element as an integer, or the default where it is missing or empty.

    Raises
    ------
    Refused: it is missing and there is no default, or it is not an integer.
    """
    value = next((value for value in numbers(dataset, name) if value is not None), default)
    if value is None:
        raise Refused(f"its {_WORDS[name]} is missing or empty")
    if not math.isfinite(value) or value != int(value):
        raise Refused(f"its {_WORDS[name]} is not a whole number")
    return int(value)


def text(dataset: Dataset, name: str) -> str:
    """Return the first value of an element in capitals, empty where it is missing.

    Raises
    ------
    Refused
    """
    return next((str(value).strip().upper() for value in values(dataset, name) if value is not None), "")


def items(dataset: Dataset, name: str) -> list[Dataset]:
    """Return the items of a sequence; none where it is missing or empty.

    Raises
    ------
    Refused: the element is not a sequence.
    """
    found = values(dataset, name)
    if not all(isinstance(item, Dataset) for item in found):
        raise Refused(f"its {_WORDS[name]} is not a sequence")
    return found
