"""How far an honest run on another machine may be away, relative to the value.

Same device, threads and versions: on the CPU, and on a GPU with --deterministic, not at all. Otherwise
rounding differs, and training makes a difference grow from step to step. A step that has no tolerance here is
not judged: another machine is by then as far away as a fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Tolerance:
    """Relative tolerances; 0 asks for the same bits.

    losses, gradients: of the first steps of a chain's first stage, by step; later steps are not judged.
    later_losses: of a stage whose parent was trained on the other machine as well.
    start: of the trunk and the logits at the start of a chain's first stage, and of the heads of any stage.
    later_trunk, later_logits: at the start of a later stage.
    inputs: of what enters the first convolution.
    reference: of the fixed network's scores, relative to their spread.
    """

    losses: tuple[float, ...]
    gradients: tuple[float, ...]
    later_losses: tuple[float, ...]
    start: float
    later_trunk: float
    later_logits: float
    inputs: float
    reference: float


FLOAT32 = Tolerance(
    losses=(1e-5, 1e-3, 1e-2),
    gradients=(3e-3, 2e-2),
    later_losses=(5e-2,),
    start=1e-5,
    later_trunk=1e-4,
    later_logits=0.5,
    inputs=1e-5,
    reference=1e-3,
)
BFLOAT16 = Tolerance(
    losses=(1e-2, 2e-2),
    gradients=(5e-2,),
    later_losses=(1e-1,),
    start=1e-2,
    later_trunk=1e-3,
    later_logits=0.5,
    inputs=1e-5,
    reference=0.1,
)
"""Not measured: of float32 and bfloat16, or of two machines that both compute in bfloat16."""

EXACT = Tolerance((), (), (), 0.0, 0.0, 0.0, 0.0, 0.0)
"""Of the same device, threads and versions; all recorded steps are judged."""


def tolerance(now: Mapping[str, str], before: Mapping[str, str], precisions: frozenset[str]) -> Tolerance:
    """Return what applies between two environments, for stages computed in ``precisions``."""
    if now == before and (now.get("type") == "cpu" or now.get("deterministic") == "yes"):
        return EXACT
    return FLOAT32 if precisions == {"float32"} else BFLOAT16
