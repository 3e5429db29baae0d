"""A place where two traces part, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Kind = Literal["settings", "images", "labels", "pixels", "start", "training", "prediction"]
KINDS: tuple[Kind, ...] = ("settings", "images", "labels", "pixels", "start", "training", "prediction")


@dataclass(frozen=True)
class Parting:
    """One place where two traces part.

    kind: what parted, one of :data:`KINDS`.
    where: the study, a stage run, predictions, or a part of a role's images.
    what: the field of the record. now, before: both values as text.
    usually: what such a parting usually comes from.
    step: counted from 0, where it is a training step.
    """

    kind: Kind
    where: str
    what: str
    now: str
    before: str
    usually: str
    step: int | None = None

    @property
    def sentence(self) -> str:
        """The parting in one line."""
        at = "" if self.step is None else f" of step {self.step}"
        return f"{self.where}: {self.what}{at}: {self.now} now, {self.before} before ({self.usually})"


def numbers(
    kind: Kind, where: str, what: str, now: float, before: float, usually: str, step: int | None = None
) -> Parting:
    """Return a parting of two numbers, with how far they are apart."""
    far = f", {abs(now - before) / abs(before):.2g} of it away" if before and math.isfinite(now) else ""
    return Parting(kind, where, what, f"{now:.9g}{far}", f"{before:.9g}", usually, step)


def near(now: float, before: float, tolerated: float, scale: float | None = None) -> bool:
    """Return whether two numbers agree within ``tolerated`` times ``scale`` (``before`` where None).

    With a tolerance of 0 they must be the same bits; NaN agrees with nothing.
    """
    if tolerated == 0:
        return now == before
    return abs(now - before) <= tolerated * (abs(before) if scale is None else scale)
