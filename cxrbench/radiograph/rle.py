"""RLE streams (DICOM PS3.5 annex G): one run-length coded segment a byte of a sample."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import numpy.typing as npt

from cxrbench.radiograph.refusal import Refused

_HEADER = 64


def decode(
    stream: bytes, height: int, width: int, samples: int, size: int
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Decode a frame: (height, width) or (height, width, samples).

    Parameters
    ----------
    size: bytes per sample, 1 or 2.

    Raises
    ------
    Refused: segments are missing, or decode to more or fewer bytes than there are pixels.
    """
    if len(stream) < _HEADER:
        raise Refused("its RLE stream ends within its header")
    count, *offsets = struct.unpack("<16I", stream[:_HEADER])
    if count != samples * size:
        raise Refused("its RLE stream has another number of segments than its samples have bytes")
    ends = [*offsets[1:count], len(stream)]
    values = np.empty((samples, height, width, size), np.uint8)
    for index, (start, end) in enumerate(zip(offsets[:count], ends, strict=True)):
        if not _HEADER <= start < end <= len(stream):
            raise Refused("its RLE stream is damaged: a segment lies outside of it")
        sample, byte = divmod(index, size)
        # The most significant byte comes first.
        values[sample, :, :, size - 1 - byte] = _segment(stream[start:end], height * width).reshape(
            height, width
        )
    words = values.view(f"<u{size}")[..., 0]
    return words[0] if samples == 1 else np.moveaxis(words, 0, -1)


def _segment(coded: bytes, length: int) -> npt.NDArray[np.uint8]:
    # A segment is padded to an even length; the padding codes nothing.
    for candidate in (coded, coded[:-1]) if coded.endswith(b"\0") else (coded,):
        try:
            decoded = imagecodecs.packbits_decode(candidate, out=length)
        except Exception:
            continue
        if len(decoded) == length:
            return np.frombuffer(decoded, np.uint8)
    raise Refused("its RLE data are damaged or cut short")
