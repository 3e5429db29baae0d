"""From stored values to what a DICOM header says that they show.

Sources: DICOM PS3.3 C.7.5.1.1.2 (padding), C.8.11.3 (digital X-ray), C.11.1 (modality LUT), C.11.2 (VOI LUT).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from cxrbench.radiograph.elements import items, number, numbers, text, values
from cxrbench.radiograph.picture import Gray
from cxrbench.radiograph.refusal import Refused

_Levels = npt.NDArray[np.int32]
_Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Depth:
    """How stored values are to be taken.

    Parameters
    ----------
    bits: stored bits per value.
    signed: whether they are two's complement.
    """

    bits: int
    signed: bool

    @property
    def ends(self) -> tuple[int, int]:
        """The smallest and the largest value that can be stored."""
        low = -(2 ** (self.bits - 1)) if self.signed else 0
        return low, low + 2**self.bits - 1


def shades(dataset: Dataset, depth: Depth, levels: _Levels, aside: npt.NDArray[np.bool_]) -> Gray:
    """Return what each stored value shows.

    Parameters
    ----------
    levels: (n,) the stored values that the image has.
    aside: (n,) which of them are padding: black, and no part of the range.

    Returns
    -------
    (n,) uint8 (up to 8 bits) or uint16, filling the whole of its type.

    Raises
    ------
    Refused: what the header says has no meaning.
    """
    film = ~aside
    modality = _table(dataset, "ModalityLUTSequence", levels[film])
    bits, ends = depth.bits, np.array(depth.ends, dtype=np.float64)
    measured = levels.astype(np.float64)
    if modality is not None:
        bits, ends = modality.bits, np.array([0.0, 2.0**modality.bits - 1])
        measured = modality.look_up(measured)
    else:
        slope, intercept = (number(dataset, name) for name in ("RescaleSlope", "RescaleIntercept"))
        if slope == 0:
            raise Refused("its Rescale Slope is zero, so that every pixel would show the same")
        # One without the other is against the rules; what is not said changes nothing.
        measured = measured * (1.0 if slope is None else slope) + (intercept or 0.0)
        ends = np.sort(ends * (1.0 if slope is None else slope) + (intercept or 0.0))
    table = _table(dataset, "VOILUTSequence", measured[film])
    window = None if table is not None else _window(dataset)
    if table is not None:
        bits = table.bits
        shown, low, high = table.look_up(measured), 0.0, 2.0**table.bits - 1
    elif window is not None:
        shown, low, high = window.apply(measured), 0.0, 1.0
    else:
        shown = measured
        low, high = float(ends[0]), float(ends[1])
        varied = shown[film] if film.any() else shown[:0]
        if bits > 8 and varied.size and varied.min() < varied.max():
            # Of more than 8 bits, the file does not say which are used.
            low, high = float(varied.min()), float(varied.max())
    if text(dataset, "PhotometricInterpretation") == "MONOCHROME1" or (
        text(dataset, "PresentationLUTShape") == "INVERSE"
    ):
        shown = low + high - shown
    gray = fill(shown, low, high, bits)
    gray[aside] = 0
    return gray


def fill(shown: _Values, low: float, high: float, bits: int) -> Gray:
    """Map low..high to the whole of uint8 (up to 8 bits) or uint16.

    Raises
    ------
    Refused: values that are not numbers.
    """
    top, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    if not np.isfinite([low, high, shown.min(), shown.max()]).all():
        raise Refused("its rescale or window gives values that are not numbers")
    if high <= low:
        return np.zeros(shown.shape, dtype=dtype)
    scaled = np.rint((shown - low) * (top / (high - low)))
    return cast("Gray", np.clip(scaled, 0, top).astype(dtype))


def padding(dataset: Dataset, depth: Depth, levels: _Levels) -> npt.NDArray[np.bool_]:
    """Return which stored values are padding around the picture (PS3.3 C.7.5.1.1.2), (n,).

    A value written with the wrong sign, such as 63536 for -2000, means the one with the same bits.

    Raises
    ------
    Refused
    """
    limits = [number(dataset, name) for name in ("PixelPaddingValue", "PixelPaddingRangeLimit")]
    if limits[0] is None:
        return np.zeros(levels.shape, dtype=bool)
    same = [_with_sign(int(limit), depth) for limit in limits if limit is not None]
    return (levels >= min(same)) & (levels <= max(same))


def _with_sign(value: int, depth: Depth) -> int:
    """Return the storable value whose bits are those of ``value``; ``value`` itself where none is."""
    low, high = depth.ends
    for turn in (0, 2**16, -(2**16), 2**depth.bits, -(2**depth.bits)):
        if low <= value + turn <= high:
            return value + turn
    return value


@dataclass(frozen=True)
class _Table:
    """A look-up table.

    Parameters
    ----------
    first: the value that the first entry stands for; smaller ones have the first entry, larger ones the last.
    entries: (n,).
    bits: the depth of what it gives.
    """

    first: int
    entries: npt.NDArray[np.integer]
    bits: int

    def look_up(self, inputs: _Values) -> _Values:
        places = np.clip(np.rint(inputs) - self.first, 0, len(self.entries) - 1).astype(np.int64)
        return cast("_Values", self.entries[places].astype(np.float64))


def _table(dataset: Dataset, name: str, inputs: _Values | _Levels) -> _Table | None:
    """Return the first table of a sequence that is not empty, None where there is none."""
    for item in items(dataset, name):
        descriptor, data = numbers(item, "LUTDescriptor"), values(item, "LUTData")
        if not descriptor or not data:
            continue
        if len(descriptor) != 3 or None in descriptor or not all(map(math.isfinite, descriptor)):  # type: ignore[arg-type]
            raise Refused(f"the LUT Descriptor in its {_SEQUENCES[name]} does not hold three numbers")
        count, first, bits = (int(value) for value in descriptor if value is not None)
        return _Table(*_entries(dataset, name, count % 65536 or 65536, data, bits, first, inputs))
    return None


_SEQUENCES = {"ModalityLUTSequence": "Modality LUT Sequence", "VOILUTSequence": "VOI LUT Sequence"}


def _entries(
    dataset: Dataset,
    name: str,
    count: int,
    data: list[object],
    bits: int,
    first: int,
    inputs: _Values | _Levels,
) -> tuple[int, npt.NDArray[np.integer], int]:
    little = bool(dataset.file_meta.TransferSyntaxUID.is_little_endian)
    entries: npt.NDArray[np.integer]
    if isinstance(data[0], bytes):
        raw = data[0]
        words = np.frombuffer(raw[: len(raw) // 2 * 2], "<u2" if little else ">u2")
    else:
        words = np.array([int(cast("int", value)) % 65536 for value in data], dtype="<u2")
    if len(words) >= count:
        entries = words[:count]
    elif bits <= 8 and 2 * len(words) >= count:
        # Two entries of 8 bits in a word, the first in its low byte.
        entries = words.astype("<u2").view(np.uint8)[:count]
    else:
        raise Refused(
            f"the LUT Data in its {_SEQUENCES[name]} hold fewer entries than its LUT Descriptor says"
        )
    used = int(entries.max()).bit_length()
    if bits > 8 or used > bits:
        # Many say 16 and hold 12: the depth is that of the entries, or most of the range would stay dark.
        bits = max(8, used)
    return _first(first, count, inputs), entries, bits


def _first(first: int, count: int, inputs: _Values | _Levels) -> int:
    """Return the first value of a table with the sign with which the table meets the most of its inputs."""
    if inputs.size == 0:
        return first
    low, high = float(inputs.min()), float(inputs.max())
    signs = (first, first - 65536 if first > 0 else first + 65536)
    return max(signs, key=lambda start: min(high, start + count - 1) - max(low, start))


@dataclass(frozen=True)
class _Window:
    """A window: what it shows runs from 0 to 1."""

    centre: float
    width: float
    function: str

    def apply(self, inputs: _Values) -> _Values:
        if self.function == "SIGMOID":
            with np.errstate(over="ignore"):
                return 1.0 / (1.0 + np.exp(-4.0 * (inputs - self.centre) / self.width))
        linear = self.function == "LINEAR"
        centre, width = (self.centre - 0.5, self.width - 1.0) if linear else (self.centre, self.width)
        if width == 0:
            return (inputs > centre).astype(np.float64)
        return np.clip((inputs - centre) / width + 0.5, 0.0, 1.0)


def _window(dataset: Dataset) -> _Window | None:
    """Return the first window that has a meaning, None where there is none."""
    function = text(dataset, "VOILUTFunction") or "LINEAR"
    centres, widths = (numbers(dataset, name) for name in ("WindowCenter", "WindowWidth"))
    for centre, width in zip(centres, widths, strict=False):
        if centre is None or width is None or not math.isfinite(centre + width):
            continue
        if width < (1.0 if function == "LINEAR" else 1e-12):
            continue
        if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
            raise Refused("its VOI LUT Function is none that the standard defines")
        return _Window(centre, width, function)
    return None
