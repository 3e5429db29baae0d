"""The paper's two claims, as they apply to whatever schemes a study has: by what they train, not by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from cxrbench.schemes.notation import Scheme


@dataclass(frozen=True)
class Claim:
    """That one scheme beats another.

    ``supplement``: with supplemental data, against the target alone. ``sequence``: the same roles one after
    another, against all of them pooled.
    """

    kind: Literal["supplement", "sequence"]
    better: str
    worse: str

    def __str__(self) -> str:
        return f"{self.better}-beats-{self.worse}"


def claims(schemes: Sequence[Scheme], target: str) -> tuple[Claim, ...]:
    """Return the claims of Fricks et al. 2021 that ``schemes`` can be held against.

    - Every scheme that trains more than ``target`` beats one that trains it alone in a single stage.
    - A scheme that trains several roles, each in one stage of its own, beats one that pools the same roles in
      a single stage.
    """
    found = [
        Claim("supplement", better.name, worse.name)
        for worse in schemes
        if len(worse.stages) == 1 and worse.roles == {target}
        for better in schemes
        if better.roles - {target}
    ]
    found += [
        Claim("sequence", better.name, worse.name)
        for better in schemes
        if len(better.stages) == len(better.roles) > 1
        and all(len(stage.roles) == 1 for stage in better.stages)
        for worse in schemes
        if len(worse.stages) == 1 and worse.roles == better.roles
    ]
    return tuple(found)
