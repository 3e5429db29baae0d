"""Fingerprints: one small number per image, so that what differs can be counted and not only noticed.

A fingerprint is a CRC-32. It does not protect against an attacker; the digests of packs and files are.
"""

from __future__ import annotations

import base64
import hashlib
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from cxrbench.cores import usable_cores

T = TypeVar("T")
Found = TypeVar("Found")

_BLOCK = 64
"""Images at a time."""

UNKNOWN = 255
"""How a label that is not known is stored; 0 and 1 are themselves, and a smoothed one its nearest 1/200."""


def of_texts(texts: Iterable[str]) -> npt.NDArray[np.uint32]:
    """Return (n,) fingerprints of ``texts``."""
    return np.array([zlib.crc32(text.encode("utf-8", "surrogateescape")) for text in texts], dtype=np.uint32)


def of_pixels(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    """Return (n,) fingerprints of ``pixels`` (n, height, width)."""
    blocks = (pixels[start : start + _BLOCK] for start in range(0, len(pixels), _BLOCK))
    return np.concatenate([np.zeros(0, np.uint32), *_on_all_cores(_prints, blocks)])


def of_blocks(
    blocks: Iterable[npt.NDArray[np.uint8]],
) -> tuple[npt.NDArray[np.uint32], float, float]:
    """Return :func:`of_pixels` of all ``blocks`` of images, with their pixels' mean and SD in [0, 1].

    Each block is read once, so that a part of any size needs the memory of a few blocks.
    """
    prints: list[npt.NDArray[np.uint32]] = []
    count = total = squares = 0
    for found, pixels, one, two in _on_all_cores(_prints_and_sums, blocks):
        prints.append(found)
        count, total, squares = count + pixels, total + one, squares + two
    # In whole numbers: a difference of two rounded ones would lose a small variance.
    variance = (count * squares - total * total) / (count * count)
    return np.concatenate(prints), total / count / 255, math.sqrt(variance) / 255


def _prints(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint32]:
    return np.array([zlib.crc32(image) for image in np.ascontiguousarray(pixels)], dtype=np.uint32)


def _prints_and_sums(pixels: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint32], int, int, int]:
    # Whole numbers below 2 ** 53: no sum is rounded, and none depends on how images lie in blocks.
    exact = pixels.astype(np.float64).ravel()
    return _prints(pixels), exact.size, int(exact.sum()), int(exact @ exact)


def _on_all_cores(of: Callable[[T], Found], blocks: Iterable[T]) -> Iterator[Found]:
    """Yield what ``of`` finds in each of ``blocks``: a paper-sized cohort has 5 GB, too much for one core."""
    # No more, since as many blocks are in memory.
    cores = min(usable_cores(), 8)
    some = iter(blocks)
    with ThreadPoolExecutor(cores) as pool:
        while group := list(islice(some, cores)):
            yield from pool.map(of, group)


def of_labels(labels: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Return ``labels`` (n, labels) in [0, 1] or NaN as (n, labels) bytes: 200 steps, and :data:`UNKNOWN`."""
    steps = np.rint(np.nan_to_num(labels) * 200)
    return np.where(np.isnan(labels), UNKNOWN, steps).astype(np.uint8)


def _bytes(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]) -> bytes:
    return values.astype(values.dtype.newbyteorder("<")).tobytes()


def packed(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]) -> str:
    """Return ``values`` as text: little-endian bytes, compressed, in base 64."""
    return base64.b64encode(zlib.compress(_bytes(values), 9)).decode()


def digest(values: npt.NDArray[np.uint8] | npt.NDArray[np.uint32]) -> str:
    """Return a short digest of fingerprints, 16 hex digits."""
    return hashlib.sha256(_bytes(values)).hexdigest()[:16]


def unpacked(text: str, kind: type[np.uint8] | type[np.uint32]) -> npt.NDArray[np.uint64]:
    """Return what :func:`packed` packed, as whole numbers (n,).

    Raises
    ------
    ValueError: the text is not what :func:`packed` returns.
    """
    try:
        content = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return np.frombuffer(content, dtype=np.dtype(kind).newbyteorder("<")).astype(np.uint64)
