"""PNG files (ISO/IEC 15948), chunk by chunk: what makes the picture is whole, the rest is left aside."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np
import numpy.typing as npt

from cxrbench.radiograph.picture import Gray, luminance
from cxrbench.radiograph.refusal import Refused, check_size

_MAGIC = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0\0"
_RGB, _GRAY_ALPHA, _RGBA = 2, 4, 6


@dataclass(frozen=True)
class Png:
    """What a PNG's header says, and its picture alone.

    Parameters
    ----------
    colours: the colour type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGB and alpha.
    palette: how many colours the palette has, 0 without one.
    clear: the ``tRNS`` chunk, None without one.
    picture: the file without the chunks that say nothing about the picture, such as text.
    """

    width: int
    height: int
    bits: int
    colours: int
    palette: int
    clear: bytes | None
    picture: bytes

    @property
    def is_deep(self) -> bool:
        """Whether Pillow would lose half of the bits, or the transparent colour."""
        return self.bits == 16 and (self.colours != 0 or self.clear is not None)


def parse(data: bytes, max_pixels: int) -> Png:
    """Check the chunks that make the picture, by length and CRC, and leave out all others.

    A missing end chunk is tolerated: the compressed rows have an end and a count of their own.

    Raises
    ------
    Refused
    """
    at, kept, kinds, palette, clear = len(_MAGIC), [], set(), 0, None
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(data):
            break
        # What is transparent is said before the picture, or not at all.
        late = kind == b"tRNS" and b"IDAT" in kinds
        if kind in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf") and not late:
            sound = zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
            if not sound and kind != b"eXIf":
                raise Refused("its PNG data are damaged: a check value is wrong")
            if sound:
                kept.append(data[at:end])
                kinds.add(kind)
            if kind == b"PLTE":
                palette = length // 3
            if kind == b"tRNS":
                clear = data[at + 8 : end - 4]
        elif kind == b"iTXt" and data.startswith(_XMP, at + 8):
            # Uncompressed, and may hold the orientation.
            kept.append(data[at:end])
        elif kind == b"IEND":
            break
        elif not kind[0] & 0x20:
            raise Refused("its PNG data are damaged: it holds a chunk that no picture needs")
        at = end
    if not kept or kept[0][4:8] != b"IHDR" or len(kept[0]) != 25:
        raise Refused("its PNG header is damaged or cut short")
    if b"IDAT" not in kinds:
        raise Refused("its PNG data are cut short")
    header = kept[0][8:]
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    check_size(width, height, max_pixels)
    kept.append(b"\0\0\0\0IEND\xaeB`\x82")
    return Png(width, height, header[8], header[9], palette, clear, _MAGIC + b"".join(kept))


def decode_deep(png: Png) -> tuple[Gray, npt.NDArray[np.bool_] | None]:
    """Decode a picture of 16 bits per channel with colours or transparency.

    Returns
    -------
    values: (height, width) uint16; transparent parts blended with black.
    film: (height, width), which pixels are not wholly transparent; None where all are.

    Raises
    ------
    Refused
    """
    chunks = png.picture
    if png.clear is not None:
        at = chunks.index(b"tRNS") - 4
        chunks = chunks[:at] + chunks[at + 12 + len(png.clear) :]
    try:
        values = np.asarray(imagecodecs.png_decode(chunks))
    except Exception as error:
        raise Refused("its PNG data are damaged or cut short") from error
    if values.shape[:2] != (png.height, png.width) or values.dtype != np.uint16:
        raise Refused("its PNG data decode to another size or depth than its header says")
    opaque: npt.NDArray[np.bool_] | None = None
    alpha = None
    if png.colours in (_GRAY_ALPHA, _RGBA):
        alpha = values[..., -1]
        opaque, values = alpha > 0, values[..., :-1]
    elif png.clear is not None and len(png.clear) == 2 * (3 if png.colours == _RGB else 1):
        key = np.frombuffer(png.clear, ">u2")
        opaque = (values.reshape(png.height, png.width, -1) != key).any(axis=2)
    gray = values if values.ndim == 2 else values[..., 0]
    if values.ndim == 3 and values.shape[2] == 3:
        gray = luminance(values)
    if alpha is not None and alpha.min() < 65535:
        blended = gray.astype(np.uint32) * alpha
        gray = ((blended + 32767) // 65535).astype(np.uint16)
    elif opaque is not None:
        gray = np.where(opaque, gray, np.uint16(0))
    if opaque is not None and opaque.all():
        opaque = None
    return cast("Gray", gray), opaque
