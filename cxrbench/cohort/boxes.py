"""Where readers drew boxes on a film: a column that a cohort's table may carry along."""

from __future__ import annotations

from collections.abc import Iterable

BOX_PLACES = "box_places"
"""The column's name: "" where a film has no box, missing where that is not known."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom: shares of the side of the square that a film is read as, from its upper left."""


def parse_boxes(text: object) -> list[Box]:
    """Return the boxes of a cell of the column, such as ``"0.1 0.2 0.3 0.4; 0.6 0.2 0.9 0.8"``."""
    if not isinstance(text, str):
        return []
    parts = [part.split() for part in text.split(";") if part.strip()]
    return [(float(left), float(top), float(right), float(bottom)) for left, top, right, bottom in parts]


def format_boxes(boxes: Iterable[Iterable[float]]) -> str:
    """Return ``boxes`` as :func:`parse_boxes` reads them."""
    return "; ".join(" ".join(f"{value:.4f}" for value in box) for box in boxes)
