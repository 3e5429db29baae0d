"""DICOM files, parsed by pydicom: what they hold, and what their header says that it shows.

Sources: DICOM PS3.3 C.7.6.3 (image pixel), PS3.5 section 8 and annex A (how pixels are stored).
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_fragments, parse_basic_offsets
from pydicom.pixels.processing import apply_color_lut
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from cxrbench.errors import RadiographError
from cxrbench.radiograph import j2k, jpeg, rle, smooth
from cxrbench.radiograph.display import Depth, fill, padding, shades
from cxrbench.radiograph.elements import number, numbers, text, values, whole
from cxrbench.radiograph.picture import ROWS, Gray, Picture, luminance
from cxrbench.radiograph.quiet import quiet_libraries
from cxrbench.radiograph.refusal import Refused, check_size

_Stored = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

_DAMAGED = "cannot be decoded as DICOM: its header is damaged or cut short"

_MOST_OBLONG = 4.0
"""How many times as high as wide a pixel may be, or the reverse."""

_LAZY = 2**20
"""Bytes. Larger elements stay in the file until they are asked for: most never are."""

_KINDS = {
    "1.2.840.10008.5.1.4.1.1.11.": "a presentation state",
    "1.2.840.10008.5.1.4.1.1.66.": "a segmentation, a surface or a registration",
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "an encapsulated document",
    "1.2.840.10008.5.1.4.1.1.9.": "a waveform",
    "1.2.840.10008.5.1.4.1.1.30.": "a parametric map",
    "1.2.840.10008.5.1.4.1.1.481.2.": "a radiotherapy dose",
    "1.2.840.10008.1.3.10.": "a directory of other files",
}
"""What a SOP class is that is not a radiograph, though some of these hold pixels."""


def decode(path: Path, max_pixels: int, at_least: int | None = None) -> Picture:
    """Decode a DICOM file to one channel, as its header says that it is to be shown.

    In order: modality LUT or rescale; VOI LUT, else the first window; inversion where the photometric
    interpretation is MONOCHROME1 or the presentation LUT shape is INVERSE (once where both say so). The
    output range of the VOI transformation then fills the whole of uint8 (up to 8 bits) or uint16 (more).
    A file without VOI LUT or usable window is shown over its 8-bit stored range, or, with more bits, from
    its smallest to its largest value, padding left aside. Padding becomes black. Colour and palette images
    become ITU-R BT.601 luma. Pixels that are not square are made so.

    Parameters
    ----------
    max_pixels: more are refused before anything is decoded.
    at_least: for JPEG 2000 with a window, decode at 1/2, 1/4 or 1/8 scale as long as both sides keep twice as
        many pixels.

    Raises
    ------
    RadiographError
    """
    with quiet_libraries():
        try:
            dataset = open_dataset(path, max_pixels)
            shown = _show(dataset, _frame(path, dataset, max_pixels), max_pixels, at_least)
            shown = _with_square_pixels(dataset, shown)
        except Refused as refused:
            raise RadiographError(path, str(refused)) from refused
        except (RadiographError, ImportError):
            raise
        except MemoryError:
            raise RadiographError(path, "takes more memory to decode than there is") from None
        # pydicom raises whatever a broken file leads it to, and quotes what it found there; to the caller all
        # of it means that this file cannot be read.
        except Exception as error:
            raise RadiographError(path, _DAMAGED) from error
    return Picture(shown, 0, int(np.iinfo(shown.dtype).max))


def open_dataset(path: Path, max_pixels: int, *, pixels: bool = True) -> Dataset:
    """Read a data set, with or without its pixels, also where preamble and meta header are missing.

    Raises
    ------
    Refused: a deflated file that inflates to more than its picture may need.
    """
    with path.open("rb") as file:
        deflated = DeflatedExplicitVRLittleEndian.encode() in file.read(4096)
    if deflated:
        return _inflated(path, max_pixels, pixels=pixels)
    dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels, defer_size=_LAZY)
    if not (getattr(dataset, "file_meta", None) and dataset.file_meta.get("TransferSyntaxUID")):
        implicit, little = dataset.original_encoding
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = (
            ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        )
    return dataset


def _inflated(path: Path, max_pixels: int, *, pixels: bool) -> Dataset:
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
        raise Refused(_DAMAGED)
    # The group length counts from after itself: preamble, magic word and its own twelve bytes.
    body = path.read_bytes()[128 + 4 + 12 + int(meta.FileMetaInformationGroupLength) :]
    meta.TransferSyntaxUID = ExplicitVRLittleEndian

    def parsed(most: int, *, pixels: bool) -> Dataset:
        inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, most)
        if len(inflated) == most and pixels:
            raise Refused("inflates to more than a radiograph of the largest size needs")
        dataset = pydicom.dcmread(io.BytesIO(inflated), force=True, stop_before_pixels=not pixels)
        dataset.file_meta = meta
        return dataset

    header = parsed(_LAZY, pixels=False)
    if not pixels:
        return header
    rows, columns = whole(header, "Rows"), whole(header, "Columns")
    check_size(columns, rows, max_pixels)
    return parsed(2 * _LAZY + rows * columns * 3 * 2, pixels=True)


@dataclass(frozen=True)
class _Frame:
    """What the header says of the pixels."""

    height: int
    width: int
    samples: int
    allocated: int
    bits: int
    kind: str


def _frame(path: Path, dataset: Dataset, max_pixels: int) -> _Frame:
    """Read what the header says of the pixels, and refuse what is not a radiograph or too large.

    Raises
    ------
    Refused
    """
    for name in ("FloatPixelData", "DoubleFloatPixelData"):
        if name in dataset:
            raise Refused("holds floating-point pixels; a radiograph has whole numbers")
    uid = f"{dataset.get('SOPClassUID') or dataset.file_meta.get('MediaStorageSOPClassUID') or ''}."
    what = next((what for start, what in _KINDS.items() if uid.startswith(start)), None)
    if what is not None:
        raise Refused(f"is {what}, not a radiograph")
    if "PixelData" not in dataset:
        raise Refused("holds no pixel data (a DICOM report, a header, or cut short)")
    frames = whole(dataset, "NumberOfFrames", 1)
    if frames > 1:
        raise Refused("holds several frames; a radiograph has one")
    if frames < 0:
        raise Refused("its Number of Frames is negative")
    rows, columns = whole(dataset, "Rows"), whole(dataset, "Columns")
    check_size(columns, rows, max_pixels)
    if path.stat().st_size > 6 * max_pixels + 2**26:
        raise Refused("is a larger file than a radiograph of the largest size")
    allocated = whole(dataset, "BitsAllocated")
    if allocated == 1:
        raise Refused("has one bit per pixel: a mask, not a radiograph")
    if allocated > 16:
        raise Refused("has more than 16 bits per pixel; a radiograph has up to 16")
    if allocated not in (8, 16):
        raise Refused("its Bits Allocated is neither 8 nor 16")
    bits = whole(dataset, "BitsStored", allocated)
    if not 1 <= bits <= allocated:
        raise Refused("its Bits Stored is zero, or more than its Bits Allocated")
    samples = whole(dataset, "SamplesPerPixel", 1)
    if samples not in (1, 3):
        raise Refused("its Samples per Pixel is neither 1 nor 3")
    kind = text(dataset, "PhotometricInterpretation")
    if not kind:
        raise Refused("its Photometric Interpretation is missing, so that black and white are unknown")
    return _Frame(rows, columns, samples, allocated, bits, kind)


def _show(dataset: Dataset, frame: _Frame, max_pixels: int, at_least: int | None) -> Gray:
    syntax = UID(str(dataset.file_meta.TransferSyntaxUID))
    if syntax.is_private or not syntax.is_transfer_syntax:
        raise Refused("is in a transfer syntax that is not known")
    if syntax.is_encapsulated:
        stored, bits = _unpacked(dataset, frame, syntax, max_pixels, at_least)
    else:
        stored, bits = _native(dataset, frame, little=syntax.is_little_endian), frame.bits
    if stored.ndim == 3:
        stored = _luma(stored, frame.kind, bits)
        if frame.kind not in ("MONOCHROME1", "MONOCHROME2"):
            return _fill_colour(stored, bits)
    if frame.kind == "PALETTE COLOR":
        return _fill_palette(dataset, stored)
    if frame.kind not in ("MONOCHROME1", "MONOCHROME2"):
        # Three samples are promised, and one is there: the luma.
        if frame.samples == 3:
            return _fill_colour(stored, bits)
        raise Refused("its Photometric Interpretation is none of one sample per pixel")
    return _show_monochrome(dataset, stored, bits)


def _with_square_pixels(dataset: Dataset, shown: Gray) -> Gray:
    """Shrink a picture along the side on which its pixels are narrower (PS3.3 C.7.6.3.1.7).

    Raises
    ------
    Refused: pixels of a shape that no film has.
    """
    ratio = _height_over_width(dataset)
    if abs(ratio - 1) <= 0.01:
        return shown
    if not 1 / _MOST_OBLONG <= ratio <= _MOST_OBLONG:
        raise Refused("its pixels are more than four times as high as wide, or the reverse")
    height, width = shown.shape
    width, height = max(1, round(width / max(ratio, 1))), max(1, round(height * min(ratio, 1)))
    small = Image.fromarray(shown.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return cast("Gray", np.rint(np.asarray(small)).astype(shown.dtype))


def _height_over_width(dataset: Dataset) -> float:
    """Return the shape of a pixel: 1.0 for a square, or where the header does not say in two numbers."""
    for name in ("PixelAspectRatio", "PixelSpacing", "ImagerPixelSpacing"):
        try:
            sides = numbers(dataset, name)
        except Refused:
            continue
        if len(sides) == 2 and all(side is not None and 0 < side < np.inf for side in sides):
            return cast("float", sides[0]) / cast("float", sides[1])
    return 1.0


def _native(dataset: Dataset, frame: _Frame, *, little: bool) -> _Stored:
    """Return uncompressed pixels as they are stored."""
    size = frame.allocated // 8
    halved = frame.kind == "YBR_FULL_422"
    expected = frame.height * frame.width * size * (2 if halved else frame.samples)
    data = dataset.PixelData
    if not isinstance(data, bytes) or len(data) < expected:
        raise Refused("its pixel data are cut short: fewer bytes than its header promises")
    if len(data) >= 2 * expected and expected > 2:
        raise Refused("its pixel data are twice as many bytes as its header promises, or more")
    if size == 1 and not little and dataset["PixelData"].VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], ">u2").astype("<u2").tobytes()
    flat = np.frombuffer(data, f"{'<' if little else '>'}u{size}", expected // size)
    words: _Stored = flat.astype(f"u{size}", copy=False)
    if halved:
        # Two lumas, then the two chromas that they share.
        return words.reshape(-1, 4)[:, :2].reshape(frame.height, frame.width)
    if frame.samples == 1:
        words = _the_right_way_round(words.reshape(frame.height, frame.width))
        if size == 2 and smooth.is_swapped(words):
            raise Refused("its pixels have their bytes in another order than its transfer syntax says")
        return words
    stated = words.reshape(frame.height, frame.width, 3)
    other = np.moveaxis(words.reshape(3, frame.height, frame.width), 0, -1)
    if whole(dataset, "PlanarConfiguration", 0) == 1:
        stated, other = other, stated
    return other if smooth.is_smoother(other, stated) else stated


def _the_right_way_round(words: _Stored) -> _Stored:
    if words.ndim == 2 and smooth.is_turned(words):
        raise Refused("its pixels make a picture only with Rows and Columns exchanged")
    return words


def _unpacked(
    dataset: Dataset, frame: _Frame, syntax: UID, max_pixels: int, at_least: int | None
) -> tuple[_Stored, int]:
    """Decode compressed pixels by what their stream is, whichever syntax the header names.

    Returns
    -------
    stored: (height, width) or (height, width, 3); two's complement where negative.
    bits: of a sample.
    """
    stream = _stream(dataset)
    bits = frame.bits
    decoded: npt.NDArray[np.integer]
    if syntax == RLELossless:
        runs = rle.decode(stream, frame.height, frame.width, frame.samples, frame.allocated // 8)
        return _the_right_way_round(runs), bits
    if j2k.is_jpeg_2000(stream):
        codestream = j2k.parse(stream)
        _same_size(frame, codestream.height, codestream.width)
        halvings = 0 if at_least is None else _halvings(dataset, frame, codestream, at_least)
        if halvings:
            decoded = j2k.decode_small(codestream, max_pixels, halvings)
        else:
            decoded = j2k.decode(codestream, max_pixels)
        coded = codestream.bits
        if codestream.signed:
            decoded = decoded.astype(np.int16)
    elif stream.startswith(b"\xff\xd8"):
        header = jpeg.parse(stream)
        _same_size(frame, header.height, header.width)
        transformed = header.is_colour_transformed if len(header.components) == 3 else None
        decoded = jpeg.decode(header, max_pixels, transformed=transformed)
        coded = header.bits
    else:
        raise Refused("is compressed in a way that is not supported, or its stream is damaged")
    stored = decoded.view(f"u{decoded.dtype.itemsize}")
    signed = whole(dataset, "PixelRepresentation", 0)
    if (
        coded > bits
        and whole(dataset, "HighBit", bits - 1) < coded - 1
        and (signed or stored.max() >= 2**bits)
    ):
        # The stream knows best what it holds; a high bit at its end says that the bits below it are free.
        bits = coded
    if stored.dtype.itemsize == 1 and bits > 8:
        stored = stored.astype(np.uint16)
    return stored, bits


def _halvings(dataset: Dataset, frame: _Frame, codestream: j2k.Codestream, at_least: int) -> int:
    """Return how often a picture may be halved: a mean of pixels must show what the pixels show in the mean.

    So it is not where the range shown is that of the pixels, and not where some of them are padding.
    """
    elements = ("PixelPaddingValue", "VOILUTSequence", "ModalityLUTSequence")
    plain = (
        frame.kind in ("MONOCHROME1", "MONOCHROME2")
        and codestream.components == 1
        and not codestream.signed
        and codestream.bits <= frame.bits
        and not whole(dataset, "PixelRepresentation", 0)
        and not any(values(dataset, name) for name in elements)
        and (frame.bits <= 8 or bool(values(dataset, "WindowWidth")))
    )
    if not plain:
        return 0
    # Its pixels stand for the first of those that they replace, not for their middle. Four pixels for each
    # of the square keep that shift below an eighth of a pixel of the square.
    fit = min(frame.height, frame.width) // (2 * at_least)
    return min(codestream.levels, 3, max(0, fit.bit_length() - 1))


def _stream(dataset: Dataset) -> bytes:
    """Return the one frame of compressed pixel data, its fragments joined."""
    try:
        buffer = io.BytesIO(dataset.PixelData)
        offsets = parse_basic_offsets(buffer)
        fragments = list(generate_fragments(buffer))
    except Exception as error:
        raise Refused("its pixel data are not in fragments, as its transfer syntax says") from error
    if not fragments:
        raise Refused("its pixel data are empty")
    # Coded data never look like the beginning of a stream.
    streams = sum(fragment.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff\x51")) for fragment in fragments)
    if len(offsets) > 1 or streams > 1:
        raise Refused("holds several frames; a radiograph has one")
    return b"".join(fragments)


def _same_size(frame: _Frame, height: int, width: int) -> None:
    if (height, width) != (frame.height, frame.width):
        raise Refused("its stream holds a picture of another size than its Rows and Columns say")


def _luma(planes: _Stored, kind: str, bits: int) -> _Stored:
    """Return the luma of three planes: the first where they are YCbCr, whatever the header calls them.

    A gray film as YCbCr has two planes with hardly anything in them, about the middle of their range; as RGB
    it has three that are alike. Only where the picture is truly coloured does the header decide.
    """
    some = (
        planes[:: max(1, len(planes) // 256), :: max(1, planes.shape[1] // 256)].reshape(-1, 3).astype(float)
    )
    spread, middle = some.std(axis=0), 2.0 ** (bits - 1)
    flat = (spread[1:] < 0.2 * spread[0]).all()
    central = (abs(some.mean(axis=0)[1:] - middle) < 0.2 * middle).all()
    if (flat and central) or kind.startswith(("YBR_FULL", "YBR_PARTIAL")):
        return planes[..., 0]
    if kind not in ("RGB", "YBR_RCT", "YBR_ICT", "MONOCHROME1", "MONOCHROME2"):
        raise Refused("its Photometric Interpretation is none of three samples per pixel")
    return luminance(planes)


def _fill_colour(luma: _Stored, bits: int) -> Gray:
    """Show a luma over 8 bits as it is, over more from its smallest to its largest value."""
    low, high = (0, 2**bits - 1) if bits <= 8 else (int(luma.min()), int(luma.max()))
    if low == high:
        low, high = 0, 2**bits - 1
    table = fill(np.arange(int(luma.max()) + 1, dtype=np.float64), low, high, bits)
    return table[luma]


def _fill_palette(dataset: Dataset, stored: _Stored) -> Gray:
    levels = np.arange(int(stored.max()) + 1, dtype=np.uint16)
    try:
        _swap_palette(dataset)
        coloured = apply_color_lut(levels, dataset)
    except Exception as error:
        raise Refused("its palette is missing or damaged") from error
    depth = int(coloured.max()).bit_length()
    bits = 8 if depth <= 8 else depth
    return fill(luminance(coloured[None])[0].astype(np.float64), 0, 2**bits - 1, bits)[stored]


def _swap_palette(dataset: Dataset) -> None:
    """Bring a 16-bit palette of a big-endian file into this machine's byte order, as pydicom takes it."""
    if dataset.file_meta.TransferSyntaxUID.is_little_endian:
        return
    count = int(dataset.RedPaletteColorLookupTableDescriptor[0]) or 65536
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTableData"
        if name in dataset and len(dataset[name].value) == 2 * count:
            dataset[name].value = np.frombuffer(dataset[name].value, ">u2").astype("=u2").tobytes()


def _show_monochrome(dataset: Dataset, stored: _Stored, bits: int) -> Gray:
    # What a pixel shows depends on its stored word alone, so each word is worked out once: there are at most
    # 65,536 of them, and millions of pixels.
    present = np.zeros(2 ** (8 * stored.dtype.itemsize), dtype=bool)
    for start in range(0, len(stored), ROWS):
        present[stored[start : start + ROWS]] = True
    words = np.flatnonzero(present).astype(np.int32)
    signed = whole(dataset, "PixelRepresentation", 0)
    lowest = whole(dataset, "HighBit", bits - 1) == bits - 1
    if bits > 8 and lowest and smooth.is_of_other_sign(stored, bits, signed=bool(signed)):
        raise Refused("its pixels make a picture only with the other Pixel Representation")
    levels, depth, outside = _levels(dataset, words, bits, 8 * stored.dtype.itemsize)
    aside = outside | padding(dataset, depth, levels)
    gray = shades(dataset, depth, levels, aside)
    table = np.zeros(len(present), dtype=gray.dtype)
    table[words] = gray
    return table[stored]


def _levels(
    dataset: Dataset, words: npt.NDArray[np.int32], bits: int, allocated: int
) -> tuple[npt.NDArray[np.int32], Depth, npt.NDArray[np.bool_]]:
    """Return the stored values in words, their depth, and which words are padding that does not fit into it.

    Raises
    ------
    Refused: High Bit or Bits Stored contradict what the words hold.
    """
    signed = whole(dataset, "PixelRepresentation", 0)
    if signed not in (0, 1):
        raise Refused("its Pixel Representation is neither 0 nor 1")
    high = whole(dataset, "HighBit", bits - 1)
    shift = max(0, high - (bits - 1))
    if bits + shift > allocated:
        raise Refused("its High Bit lies outside of its Bits Allocated")
    if shift and (words < 2**bits).all() and (words % 2**shift).any():
        # Said to lie at the upper end, and lying at the lower one.
        shift = 0
    above = words >> (shift + bits)
    value = (words >> shift) & (2**bits - 1)
    if signed:
        value = np.where(value >= 2 ** (bits - 1), value - 2**bits, value)
    # Copies of the sign, or padding of a value that cannot be stored.
    sign = bool(signed) & (value < 0) & (above == 2 ** (allocated - bits - shift) - 1)
    limit = number(dataset, "PixelPaddingValue")
    outside = np.zeros(words.shape, dtype=bool)
    if limit is not None:
        outside = (above != 0) & ~sign & (words == int(limit) % 2**allocated)
    rest = above[~outside & ~sign]
    if rest.size and rest.any() and (rest != rest[0]).any() and not _has_embedded_overlay(dataset):
        raise Refused("its pixels use bits above its Bits Stored")
    return value.astype(np.int32), Depth(bits, bool(signed)), outside


def _has_embedded_overlay(dataset: Dataset) -> bool:
    """Return whether an overlay is said to lie in bits that the pixels leave free (PS3.3 C.9.2, retired)."""
    return any(
        (group, 0x0102) in dataset and (group, 0x3000) not in dataset for group in range(0x6000, 0x6020, 2)
    )
