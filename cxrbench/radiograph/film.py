"""Where the film lies in its picture: borders that are dark or white all along are not part of it.

Scans and screenshots have them, and collimated films. A border tells a network the archive and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

DARK, WHITE = 25, 235
"""Grey values up to which, and from which, an edge may be a border."""
NEAR = 14
"""How far a border's grey values may lie from its median: noise and JPEG."""
SHARE = 0.85
"""Of a line's pixels, so many are near the median in a border: a marker of letters may lie in the rest."""
THINNEST = 0.01
"""Of the side. A thinner border is left alone."""
LEAST = 0.5
"""Of each side. What would leave less is no border, and nothing is cut off."""
NESTED = 3
"""A white page around a dark margin around the film, and one to spare."""


class Box(NamedTuple):
    """Rows ``top:bottom`` and columns ``left:right``."""

    top: int
    bottom: int
    left: int
    right: int


def film_box(values: npt.NDArray[np.uint8]) -> Box:
    """Return the box of the film in a picture, (height, width) uint8; all of it where there is no border.

    A film that lies askew is boxed whole, with what is left of the border in the corners. A white bottom or
    side alone is no border, for an overexposed abdomen looks alike: white needs two sides.
    """
    height, width = values.shape
    box = Box(0, height, 0, width)
    for _ in range(NESTED):
        inner = _without_border(values, box)
        if inner == box:
            break
        box = inner
    thin = [
        box.top < THINNEST * height,
        height - box.bottom < THINNEST * height,
        box.left < THINNEST * width,
        width - box.right < THINNEST * width,
    ]
    top, bottom, left, right = (
        whole if is_thin else cut
        for whole, cut, is_thin in zip((0, height, 0, width), box, thin, strict=True)
    )
    if bottom - top < LEAST * height or right - left < LEAST * width:
        return Box(0, height, 0, width)
    return Box(top, bottom, left, right)


def _without_border(values: npt.NDArray[np.uint8], box: Box) -> Box:
    """Return ``box`` without the border that lies at its edges."""
    inside = values[box.top : box.bottom, box.left : box.right]
    lines = (inside, inside[::-1], inside.T, inside.T[::-1])
    found = [_border(side) for side in lines]
    if sum(white and depth > 0 for depth, white in found) < 2:
        found = [(0 if white else depth, white) for depth, white in found]
    (top, _), (bottom, _), (left, _), (right, _) = found
    return Box(box.top + top, box.bottom - bottom, box.left + left, box.right - right)


def _border(lines: npt.NDArray[np.uint8]) -> tuple[int, bool]:
    """Return how many ``lines`` (n, length), from the first on, are border, and whether it is white."""
    if lines.size == 0:
        return 0, False
    level = float(np.median(lines[0]))
    if DARK < level < WHITE:
        return 0, False
    near = np.abs(lines.astype(np.int16) - level) <= NEAR
    inside = np.flatnonzero(near.mean(axis=1) < SHARE)
    return int(inside[0]) if inside.size else len(lines), level >= WHITE
