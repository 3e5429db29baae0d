"""JPEG streams (ITU-T T.81): baseline, extended, progressive and lossless; whole, or refused.

libjpeg fills what is missing from a cut stream with gray and calls that a warning. Here every warning about
the data is a refusal. ``simplejpeg`` is libjpeg-turbo with warnings as errors, for 8 bits. Deeper and
lossless streams are decoded by ``imagecodecs``, which has the same library without them; their coded data go
through ``simplejpeg`` too, as if they were of 8 bits: the depth changes no code and no count of blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt
import simplejpeg

from cxrbench.radiograph.picture import luminance
from cxrbench.radiograph.refusal import Refused, check_size

LOSSLESS = 0xC3
_BASELINE = 0xC0
_EIGHT = 256
"""How far from the middle of a range samples of 8 bits lie: half of theirs, and as much by compression."""
_DCT = (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)
_PROGRESSIVE = (0xC2, 0xCA)
JPEG_LS = 0xF7
_FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {0xC4, 0xC8, 0xCC}
_TABLES = {0xDB, 0xC4, 0xCC, 0xDD}  # DQT, DHT, DAC, DRI
_MOST_SCANS = 200
"""A progressive picture has about ten; each one is a pass over all of it."""


@dataclass(frozen=True)
class Jpeg:
    """What a stream's own header says.

    Parameters
    ----------
    process: the second byte of the frame's marker, such as 0xC0 for baseline.
    bits: per sample.
    components: identifiers of the components.
    subsampled: whether the components have different sampling factors.
    jfif: whether there is a JFIF segment, which means YCbCr.
    transform: what the Adobe segment says (0: none, 1: YCbCr, 2: YCCK), None without one.
    exif: the content of the first segment with EXIF data, empty without one.
    predictor: of a lossless scan, 1 to 7.
    """

    process: int
    bits: int
    height: int
    width: int
    components: tuple[int, ...]
    subsampled: bool
    jfif: bool
    transform: int | None
    exif: bytes
    predictor: int
    _stream: bytes
    _segments: tuple[bytes, ...]
    _scan: int

    @property
    def is_ls(self) -> bool:
        """Whether this is JPEG-LS (ITU-T T.87), which shares the markers and nothing else."""
        return self.process == JPEG_LS

    @property
    def is_colour_transformed(self) -> bool | None:
        """Whether three components are YCbCr; None where the stream does not say."""
        if self.jfif or self.subsampled:
            return True
        if self.transform is not None:
            return self.transform != 0
        return False if self.components == (0x52, 0x47, 0x42) else None

    def standard(self, *, transform: int | None, bits: int | None = None) -> bytes:
        """Return the stream without its comments and with nothing for libjpeg to guess.

        Parameters
        ----------
        transform: what an Adobe segment is to say of the colours; None leaves it out.
        bits: the depth that the frame header is to say, for a check of the coded data alone.
        """
        parts = [b"\xff\xd8"]
        if transform is not None:
            parts.append(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform]))
        for segment in self._segments:
            if bits is not None and segment[1] == self.process:
                segment = segment[:4] + bytes([bits]) + segment[5:]
            parts.append(segment)
        scan = bytearray(self._stream[self._scan : self._scan + 4 + 2 * 4 + 4])
        if self.process in _DCT and self.process not in _PROGRESSIVE:
            # Some cameras and converters leave these three bytes wrong; no decoder of this kind uses them.
            end = 2 + int.from_bytes(scan[2:4], "big")
            scan[end - 3 : end] = b"\x00\x3f\x00"
        parts += [bytes(scan), self._stream[self._scan + len(scan) :]]
        return b"".join(parts)


def parse(stream: bytes) -> Jpeg:
    """Read a stream's header, up to its first scan.

    Raises
    ------
    Refused: no JPEG stream, or one that ends in its header.
    """
    if not stream.startswith(b"\xff\xd8"):
        raise Refused("its JPEG stream does not start as one")
    at, segments, frame, jfif, transform, exif = 2, [], b"", False, None, b""
    while True:
        # Fill bytes, and stray ones, between two segments.
        at = stream.find(b"\xff", at)
        while 0 <= at < len(stream) - 1 and stream[at + 1] == 0xFF:
            at += 1
        if at < 0 or at + 4 > len(stream):
            raise Refused("its JPEG stream ends within its header")
        marker = stream[at + 1]
        if marker in (0x00, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        if marker == 0xD9:
            raise Refused("its JPEG stream ends before any picture data")
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        segment = stream[at:end]
        if end > len(stream) or len(segment) < 4:
            raise Refused("its JPEG stream ends within its header")
        if marker == 0xDA:
            break
        if marker in _FRAMES:
            if frame:
                raise Refused("its JPEG stream has more than one frame")
            frame = segment
        if marker == 0xF8 and segment[4] == 4:
            raise Refused("its JPEG-LS stream has another size than its frame header says")
        if marker in _FRAMES or marker in _TABLES:
            segments.append(segment)
        elif marker == 0xE0 and segment[4:9] == b"JFIF\0":
            jfif = True
        elif marker == 0xE1 and segment[4:10] == b"Exif\0\0":
            exif = exif or segment[4:]
        elif marker == 0xEE and segment[4:9] == b"Adobe" and len(segment) >= 16:
            transform = segment[15]
        at = end
    if len(frame) < 10 or len(frame) < 10 + 3 * frame[9] or frame[9] == 0:
        raise Refused("its JPEG stream has no frame header")
    count = frame[9]
    sampling = {frame[11 + 3 * index] for index in range(count)}
    return Jpeg(
        process=frame[1],
        bits=frame[4],
        height=int.from_bytes(frame[5:7], "big"),
        width=int.from_bytes(frame[7:9], "big"),
        components=tuple(frame[10 + 3 * index] for index in range(count)),
        subsampled=len(sampling) > 1,
        jfif=jfif,
        transform=transform,
        exif=exif,
        predictor=segment[-3],
        _stream=stream,
        _segments=tuple(segments),
        _scan=at,
    )


def decode(
    jpeg: Jpeg, max_pixels: int, *, transformed: bool | None = None, scale: int = 1
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decode a stream whole.

    Parameters
    ----------
    transformed: whether three components are YCbCr: their luma is decoded, (height, width). False: RGB, of
        which the ITU-R BT.601 luma is taken. None: the components as stored, (height, width, 3).
    scale: decode at 1/1, 1/2, 1/4 or 1/8, for 8 bits.

    Raises
    ------
    Refused: a process that no decoder here knows; data that are damaged, cut short or too many.
    """
    check_size(jpeg.width, jpeg.height, max_pixels)
    if len(jpeg.components) not in (1, 3) or not 2 <= jpeg.bits <= 16:
        raise Refused("its JPEG stream has components or a depth that no radiograph has")
    if jpeg.is_ls:
        return _decode_ls(jpeg)
    if jpeg.process not in (*_DCT, LOSSLESS):
        raise Refused("is compressed by a JPEG process that is not supported (hierarchical or rare)")
    _check_scans(jpeg)
    adobe = None if len(jpeg.components) == 1 else int(bool(transformed))
    if jpeg.process == LOSSLESS or jpeg.bits != 8:
        return _decode_deep(jpeg, adobe, transformed)
    stream = jpeg.standard(transform=adobe)
    height, width = -(-jpeg.height // scale), -(-jpeg.width // scale)
    colours = "GRAY" if adobe is None or transformed is not None else "RGB"
    values = _strictly(stream, colours, height, width)
    if values.shape[:2] != (height, width):
        raise Refused("its JPEG stream decodes to another size than its header says")
    return values[..., 0] if values.shape[2] == 1 else values


def _check_scans(jpeg: Jpeg) -> None:
    """Refuse a stream that lacks whole scans: closed after one, it is none the worse for libjpeg.

    Each component must have a scan, and of a progressive picture each coefficient of the first component all
    its bits. No marker can stand inside coded data, where each 0xFF is followed by a zero.
    """
    stream, at = jpeg._stream, jpeg._scan
    end = stream.find(b"\xff\xd9", at)
    progressive = jpeg.process in _PROGRESSIVE
    seen: set[int] = set()
    missing = np.full(64, 16)
    scans = 0
    while 0 <= at < end and at + 5 < len(stream):
        count = stream[at + 4]
        parameters = stream[at + 5 : at + 5 + 2 * count + 3]
        if len(parameters) < 2 * count + 3:
            break
        members = set(parameters[0 : 2 * count : 2])
        seen |= members
        first, last, bits = parameters[-3:]
        if progressive and jpeg.components[0] in members:
            missing[first : last + 1] = bits & 15
        scans += 1
        if scans > _MOST_SCANS:
            raise Refused("its JPEG stream has too many scans for a picture")
        at = stream.find(b"\xff\xda", at + 2, end)
    if not seen >= set(jpeg.components) or (progressive and missing.any()):
        raise Refused("its JPEG data are cut short: whole scans are missing")


def check_four(jpeg: Jpeg, max_pixels: int) -> None:
    """Refuse a stream of four components that is damaged or too large.

    Raises
    ------
    Refused
    """
    check_size(jpeg.width, jpeg.height, max_pixels)
    _strictly(jpeg.standard(transform=0), "CMYK", -(-jpeg.height // 8), -(-jpeg.width // 8))


def _strictly(stream: bytes, colours: str, height: int, width: int) -> npt.NDArray[np.uint8]:
    try:
        values: npt.NDArray[np.uint8] = simplejpeg.decode_jpeg(
            stream, colorspace=colours, min_height=height, min_width=width, strict=True
        )
    except ValueError as error:
        raise Refused("its JPEG data are damaged or cut short") from error
    return values


def _decode_deep(
    jpeg: Jpeg, adobe: int | None, transformed: bool | None
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    raw = None if adobe is None else 0
    # Lossless streams have no smaller scale, and `simplejpeg` writes past its buffer where one is asked for.
    smaller = 1 if jpeg.process == LOSSLESS else 8
    _strictly(
        jpeg.standard(transform=raw, bits=8),
        "GRAY" if raw is None else "RGB",
        -(-jpeg.height // smaller),
        -(-jpeg.width // smaller),
    )
    # A mean of two neighbours needs them whole: see below. In 16 bits nothing is cut off.
    wide = jpeg.process == LOSSLESS and jpeg.predictor > 4
    try:
        values = np.asarray(imagecodecs.jpeg8_decode(jpeg.standard(transform=raw, bits=16 if wide else None)))
    except Exception as error:
        raise Refused("its JPEG data are damaged, or of a kind that is not supported") from error
    if values.shape[:2] != (jpeg.height, jpeg.width):
        raise Refused("its JPEG stream decodes to another size than its header says")
    top = 2**jpeg.bits - 1
    if wide:
        # The first prediction is half of the range.
        values -= np.uint16(2**15 - 2 ** (jpeg.bits - 1))
    if values.max() > top:
        # Samples count modulo 2^16 (T.81 H.2.1). Some encoders count modulo 2^bits. Where the prediction is a
        # sum of neighbours, the two differ in the bits above alone; where it is a mean, in all that follows.
        if wide:
            raise Refused("its JPEG Lossless data leave their own range, and decoders disagree on them")
        values = values & values.dtype.type(top)
    if wide and jpeg.bits <= 8:
        values = values.astype(np.uint8)
    if values.ndim == 3 and transformed is not None:
        values = values[..., 0] if transformed else luminance(values)
    if (
        jpeg.process == _BASELINE
        and jpeg.bits == 12
        and np.abs(values.astype(np.int32) - 2048).max() <= _EIGHT
    ):
        raise Refused("its JPEG frame is baseline, which has 8 bits, and says 12, and its picture has 8")
    return values


def _decode_ls(jpeg: Jpeg) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    # CharLS can take seconds to find out that a stream without an end is damaged.
    if not jpeg._stream.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise Refused("its JPEG-LS data are cut short: they have no end marker")
    try:
        values = np.asarray(imagecodecs.jpegls_decode(jpeg._stream))
    except Exception as error:
        raise Refused("its JPEG-LS data are damaged or cut short") from error
    if values.shape[:2] != (jpeg.height, jpeg.width) or values.itemsize > 2:
        raise Refused("its JPEG-LS stream decodes to another size than its header says")
    return values
