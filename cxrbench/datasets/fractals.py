"""Pictures of iterated function systems: what a trunk can be trained on before it sees a radiograph.

A class is a set of two to six affine maps of the plane, and a picture the density of the points that a random
sequence of them visits, on a smooth background. Pictures of one class differ by a small change of the maps.
No picture shows anything of a body. After Kataoka et al., "Pre-training without natural images", ACCV 2020;
the maps are drawn after Anderson and Farrell, "Improving fractal pre-training", WACV 2022.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.cohort.table import Cohort
from cxrbench.errors import DatasetError

Floats = npt.NDArray[np.float32]

MAPS = (2, 6)
"""Fewest and most maps of a class."""
STRETCH = (0.3, 0.85)
"""Range of a map's larger singular value: below 1, so that the points stay where they are."""
SHAKEN, MOVED = 0.12, 0.08
"""By how much pictures of a class differ: in their matrices as a factor, and in their offsets."""
CHAINS, BURN_IN = 96, 12
"""Points that move at a time, and how many of their first places are not drawn."""
DENSITY = 0.75
"""Points drawn per pixel."""
GRID = 5
"""The background is a smooth surface through so many values a side."""
CHUNK = 128
"""Pictures in memory at a time."""
_MOST = 100_000
"""More classes, or pictures of each, are a slip of the pen."""


@dataclass(frozen=True)
class FractalPixels:
    """Pictures that are drawn when read.

    classes: the class of each picture, (n,). numbers: which picture of its class it is, (n,). seed: of all.
    """

    classes: npt.NDArray[np.int64]
    numbers: npt.NDArray[np.int64]
    seed: int

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        """Return picture ``index`` as (size, size) uint8."""
        return np.asarray(self.read_batch([index], size)[0])

    def read_batch(self, indices: Sequence[int] | npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
        """Return the pictures at ``indices`` as (n, size, size) uint8; each is the same in any company."""
        rows = np.asarray(indices, dtype=np.int64)
        chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        drawn = [_draw(self.classes[rows], self.numbers[rows], self.seed, size) for rows in chunks]
        return np.concatenate(drawn) if drawn else np.empty((0, size, size), np.uint8)

    def fingerprint(self) -> str:
        """Return a hex digest of all that the pixels depend on."""
        sha = hashlib.sha256(Path(__file__).read_bytes())
        for part in (self.classes, self.numbers, np.array([self.seed], np.int64)):
            sha.update(part.astype("<i8").tobytes())
        return sha.hexdigest()


def fractals(classes: int, each: int, seed: int) -> Cohort:
    """Return the cohort of ``each`` pictures of each of ``classes`` classes; a class is a label.

    Rows go by the picture's number, and under one number by its class: more pictures come at the end.

    Raises
    ------
    DatasetError: fewer than two classes or pictures of each.
    """
    check_numbers(classes, each)
    numbers, of = np.divmod(np.arange(classes * each, dtype=np.int64), classes)
    labels = tuple(f"class {k + 1}" for k in range(classes))
    names = [f"fractal-{k + 1:04d}-{number + 1:05d}" for k, number in zip(of, numbers, strict=True)]
    table = pd.DataFrame(
        {
            "image_id": names,
            "patient_id": names,
            "view": None,
            "sex": None,
            "age": np.nan,
            "source": "fractals",
            "path": [f"{name}.png" for name in names],
        }
    )
    one_hot = pd.DataFrame(np.eye(classes)[of], columns=list(labels))
    return Cohort(
        dataset="fractals",
        table=pd.concat([table, one_hot], axis=1),
        labels=labels,
        pixels=FractalPixels(of, numbers, seed),
        listed=len(table),
    )


def check_numbers(classes: int, each: int) -> None:
    """Raise DatasetError where there are fewer than two classes, or pictures of each, or too many."""
    for name, value in (("classes", classes), ("each", each)):
        if type(value) is not int or not 2 <= value <= _MOST:
            raise DatasetError(
                f"fractals: {name} must be a whole number of 2 or more, at most {_MOST:,}, not {value!r}"
            )


def _draw(
    classes: npt.NDArray[np.int64], numbers: npt.NDArray[np.int64], seed: int, size: int
) -> npt.NDArray[np.uint8]:
    n, steps = len(classes), BURN_IN + max(1, round(DENSITY * size * size / CHAINS))
    maps = np.zeros((n, MAPS[1], 6), np.float32)
    which = np.empty((steps, n, CHAINS), np.int8)
    background = np.empty((n, GRID, GRID), np.float32)
    noise = np.empty((n, size, size), np.float32)
    systems = {int(k): _system(int(k), seed) for k in np.unique(classes)}
    for row, (k, number) in enumerate(zip(classes.tolist(), numbers.tolist(), strict=True)):
        rng = np.random.default_rng((seed, k, number))
        system, edges = systems[k]
        shaken = system * (1 + SHAKEN * rng.uniform(-1, 1, system.shape))
        shaken[:, 4:] += MOVED * rng.uniform(-1, 1, (len(system), 2))
        maps[row, : len(system)] = shaken
        which[:, row] = np.searchsorted(edges, rng.random((steps, CHAINS), np.float32)).clip(
            max=len(system) - 1
        )
        background[row] = rng.random((GRID, GRID), np.float32)
        noise[row] = rng.standard_normal((size, size), np.float32)
    counts = _visits(maps, which, size)
    shape = np.log1p(counts)
    shape /= np.maximum(shape.max(axis=(1, 2), keepdims=True), 1e-6)
    ends = _surface(background, size)
    picture = 0.1 + 0.35 * ends + 0.55 * shape + 0.03 * noise
    return np.asarray(np.rint(255 * picture.clip(0, 1)), dtype=np.uint8)


def _system(k: int, seed: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the maps of class ``k``, (m, 6) as a b c d e f, and the edges of their shares, (m,).

    A map takes (x, y) to (a x + b y + e, c x + d y + f). It is chosen in proportion to |det|, so that the
    picture is evenly dense.
    """
    rng = np.random.default_rng((seed, k))
    count = int(rng.integers(MAPS[0], MAPS[1] + 1))
    turn, back = (rng.uniform(0, 2 * np.pi, count) for _ in range(2))
    large = rng.uniform(*STRETCH, count)
    small = large * rng.uniform(0.3, 1.0, count) * rng.choice([-1.0, 1.0], count)
    matrices = _rotation(turn) @ (np.stack([large, small], 1)[:, :, None] * _rotation(back))
    offsets = rng.uniform(-1, 1, (count, 2))
    share = np.abs(large * small)
    edges = np.cumsum(share) / share.sum()
    return np.concatenate([matrices.reshape(count, 4), offsets], axis=1), edges


def _rotation(angle: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _visits(maps: Floats, which: npt.NDArray[np.int8], size: int) -> Floats:
    """Return how often each pixel is visited, (n, size, size), with the points' range filling the picture."""
    steps, n, chains = which.shape
    flat = maps.reshape(n * MAPS[1], 6)
    first = (np.arange(n) * MAPS[1])[:, None]
    x, y = np.zeros((n, chains), np.float32), np.zeros((n, chains), np.float32)
    places = np.empty((2, steps - BURN_IN, n, chains), np.float32)
    for step in range(steps):
        m = flat[first + which[step]]
        x, y = m[..., 0] * x + m[..., 1] * y + m[..., 4], m[..., 2] * x + m[..., 3] * y + m[..., 5]
        if step >= BURN_IN:
            places[0, step - BURN_IN], places[1, step - BURN_IN] = x, y
    cells = []
    for axis in places:
        low, high = axis.min(axis=(0, 2), keepdims=True), axis.max(axis=(0, 2), keepdims=True)
        scaled = (axis - low) / np.maximum(high - low, 1e-6)
        cells.append((size * (0.08 + 0.84 * scaled)).astype(np.int64).clip(0, size - 1))
    cell = (np.arange(n)[None, :, None] * size + cells[1]) * size + cells[0]
    return np.bincount(cell.ravel(), minlength=n * size * size).reshape(n, size, size).astype(np.float32)


def _surface(values: Floats, size: int) -> Floats:
    """Return (n, size, size): ``values`` (n, GRID, GRID) with cosine steps between."""
    at = np.linspace(0, GRID - 1, size, dtype=np.float32)
    left = np.minimum(at.astype(np.int64), GRID - 2)
    share = (1 - np.cos(np.pi * (at - left))) / 2
    weights = np.zeros((size, GRID), np.float32)
    weights[np.arange(size), left] = 1 - share
    weights[np.arange(size), left + 1] += share
    return np.asarray(np.einsum("ia,nab,jb->nij", weights, values, weights, optimize=True), np.float32)
