"""How every figure looks: colours that colour-blind readers can distinguish, thin lines, no global state."""

from __future__ import annotations

from itertools import cycle, islice
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito, Color universal design, 2008; without the yellow, which is hard to see on white.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
PALETTE = ("#333333", BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9")
INK = "#1a1a1a"
GREY = "#767676"
PALE = "#d9d9d9"
SMALL = 8
LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
MARKERS = ("o", "s", "^", "D", "v", "P")
VERDICT = {"pass": (GREEN, "o"), "fail": (ORANGE, "X"), "inconclusive": ("#595959", "D")}


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that many inches, whose parts keep out of each other's way."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def colours(n: int) -> list[str]:
    """Return ``n`` colours; they repeat after the seventh."""
    return list(islice(cycle(PALETTE), n))


def tidy(axes: Axes, *, grid: Literal["x", "y"] | None = None) -> None:
    """Take away what carries no data: the upper and right frame, long ticks, dark grids."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(length=3, color=GREY, labelsize=SMALL, labelcolor=INK)
    if grid is not None:
        axes.grid(axis=grid, color="#ececec", linewidth=0.8)
        axes.set_axisbelow(True)
