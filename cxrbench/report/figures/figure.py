"""A figure of the report, and how it is rendered."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from matplotlib import rc_context
from matplotlib.figure import Figure

_DPI = 160


@dataclass(frozen=True)
class ReportFigure:
    """A rendered figure.

    Parameters
    ----------
    name: its file is ``figures/NAME.png``.
    caption: what is drawn and how to read it.
    alt: what it shows, with the numbers, for a screen reader.
    png: the image.
    """

    name: str
    caption: str
    alt: str
    png: bytes


def render(figure: Figure, kind: Literal["png", "svg"] = "png") -> bytes:
    """Return ``figure`` as PNG or SVG; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    with rc_context({"svg.hashsalt": "cxrbench"}):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata=metadata)
    return buffer.getvalue()
