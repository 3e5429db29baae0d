"""Which of two readings of the same bytes is the picture: the one in which neighbours are alike.

A header that is wrong about the order of bytes, the sign, or the length of a row scatters the grey levels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_PAIRS, _COLUMNS = 32, 1024
"""How many pairs of rows are looked at, and how many of their columns."""
CLEARLY = 3.0
"""A reading whose neighbours differ by so many times less is the picture."""
_NOISE = 0.02
"""Of the range: where neighbours differ by more, the sign cannot be told."""
_SHARE, _LEVELS = 0.02, 32
"""Of either sign, so many of the pixels and of the grey levels, or the sign cannot be told."""

_TORN = 32
"""So many neighbours must be torn apart."""

_Values = npt.NDArray[np.integer]


def _pairs(values: _Values) -> npt.NDArray[np.int32]:
    """Return pairs of neighbouring rows from all over a picture, the middle of each, (pairs, 2, columns)."""
    tops = np.unique(np.linspace(0, len(values) - 2, _PAIRS).astype(int))
    left = max(0, (values.shape[1] - _COLUMNS) // 2)
    middle = slice(left, left + _COLUMNS)
    return np.stack([values[tops, middle], values[tops + 1, middle]], axis=1).astype(np.int32)


def _steps(pairs: npt.NDArray[np.int32]) -> float:
    """Return by how much neighbours differ in the mean, across and down."""
    across, down = np.abs(np.diff(pairs, axis=2)), np.abs(np.diff(pairs, axis=1))
    return float(across.mean() + down.mean())


def _too_small(values: _Values) -> bool:
    return bool(min(values.shape[:2]) < 16)


def is_swapped(words: _Values) -> bool:
    """Return whether 16-bit words (height, width) make a picture with their bytes in the other order."""
    if _too_small(words):
        return False
    stated = _pairs(words)
    swapped = (stated & 0xFF) << 8 | stated >> 8
    # As shares of the range: swapping changes it.
    rough, smooth = (_steps(pairs) / max(1.0, float(pairs.std())) for pairs in (stated, swapped))
    return bool(rough > 0.3 and rough > CLEARLY * smooth)


def is_of_other_sign(words: _Values, bits: int, *, signed: bool) -> bool:
    """Return whether words of ``bits``, (height, width), are a picture only with the other sign.

    With the wrong one, neighbours on either side of zero, or of half of the range, are a range apart.

    Parameters
    ----------
    signed: whether they are said to be two's complement.
    """
    if _too_small(words):
        return False
    plain = _pairs(words) & (2**bits - 1)
    upper = plain >= 2 ** (bits - 1)
    turned = plain - (upper * 2**bits)
    stated, other = (
        np.abs(np.diff(pairs, axis=2)) for pairs in ((turned, plain) if signed else (plain, turned))
    )
    torn = stated >= 2 ** (bits - 1)
    if torn.sum() < max(_TORN, CLEARLY * (other >= 2 ** (bits - 1)).sum()):
        return False
    # White letters or a white border are no negative values, and a black one is no zero.
    if not _SHARE < upper.mean() < 1 - _SHARE or not (_varied(plain[upper]) and _varied(plain[~upper])):
        return False
    usual = np.median(other[~torn])
    return bool(usual < _NOISE * 2**bits and np.median(other[torn]) <= 1 + CLEARLY * usual)


def _varied(values: npt.NDArray[np.int32]) -> bool:
    levels, counts = np.unique(values, return_counts=True)
    return bool(len(levels) >= _LEVELS and counts.max() <= counts.sum() / 2)


def is_turned(values: _Values) -> bool:
    """Return whether values (height, width) make a picture if width and height are exchanged."""
    height, width = values.shape
    if height == width or _too_small(values):
        return False
    stated, other = _pairs(values), _pairs(values.reshape(width, height))
    rough, smooth = (float(np.abs(np.diff(pairs, axis=1)).mean()) for pairs in (stated, other))
    if rough <= 0.2 * float(stated.std()) or rough <= CLEARLY * smooth:
        return False
    # Of a striped picture, as of a grid or an interlaced one, every other row is alike.
    tops = np.unique(np.linspace(0, height - 3, _PAIRS).astype(int))
    striped = float(np.abs(values[tops + 2].astype(np.int32) - values[tops]).mean())
    return rough <= CLEARLY * striped


def is_smoother(other: _Values, stated: _Values) -> bool:
    """Return whether ``other``, (height, width, 3), is the picture, and ``stated`` is not.

    A gray film has three planes that are alike; of a coloured one, neighbours are.
    """
    if (other == other[..., :1]).all():
        return not (stated == stated[..., :1]).all()
    if _too_small(stated):
        return False
    rough, smooth = (
        sum(_steps(_pairs(reading[..., plane])) for plane in range(3)) for reading in (stated, other)
    )
    return rough > CLEARLY * smooth
