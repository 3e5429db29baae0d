"""The plan: the distinct stage runs of several schemes, each after the one that it starts from.

Schemes that begin alike share their first stage runs. The six schemes name eleven runs and need ten.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cxrbench.errors import SchemeError
from cxrbench.schemes.notation import INIT, Scheme, Stage


@dataclass(frozen=True)
class StageRun:
    """One stage, and the chain of stages before it; the chain is what makes a run distinct."""

    path: tuple[Stage, ...]

    @property
    def stage(self) -> Stage:
        """The stage that this run trains."""
        return self.path[-1]

    @property
    def parent(self) -> StageRun | None:
        """The run whose checkpoint this one starts from; None where it starts from the initial parameters."""
        return StageRun(self.path[:-1]) if len(self.path) > 1 else None

    @property
    def roles(self) -> frozenset[str]:
        """Every role that the run's parameters have seen, in it or in a run before it."""
        return frozenset(role for stage in self.path for role in stage.roles)

    @property
    def canonical(self) -> str:
        """The run in the notation with pooled roles in alphabetical order: equal for equal runs."""
        return " > ".join([INIT, *(" + ".join(sorted(stage.roles)) for stage in self.path)])

    def __str__(self) -> str:
        return " > ".join([INIT, *(str(stage) for stage in self.path)])


@dataclass(frozen=True)
class Plan:
    """Distinct stage runs in an order in which they can be trained, and the last run of every scheme."""

    runs: tuple[StageRun, ...]
    final: dict[str, StageRun]


def make_plan(schemes: Iterable[Scheme]) -> Plan:
    """Return the plan of ``schemes``: parents before children, otherwise in the order of the schemes.

    Raises
    ------
    SchemeError: two different schemes have one name, so that one's result would be taken for the other's.
    """
    runs: dict[StageRun, None] = {}
    final: dict[str, StageRun] = {}
    for scheme in schemes:
        for end in range(1, len(scheme.stages) + 1):
            runs.setdefault(StageRun(scheme.stages[:end]))
        last = StageRun(scheme.stages)
        if final.setdefault(scheme.name, last) != last:
            raise SchemeError(
                f"two schemes are named {scheme.name!r}: {final[scheme.name]} and {last}; rename one"
            )
    return Plan(tuple(runs), final)
