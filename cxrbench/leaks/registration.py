"""Laying one film over another: how alike are they once crop and size are undone?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.optimize import minimize

from cxrbench.leaks.fingerprint import Float

MIN_OVERLAP = 0.6
"""Share of the first image that the second must cover."""

Placement = npt.NDArray[np.float64]
"""log scale down, log scale across, shift down, shift across; shifts as fractions of the side."""

_SCALES = np.exp(np.linspace(-0.25, 0.25, 11))
_REACH = 9 / 32
"""Largest shift tried, as a fraction of the side."""


class Placer:
    """Lays one image on others at several scales and all shifts, by fast Fourier transform.

    Parameters
    ----------
    image: the moving image, (side, side) float32, of mean about 0.
    """

    def __init__(self, image: Float) -> None:
        self._grid = grid = _grid(len(image))
        placed = np.asarray(grid.warps @ image @ grid.warps.transpose(0, 2, 1), dtype=np.float32)
        self._placed = np.conj(grid.transform(placed))
        self._energy = grid.correlate(grid.everywhere * np.conj(grid.transform(placed * placed)))

    def place(self, others: Float) -> tuple[Float, Placement]:
        """Return the best correlation with each of ``others`` (k, side, side), and where it is reached.

        Returns
        -------
        (k,) correlation over the overlap, and the :data:`Placement` of the image on each other, (k, 4).
        """
        grid = self._grid
        product = grid.correlate(grid.transform(others)[:, None] * self._placed)
        energy = grid.correlate(grid.transform(others * others)[:, None] * grid.inside)
        length = np.sqrt(np.maximum(energy * self._energy, 1e-9))
        correlation = np.where(grid.allowed, product / length, -1.0).reshape(len(others), -1)
        best = correlation.argmax(axis=1)
        scale, down, across = np.unravel_index(best, grid.allowed.shape)
        log_scale = np.log(_SCALES[scale])
        shifts = grid.shifts / grid.side
        placement = np.stack([log_scale, log_scale, shifts[down], shifts[across]], axis=1)
        return correlation[np.arange(len(others)), best].astype(np.float32), placement


@dataclass(frozen=True)
class _Grid:
    """The scales and shifts that are tried on images of one side, and what is the same for all such images.

    ``warps`` (scales, side, side) scale an image; ``everywhere`` and ``inside`` are the transforms of the
    whole square and (conjugate) of what each scaled image covers; ``allowed`` (scales, shifts, shifts) is
    where the overlap is large enough.
    """

    side: int
    size: int
    shifts: npt.NDArray[np.int64]
    warps: Float
    everywhere: npt.NDArray[np.complex64]
    inside: npt.NDArray[np.complex64]
    allowed: npt.NDArray[np.bool_]

    def transform(self, images: Float) -> npt.NDArray[np.complex64]:
        return _transform(images, self.size)

    def correlate(self, product: npt.NDArray[np.complex64]) -> Float:
        return _correlate(product, self.size, self.shifts)


@cache
def _grid(side: int) -> _Grid:
    reach = round(_REACH * side)
    size = fft.next_fast_len(side + reach, real=True)
    shifts = np.r_[0 : reach + 1, -reach:0]
    scaled = [warp(side, scale, 0.0) for scale in _SCALES]
    covered = np.stack([np.outer(inside, inside) for _, inside in scaled]).astype(np.float32)
    everywhere = _transform(np.ones((side, side), dtype=np.float32), size)
    inside = np.conj(_transform(covered, size))
    overlap = _correlate(everywhere * inside, size, shifts)
    return _Grid(
        side,
        size,
        shifts,
        np.stack([weights for weights, _ in scaled]),
        everywhere,
        inside,
        # Half a pixel for rounding.
        overlap >= MIN_OVERLAP * side * side - 0.5,
    )


def _transform(images: Float, size: int) -> npt.NDArray[np.complex64]:
    return np.asarray(fft.rfft2(images, (size, size)), dtype=np.complex64)


def _correlate(product: npt.NDArray[np.complex64], size: int, shifts: npt.NDArray[np.int64]) -> Float:
    full = np.asarray(fft.irfft2(product, (size, size)), dtype=np.float32)
    return full[..., shifts, :][..., shifts]


def polish(fixed: Float, moving: Float, placement: Placement, steps: int) -> tuple[float, Placement]:
    """Improve a placement of ``moving`` on ``fixed`` (both (side, side)) and return its correlation.

    Scale and shift are free in both directions (Nelder and Mead, 1965).
    """
    # Corners move about as far by a unit of scale as by a unit of shift.
    unit = np.array([1.2, 1.2, 0.6, 0.6]) / len(fixed)
    found = minimize(
        lambda moved: -correlation_at(fixed, moving, placement + moved * unit),
        np.zeros(4),
        method="Nelder-Mead",
        options={
            "maxfev": steps,
            "initial_simplex": np.vstack([np.zeros(4), 2 * np.eye(4)]),
            "xatol": 0.03,
            "fatol": 1e-3,
        },
    )
    return float(-found.fun), placement + found.x * unit


def inverse(placement: Placement) -> Placement:
    """Return where the fixed image lies on the moving one."""
    scale, shift = placement[:2], placement[2:]
    return np.concatenate([-scale, -shift / np.exp(scale)])


def correlation_at(fixed: Float, moving: Float, placement: Placement) -> float:
    """Return the correlation of ``fixed`` with ``moving`` laid on it, over what both cover.

    Where that is less than :data:`MIN_OVERLAP` the answer is -1.
    """
    side = len(fixed)
    down, inside_down = warp(side, float(np.exp(placement[0])), float(placement[2]) * side)
    across, inside_across = warp(side, float(np.exp(placement[1])), float(placement[3]) * side)
    if inside_down.sum() * inside_across.sum() < MIN_OVERLAP * side * side:
        return -1.0
    a = fixed[np.ix_(inside_down, inside_across)]
    b = down[inside_down] @ moving @ across[inside_across].T
    a, b = a - a.mean(), b - b.mean()
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 1e-6 else 0.0


def warp(side: int, scale: float, shift: float) -> tuple[Float, npt.NDArray[np.bool_]]:
    """Return what scales one axis about its centre and shifts it, by linear interpolation.

    Returns
    -------
    (side, side) weights to multiply an image with, and (side,) whether a row of the result lies inside it.
    """
    centre = (side - 1) / 2
    cells = np.arange(side)
    source = (cells - centre - shift) / scale + centre
    weights = np.clip(1 - np.abs(source[:, None] - cells), 0, None).astype(np.float32)
    inside = (source >= -1e-6) & (source <= side - 1 + 1e-6)
    weights[~inside] = 0
    return weights, inside
