"""JPEG 2000 codestreams (ITU-T T.800), also in a JP2 file: whole, or refused."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass
from typing import cast

import imagecodecs
import numpy as np
import numpy.typing as npt
from PIL import Image

from cxrbench.radiograph.refusal import Refused, check_size

_START = b"\xff\x4f\xff\x51"
_BOXES = b"\x00\x00\x00\x0cjP  "
_CUT = "its JPEG 2000 data are damaged or cut short"


@dataclass(frozen=True)
class Codestream:
    """What a codestream's own header says.

    Parameters
    ----------
    bits, signed: of its samples; all components have the same.
    components: how many.
    levels: how often its size is halved: it can be decoded at each of these sizes.
    """

    bits: int
    signed: bool
    height: int
    width: int
    components: int
    levels: int
    _stream: bytes


def is_jpeg_2000(stream: bytes) -> bool:
    """Return whether a stream is a JPEG 2000 codestream or a JP2 file."""
    return stream.startswith((_START, _BOXES))


def parse(stream: bytes) -> Codestream:
    """Read the main header and walk over the tile parts to the end marker.

    Raises
    ------
    Refused: not whole, or of a kind that no radiograph is stored in.
    """
    if stream.startswith(_BOXES):
        stream = _inside_jp2(stream)
    size = int.from_bytes(stream[4:6], "big")
    if len(stream) < 4 + size or size < 41:
        raise Refused("its JPEG 2000 stream ends within its header")
    right, bottom, left, top = (int.from_bytes(stream[at : at + 4], "big") for at in range(8, 24, 4))
    tile_width, tile_height = (int.from_bytes(stream[at : at + 4], "big") for at in range(24, 32, 4))
    count = int.from_bytes(stream[40:42], "big")
    parts = stream[42 : 42 + 3 * count]
    if len(parts) < 3 * count or count == 0 or tile_width == 0 or tile_height == 0:
        raise Refused("its JPEG 2000 stream ends within its header")
    if len({parts[3 * index] for index in range(count)}) > 1 or set(parts[1::3]) | set(parts[2::3]) != {1}:
        raise Refused("its JPEG 2000 components differ in depth or size")
    at, empty_packets, levels = 4 + size, 0, 0
    while at + 4 <= len(stream) and stream[at : at + 2] != b"\xff\x90":
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if stream[at] != 0xFF or length < 2:
            raise Refused(_CUT)
        if marker == 0x52 and length >= 12:
            layers = int.from_bytes(stream[at + 6 : at + 8], "big")
            levels = stream[at + 9]
            places = 0
            for level in range(levels + 1):
                # A precinct is 2^15 by 2^15 where nothing else is said; its size is given in powers of two.
                powers = stream[at + 14 + level] if stream[at + 4] & 1 else 0xFF
                wide, high = (
                    -(-side >> (levels - level + power))
                    for side, power in ((tile_width, powers & 15), (tile_height, powers >> 4))
                )
                places += (wide + 1) * (high + 1)
            empty_packets = layers * count * places
        at += 2 + length
    tiles = -(-(right - left) // tile_width) * -(-(bottom - top) // tile_height)
    _walk_to_the_end(stream, at, tiles, empty_packets)
    depth = parts[0]
    return Codestream((depth & 0x7F) + 1, depth > 0x7F, bottom - top, right - left, count, levels, stream)


def decode(codestream: Codestream, max_pixels: int) -> npt.NDArray[np.integer]:
    """Decode a codestream: (height, width) or (height, width, components), signed where its samples are.

    Raises
    ------
    Refused
    """
    # OpenJPEG holds 32-bit integers, twice.
    check_size(codestream.width, codestream.height * max(1, codestream.components // 3), max_pixels)
    if codestream.components not in (1, 3) or codestream.bits > 16:
        raise Refused("its JPEG 2000 stream has components or a depth that no radiograph has")
    try:
        values = np.asarray(imagecodecs.jpeg2k_decode(codestream._stream, numthreads=1))
    except Exception as error:
        raise Refused(_CUT) from error
    if values.shape[:2] != (codestream.height, codestream.width):
        raise Refused("its JPEG 2000 stream decodes to another size than its header says")
    return values


def decode_small(codestream: Codestream, max_pixels: int, halvings: int) -> npt.NDArray[np.integer]:
    """Decode one component without sign at 1/2, 1/4 or 1/8 of its size, and nothing finer.

    Raises
    ------
    Refused
    """
    check_size(codestream.width, codestream.height, max_pixels)
    try:
        with Image.open(io.BytesIO(codestream._stream), formats=("JPEG2000",)) as image:
            image.reduce = halvings  # type: ignore[assignment,method-assign]
            image.load()
            values = np.asarray(image)
    except Exception as error:
        raise Refused(_CUT) from error
    sides = tuple(-(-side >> halvings) for side in (codestream.height, codestream.width))
    if values.shape != sides or values.dtype not in (np.uint8, np.uint16):
        raise Refused("its JPEG 2000 stream decodes to another size than its header says")
    # Pillow moves the bits to the upper end of the word.
    return cast("npt.NDArray[np.integer]", values >> (8 * values.itemsize - codestream.bits))


def _inside_jp2(stream: bytes) -> bytes:
    at = 0
    while at + 8 <= len(stream):
        length, kind = int.from_bytes(stream[at : at + 4], "big"), stream[at + 4 : at + 8]
        start = at + 8
        if length == 1:
            length, start = int.from_bytes(stream[at + 8 : at + 16], "big"), at + 16
        end = at + length if length else len(stream)
        if kind == b"jp2c" and stream.startswith(_START, start):
            return stream[start:end]
        if end <= at:
            break
        at = end
    raise Refused("its JP2 file holds no JPEG 2000 stream")


def _walk_to_the_end(stream: bytes, at: int, tiles: int, empty_packets: int) -> None:
    """Follow the lengths of the tile parts to the end marker.

    OpenJPEG checks no content: a tail of zeros decodes, as packets that say that they are empty. An empty
    packet is one byte, so that more zeros in a row than there are packets are not a picture.
    """
    parts: Counter[int] = Counter()
    promised: dict[int, int] = {}
    while stream[at : at + 2] == b"\xff\x90" and at + 12 <= len(stream):
        tile = int.from_bytes(stream[at + 4 : at + 6], "big")
        parts[tile] += 1
        promised[tile] = stream[at + 11] or promised.get(tile, 0)
        length = int.from_bytes(stream[at + 6 : at + 10], "big")
        if length == 0:
            # The last tile part runs to the end marker.
            end = stream.rfind(b"\xff\xd9", at)
            length = max(end - at, 0)
        if length < 14 or at + length > len(stream):
            raise Refused(_CUT)
        at += length
    if stream[at : at + 2] != b"\xff\xd9":
        raise Refused(_CUT)
    if len(parts) < tiles or any(parts[tile] < number for tile, number in promised.items()):
        raise Refused("its JPEG 2000 data are cut short: whole tiles are missing")
    if bytes(min(empty_packets, len(stream)) + 16) in stream:
        raise Refused("its JPEG 2000 data are overwritten with zeros")
