"""The pointing game: does the highest place of a map lie where a reader drew a box?

After Zhang et al., "Top-down neural attention by excitation backprop" (ECCV 2016): a film counts as a hit
where the place of the largest value lies within one of its boxes. The place is the middle of a map's cell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from statsmodels.stats.proportion import proportion_confint

from cxrbench.cohort.boxes import Box

if TYPE_CHECKING:
    from cxrbench.look.activation import Maps


@dataclass(frozen=True)
class Pointing:
    """How often a network's maps point into a box.

    Parameters
    ----------
    films: with a box at least.
    hits: of them, the map points into one.
    ci_low, ci_high: Wilson's 95% interval of the share.
    random: the share that a cell drawn at random would hit.
    fixed: the share of the one cell that hits most often: of a network that always points to one place.
    cells: height and width of a map.
    """

    films: int
    hits: int
    ci_low: float
    ci_high: float
    random: float
    fixed: float
    cells: tuple[int, int]

    @property
    def share(self) -> float:
        """Hits of films."""
        return self.hits / self.films


def middles(height: int, width: int) -> npt.NDArray[np.float64]:
    """Return the middles of a map's cells, (height * width, 2): x and y as shares of the side, row by row."""
    y, x = np.divmod(np.arange(height * width), width)
    return np.stack([(x + 0.5) / width, (y + 0.5) / height], axis=1)


def inside(places: npt.NDArray[np.float64], boxes: Sequence[Box]) -> npt.NDArray[np.bool_]:
    """Return which of ``places`` (m, 2) lie within any of ``boxes``, (m,)."""
    x, y = places.T
    hit = np.zeros(len(places), dtype=np.bool_)
    for left, top, right, bottom in boxes:
        hit |= (left <= x) & (x <= right) & (top <= y) & (y <= bottom)
    return hit


def pointing_game(maps: Maps, boxes: Sequence[Sequence[Box]]) -> Pointing:
    """Play it with the ``maps`` (n, height, width) of n films, each with its ``boxes``, one at least."""
    height, width = maps.shape[1:]
    places = middles(height, width)
    # (films, cells): whether a cell's middle lies within a box.
    within = np.array([inside(places, of_film) for of_film in boxes])
    highest = maps.reshape(len(maps), -1).argmax(axis=1)
    hits = int(within[np.arange(len(maps)), highest].sum())
    low, high = proportion_confint(hits, len(maps), method="wilson")
    return Pointing(
        films=len(maps),
        hits=hits,
        ci_low=float(low),
        ci_high=float(high),
        random=float(within.mean()),
        fixed=float(within.mean(axis=0).max()),
        cells=(height, width),
    )
