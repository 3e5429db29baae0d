"""DICOM, through pydicom.

Sources: DICOM PS3.3 C.7.6.3 (image pixel), C.11.1 (modality LUT), C.11.2 (VOI LUT), C.8.11.3 (digital X-ray).
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi, apply_windowing
from pydicom.pixels.utils import pixel_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGBaseline8Bit

from cxrbench.errors import RadiographError
from cxrbench.radiograph.picture import Gray, Picture, luminance
from cxrbench.radiograph.quiet import quiet_libraries
from cxrbench.text import complaint

_Values = npt.NDArray[np.float64]


def decode(path: Path) -> Picture:
    """Decode a DICOM file to one channel, as its header says that it is to be shown.

    In order: modality LUT or rescale; VOI LUT, else the first window; inversion where the photometric
    interpretation is MONOCHROME1 or the presentation LUT shape is INVERSE (once where both say so). The
    output range of the VOI transformation then fills the whole of uint8 (up to 8 bits) or uint16 (more).
    A file without VOI LUT or usable window is shown over its 8-bit stored range, or, with more bits, from
    its smallest to its largest value, padding left aside. Padding becomes black. Colour and palette images
    become ITU-R BT.601 luma.

    Raises
    ------
    RadiographError
    """
    with quiet_libraries():
        try:
            dataset = open_dataset(path)
            _refuse_what_is_no_radiograph(path, dataset)
            values = _show(dataset)
        except (RadiographError, ImportError):
            raise
        # pydicom and its decoders raise whatever a broken file leads them to; to the caller all of it means
        # that this file cannot be read.
        except Exception as error:
            raise RadiographError(path, f"cannot be decoded as DICOM: {complaint(error)}") from error
    return Picture(values, 0, int(np.iinfo(values.dtype).max))


def open_dataset(path: Path, *, pixels: bool = True) -> Dataset:
    """Read a data set, with or without its pixels, also where preamble and meta header are missing."""
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
    if "TransferSyntaxUID" not in getattr(dataset, "file_meta", ()):
        implicit, little = dataset.original_encoding
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )
    return dataset


def _refuse_what_is_no_radiograph(path: Path, dataset: Dataset) -> None:
    if "PixelData" not in dataset:
        raise RadiographError(path, "holds no pixel data (a DICOM report, a header, or cut short)")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise RadiographError(path, f"holds {frames} frames; a radiograph has one")


def _show(dataset: Dataset) -> Gray:
    kind = str(dataset.PhotometricInterpretation)
    stored = _stored(dataset)
    if kind == "PALETTE COLOR":
        coloured = apply_color_lut(stored, dataset)
        bits = 8 * coloured.dtype.itemsize
        return _fill(luminance(coloured), 0, 2**bits - 1, bits)
    if stored.ndim == 3:
        bits = int(dataset.BitsStored)
        return _fill(luminance(stored), 0, 2**bits - 1, bits)
    if kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"photometric interpretation {kind!r} with one sample a pixel")
    return _show_monochrome(dataset, stored)


def _stored(dataset: Dataset) -> npt.NDArray[np.integer]:
    if dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit and dataset.get("SamplesPerPixel") == 1:
        # Four times as fast as the decoder that pydicom prefers; what it cannot read, that one may.
        with contextlib.suppress(Exception):
            return pixel_array(dataset, decoding_plugin="pillow")
    return pixel_array(dataset)


def _show_monochrome(dataset: Dataset, stored: npt.NDArray[np.integer]) -> Gray:
    if stored.dtype.itemsize > 2:
        raise ValueError(f"{8 * stored.dtype.itemsize} bits a pixel; a radiograph has up to 16")
    for name in ("RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"):
        # An element that is there but empty means the same as none.
        if name in dataset and dataset.get(name) in (None, ""):
            del dataset[name]
    # What a pixel shows depends on its stored value alone, so each value is worked out once: there are at
    # most 65,536 of them, and millions of pixels.
    places = stored.astype(np.int32) - int(stored.min())
    levels = np.arange(int(stored.min()), int(stored.max()) + 1, dtype=np.int32)
    present = np.bincount(places.ravel(), minlength=len(levels)) > 0
    shades: Gray = _shades(dataset, levels, present)[places]
    return shades


def _shades(dataset: Dataset, levels: npt.NDArray[np.int32], present: npt.NDArray[np.bool_]) -> Gray:
    """Return what each stored value shows, (n,) uint8 or uint16.

    Parameters
    ----------
    levels: (n,) stored values.
    present: (n,) which of them the image has.
    """
    padding = _padding(dataset, levels)
    measured = apply_modality_lut(levels, dataset)
    if _has_table(dataset, "VOILUTSequence"):
        table = dataset.VOILUTSequence[0]
        bits = int(table.LUTDescriptor[2])
        # pydicom 3.0 keeps the index in a type of the table's own depth, so that a 12-bit image over 8-bit
        # entries would wrap around; declared as 16-bit the same entries are looked up right.
        table.LUTDescriptor = [*table.LUTDescriptor[:2], 16]
        shown: _Values = apply_voi(np.rint(measured).astype(np.int32), dataset).astype(np.float64)
        low, high = 0.0, float(2**bits - 1)
    elif (window := _window(dataset)) is not None:
        centre, width = window
        bits = _bits(dataset)
        shown = apply_windowing(measured, dataset)
        # Far out on both sides the window gives the ends of its output range.
        ends = np.array([centre - 100 * width, centre + 100 * width])
        low, high = sorted(apply_windowing(ends, dataset).tolist())
    else:
        bits = _bits(dataset)
        shown = measured.astype(np.float64)
        low, high = _natural_range(dataset, shown[present & ~padding], bits)
    if str(dataset.PhotometricInterpretation) == "MONOCHROME1" or (
        str(dataset.get("PresentationLUTShape", "")).upper() == "INVERSE"
    ):
        shown = low + high - shown
    shades = _fill(shown, low, high, bits)
    shades[padding] = 0
    return shades


def _fill(shown: _Values, low: float, high: float, bits: int) -> Gray:
    """Map low..high to the whole of uint8 (up to 8 bits) or uint16."""
    top, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    if not np.isfinite([low, high, shown.min(), shown.max()]).all():
        raise ValueError("rescale or window gives values that are no numbers")
    if high <= low:
        return np.zeros(shown.shape, dtype=dtype)
    scaled = np.rint((shown - low) * (top / (high - low)))
    return cast("Gray", np.clip(scaled, 0, top).astype(dtype))


def _natural_range(dataset: Dataset, values: _Values, bits: int) -> tuple[float, float]:
    """Return what to show where the file does not say: 8 bits whole, more from smallest to largest."""
    varied = values.size > 0 and values.min() < values.max()
    if varied and bits > 8:
        return float(values.min()), float(values.max())
    if _has_table(dataset, "ModalityLUTSequence"):
        return 0.0, float(2**bits - 1)
    stored_bits = int(dataset.BitsStored)
    first = -(2 ** (stored_bits - 1)) if dataset.PixelRepresentation else 0
    ends = apply_modality_lut(np.array([first, first + 2**stored_bits - 1], dtype=np.int32), dataset)
    return float(ends.min()), float(ends.max())


def _bits(dataset: Dataset) -> int:
    """Return the depth after the modality transformation."""
    if _has_table(dataset, "ModalityLUTSequence"):
        return int(dataset.ModalityLUTSequence[0].LUTDescriptor[2])
    return int(dataset.BitsStored)


def _has_table(dataset: Dataset, name: str) -> bool:
    sequence = dataset.get(name)
    return bool(sequence) and "LUTDescriptor" in sequence[0] and "LUTData" in sequence[0]


def _window(dataset: Dataset) -> tuple[float, float] | None:
    """Return centre and width of the first window, None where there is none or it has no meaning."""
    centre, width = (dataset.get(name) for name in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return None
    centre, width = (float(np.atleast_1d(value)[0]) for value in (centre, width))
    smallest = 1.0 if str(dataset.get("VOILUTFunction") or "LINEAR").upper() == "LINEAR" else 1e-12
    usable = np.isfinite([centre, width]).all() and width >= smallest
    return (centre, width) if usable else None


def _padding(dataset: Dataset, levels: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return which stored values are padding around the picture (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(levels.shape, dtype=bool)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((value, int(limit)))
    padding: npt.NDArray[np.bool_] = (levels >= low) & (levels <= high)
    return padding
