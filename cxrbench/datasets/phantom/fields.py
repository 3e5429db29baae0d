"""Building blocks of the drawing: noise fields and soft shapes on (n, size, size) float32 tensors.

Only additions, products, quotients, roots, clamps and gathers of rows are used. These round the same way
whatever the shape of the batch, which makes an image the same, bit for bit, in every batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cxrbench.datasets.phantom.keys import Keys, name_key


@dataclass(frozen=True)
class Parameters:
    """A table of what was drawn for n images; ``p[name]`` is (n, 1, 1) float32.

    Parameters
    ----------
    rows: name -> row of ``table``.
    table: (k, n) float32.
    """

    rows: dict[str, int]
    table: Tensor

    def __getitem__(self, name: str) -> Tensor:
        return self.table[self.rows[name]].view(-1, 1, 1)

    def take(self, index: Tensor) -> Parameters:
        """Return the images at ``index``."""
        return Parameters(self.rows, self.table.index_select(1, index))

    def between(self, images: slice) -> Parameters:
        """Return the images of a slice."""
        return Parameters(self.rows, self.table[:, images])


def key_halves(keys: Keys, device: torch.device) -> Tensor:
    """Return (2, n) int32: the low and the high halves of 64-bit keys."""
    halves = np.ascontiguousarray(keys).view(np.int32).reshape(-1, 2)
    return torch.from_numpy(halves.copy()).to(device).t().contiguous()


def _int32(value: int) -> int:
    return (value & 0xFFFFFFFF) - ((value & 0x80000000) << 1)


def hash_bits(halves: Tensor, stream: str, count: int) -> Tensor:
    """Return (n, count) int32 of random bits: a 32-bit hash of key, stream and position.

    The rounds are those of Chris Wellons' lowbias32 (hash-prospector, 2018).
    """
    position = torch.arange(count, dtype=torch.int32, device=halves.device)
    salt = name_key(stream)
    low, high = (halves[0] ^ _int32(salt)).unsqueeze(1), (halves[1] ^ _int32(salt >> 32)).unsqueeze(1)
    x = (position * _int32(0x9E3779B1)).unsqueeze(0) ^ low
    x = (x ^ ((x >> 16) & 0xFFFF)) * _int32(0x7FEB352D)
    x = (x ^ high ^ ((x >> 15) & 0x1FFFF)) * _int32(0x846CA68B)
    x = (x ^ ((x >> 16) & 0xFFFF)) * _int32(0x7FEB352D)
    return x ^ ((x >> 15) & 0x1FFFF)


def white_noise(halves: Tensor, stream: str, size: int) -> Tensor:
    """Return (n, size, size) of independent values, mean 0 and standard deviation 1: sums of four bytes."""
    bits = hash_bits(halves, stream, size * size)
    total = (bits & 0xFF) + ((bits >> 8) & 0xFF) + ((bits >> 16) & 0xFF) + ((bits >> 24) & 0xFF)
    # Four uniform bytes: mean 510, variance 4 (256² - 1) / 12.
    return ((total.float() - 510.0) * (1.0 / 147.8005)).view(-1, size, size)


def smooth_noise(halves: Tensor, stream: str, cells: int, size: int) -> Tensor:
    """Return (n, size, size) of smooth noise in 0..1, about ``cells`` bumps across, the same at every size.

    Uniform values on a lattice, interpolated by quadratic B-splines (which narrow the range), then stretched
    to a standard deviation near 0.22 and clamped.
    """
    grid = cells + 3
    bits = hash_bits(halves, stream, grid * grid)
    lattice = ((bits >> 8) & 0xFFFF).float().mul_(1.0 / 65536.0).view(-1, grid, grid)
    taps = _spline_taps(cells, size, halves.device)
    columns = lattice.index_select(2, taps[0][0]).mul_(taps[0][1])
    for index, weight in taps[1:]:
        columns += lattice.index_select(2, index).mul_(weight)
    field = columns.index_select(1, taps[0][0]).mul_(taps[0][1].t())
    for index, weight in taps[1:]:
        field += columns.index_select(1, index).mul_(weight.t())
    return field.mul_(1.4).sub_(0.2).clamp_(0.0, 1.0)


@lru_cache(maxsize=64)
def _spline_taps(cells: int, size: int, device: torch.device) -> tuple[tuple[Tensor, Tensor], ...]:
    """Return the three lattice points under each pixel and their weights, (size,) and (1, size)."""
    centre = (torch.arange(size, device=device).double() + 0.5) * (cells / size) + 0.5
    first = centre.floor()
    f, index = (centre - first).float().unsqueeze(0), first.long()
    weights = (0.5 * (1.0 - f) * (1.0 - f), 0.75 - (f - 0.5) * (f - 0.5), 0.5 * f * f)
    return tuple((index + i, w) for i, w in enumerate(weights))


def step(x: Tensor) -> Tensor:
    """Return the smooth step 3x² - 2x³ of x clamped to 0..1."""
    t = x.clamp(0.0, 1.0)
    return (t * -2.0).add_(3.0).mul_(t).mul_(t)


def bump(square: Tensor) -> Tensor:
    """Return (1 - square)² where ``square`` < 1, else 0: a soft disc of a squared distance."""
    t = square.neg().add_(1.0).clamp_(min=0.0)
    return t.mul_(t)


def dome(square: Tensor) -> Tensor:
    """Return sqrt(1 - square) where ``square`` < 1, else 0: the thickness of a ball at a squared distance."""
    return square.neg().add_(1.0).clamp_(min=0.0).sqrt_()


def line(distance: Tensor, width: float | Tensor, pixel: float) -> Tensor:
    """Return a line of half-width ``width`` about ``distance`` 0, fainter where a pixel is wider than it."""
    if isinstance(width, Tensor):
        wide = width.clamp(min=pixel)
        return (distance / wide).abs_().neg_().add_(1.0).clamp_(min=0.0).mul_(width / wide)
    broad = max(width, pixel)
    return (distance * (1.0 / broad)).abs_().neg_().add_(1.0).clamp_(min=0.0).mul_(width / broad)


def sawtooth(phase: Tensor) -> Tensor:
    """Return the signed distance of ``phase`` from its nearest whole number, in -0.5..0.5."""
    return phase - (phase + 0.5).floor_()
