"""What distinguishes one film from another: its fine detail, freed of exposure and contrast.

Chest films all look alike when blurred, and one film looks like itself when written again: as JPEG, resized,
with another window. What lies between, structures of a few hundredths of the chest's width, is its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

Float = npt.NDArray[np.float32]

SIDE = 32
"""Side of a fingerprint."""
_BLUR = 1.0
"""Standard deviation, in pixels of the reduced image, of the blur that is taken away."""
_FLOOR = 2.0
"""Grey levels of contrast below which detail counts as noise."""
_LIMIT = 3.0
"""Detail beyond so many local standard deviations (letters, arrows, markers) counts no more than that."""
_BLOCK = 32
"""Images at a time, few enough for the processor's cache."""


def detail(pixels: npt.NDArray[np.uint8], side: int) -> Float:
    """Return the fine detail of images at a given side.

    Images are reduced by averaging areas, a Gaussian blur is taken away, and what is left is divided by its
    local strength.

    Parameters
    ----------
    pixels: (n, size, size) uint8; every size is reduced to the same thing, best from 64 up.
    side: of the result, in pixels.

    Returns
    -------
    (n, side, side) float32.
    """
    average = _averaging(pixels.shape[1], side)
    reduced = np.empty((len(pixels), side, side), dtype=np.float32)
    for start in range(0, len(pixels), _BLOCK):
        block = pixels[start : start + _BLOCK].astype(np.float32)
        reduced[start : start + _BLOCK] = average @ block @ average.T
    fine = reduced - _blur(reduced, _BLUR)
    strength = np.sqrt(_blur(fine * fine, 2 * _BLUR))
    return np.clip(fine / (strength + _FLOOR), -_LIMIT, _LIMIT)


def fingerprints(pixels: npt.NDArray[np.uint8], side: int = SIDE) -> Float:
    """Return the fingerprint of images: their :func:`detail` at a given side, with mean 0 and length 1.

    The product of two fingerprints is the correlation of their detail: 1 for the same film at any size and
    exposure, near 0 for different ones. An image without any detail has the fingerprint 0.

    Parameters
    ----------
    pixels: (n, size, size) uint8.

    Returns
    -------
    (n, side * side) float32.
    """
    return normalised(detail(pixels, side).reshape(len(pixels), side * side))


def normalised(flat: Float) -> Float:
    """Return rows (n, d) with mean 0 and length 1, or 0 where there is nothing."""
    flat = flat - flat.mean(axis=1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    return np.asarray(np.where(length > 1e-3, flat / np.maximum(length, 1e-3), 0.0), dtype=np.float32)


def _blur(images: Float, sigma: float) -> Float:
    return np.asarray(gaussian_filter(images, (0, sigma, sigma), mode="nearest"), dtype=np.float32)


def _averaging(size: int, side: int) -> Float:
    """Return (side, size): row i averages the part of the image that pixel i of the result covers."""
    edges = np.linspace(0, size, side + 1)
    cells = np.arange(size)
    overlap = np.minimum(cells + 1, edges[1:, None]) - np.maximum(cells, edges[:-1, None])
    return np.asarray(np.clip(overlap, 0, None) * (side / size), dtype=np.float32)
