"""Films as the networks see them: examples of every role and part, and where the networks look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.textpath import TextPath

from cxrbench.report.figures.style import INK, new_figure
from cxrbench.report.text import decimal

Film = npt.NDArray[np.uint8]

_WIDTH = 4.2
"""Inches: as wide as a telephone is, as for the forest plot."""
_LETTERS = 7
_LINE = 0.1
"""Inches of a line below an example film."""
_GAP = 6.0
"""Points between the words below one example film and those below the next."""
_FOR_AND_AGAINST = "PuOr_r"
_STRONGEST = 98.0
"""Percentile of the maps' absolute values at which the colours end."""


@dataclass(frozen=True)
class Strip:
    """Films in one row, what they are, and a word or two below each."""

    title: str
    films: Sequence[Film]
    words: Sequence[str]


@dataclass(frozen=True)
class Looked:
    """One film and how each network looked at it.

    maps, scores, called: of each network. boxes: as shares of the film's side.
    """

    kind: str
    film: Film
    maps: Sequence[npt.NDArray[np.float32]]
    scores: Sequence[float]
    called: Sequence[bool]
    boxes: Sequence[tuple[float, float, float, float]] = ()


def draw_strips(strips: Sequence[Strip], columns: int) -> Figure:
    """Return the films of ``strips``, a row each, up to ``columns`` of them."""
    side = _WIDTH / columns
    words = [[_wrapped(said, side, _LETTERS - 1) for said in strip.words] for strip in strips]
    heights = [
        side + 0.26 + _LINE * max((said.count("\n") + 1 for said in of_row), default=1) for of_row in words
    ]
    figure = new_figure(_WIDTH, sum(heights))
    rows = figure.subfigures(len(strips), 1, squeeze=False, height_ratios=heights)[:, 0]
    for row, strip, of_row in zip(rows, strips, words, strict=True):
        row.suptitle(strip.title, x=0.01, ha="left", fontsize=_LETTERS + 1, color=INK)
        axes = row.subplots(1, columns, squeeze=False)[0]
        for place, film, said in zip(axes, strip.films, of_row, strict=False):
            _show(place, film)
            place.set_xlabel(said, fontsize=_LETTERS - 1, color=INK, labelpad=2)
        for place in axes[len(strip.films) :]:
            place.set_axis_off()
    return figure


def draw_looked(looked: Sequence[Looked], names: Sequence[str]) -> Figure:
    """Return a row per film: the film, and the map of each of the networks called ``names`` upon it.

    The colours of one network's maps are on one scale, symmetric about the average place of its maps.
    """
    columns = 1 + len(names)
    side = _WIDTH / columns
    figure = new_figure(_WIDTH, 0.2 + len(looked) * (side + 0.12))
    grid = figure.subplots(len(looked), columns, squeeze=False)
    maps = [np.stack([one.maps[i] for one in looked]) for i in range(len(names))]
    averages = [float(of_one.mean()) for of_one in maps]
    ends = [
        max(float(np.percentile(np.abs(of_one - average), _STRONGEST)), 1e-12)
        for of_one, average in zip(maps, averages, strict=True)
    ]
    for axes, name in zip(grid[0], ("the film", *names), strict=True):
        axes.set_title(_wrapped(name, side, _LETTERS + 1), fontsize=_LETTERS + 1, color=INK, pad=3)
    for axes, one in zip(grid, looked, strict=True):
        _show(axes[0], one.film)
        axes[0].set_xlabel(one.kind, fontsize=_LETTERS, color=INK, labelpad=2)
        for box in one.boxes:
            axes[0].add_patch(_box(box, len(one.film)))
        for place, of_map, average, end, score, called in zip(
            axes[1:], one.maps, averages, ends, one.scores, one.called, strict=True
        ):
            _show(place, one.film)
            place.imshow(
                of_map,
                cmap=_FOR_AND_AGAINST,
                vmin=average - end,
                vmax=average + end,
                alpha=0.5,
                interpolation="bilinear",
                extent=(-0.5, len(one.film) - 0.5, len(one.film) - 0.5, -0.5),
            )
            said = f"{decimal(score, 2)}, called {'positive' if called else 'negative'}"
            place.set_xlabel(said, fontsize=_LETTERS, color=INK, labelpad=2)
    return figure


def _wrapped(words: str, inches: float, size: int) -> str:
    """Return ``words`` in lines below one another, each a little narrower than ``inches``; a word is cut."""

    def fits(text: str) -> bool:
        return bool(TextPath((0, 0), text, size=size).get_extents().width <= 72 * inches - _GAP)

    lines: list[str] = []
    for word in words.split():
        if lines and fits(f"{lines[-1]} {word}"):
            lines[-1] += f" {word}"
            continue
        while not fits(word) and len(word) > 2:
            word = f"{word[:-2]}…"
        lines.append(word)
    return "\n".join(lines)


def _show(axes: Axes, film: Film) -> None:
    axes.imshow(film, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def _box(box: tuple[float, float, float, float], side: int) -> Rectangle:
    left, top, right, bottom = (share * side - 0.5 for share in box)
    return Rectangle((left, top), right - left, bottom - top, fill=False, edgecolor="#ffd24d", linewidth=1)
