"""From the confirmation's rows to a table of schemes, and to the targets that a profile states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from cxrbench.calibration.records import Row, SchemeSummary
from cxrbench.calibration.statements import Paired
from cxrbench.schemes import Claim
from cxrbench.statistics.verdicts import Margin, Target

LEAST_SD = 1e-5
"""Seeds may tie, where the test part is small or the AUC is 1; a target's spread must be above 0."""


def summaries(rows: Sequence[Row]) -> tuple[SchemeSummary, ...]:
    """Return mean, spread and standard errors of each scheme of the confirmation's ``rows``."""
    return tuple(_summary(name, [row for row in rows if row.scheme == name]) for name in _names(rows))


def targets(schemes: Sequence[SchemeSummary], source: str) -> Mapping[str, Target]:
    """Return the target of each scheme; ``source`` names the command and the evidence.

    Where the seeds lie so far apart that every AUC would meet it, the target is not calibrated: it settles
    nothing.
    """
    return {scheme.scheme: _target(scheme, source) for scheme in schemes}


def _target(scheme: SchemeSummary, source: str) -> Target:
    target = Target(
        auc=round(scheme.mean, 4),
        sd=max(LEAST_SD, round(scheme.sd, 5)),
        seeds=len(scheme.aucs),
        measured_on=scheme.sample,
        source=source,
        calibrated=False,
    )
    return replace(target, calibrated=target.interval() != (0.0, 1.0))


def margins(schemes: Sequence[SchemeSummary], claims: Sequence[Claim]) -> Mapping[str, Margin]:
    """Return by how much the better scheme of each claim beat the worse, paired over the seeds."""
    by_name = {scheme.scheme: scheme for scheme in schemes}
    found = {}
    for claim in claims:
        better, worse = by_name[claim.better], by_name[claim.worse]
        paired = Paired.of(better, worse)
        found[str(claim)] = Margin(
            round(paired.mean, 4), max(LEAST_SD, round(paired.sd, 5)), paired.seeds, better.sample
        )
    return found


def _names(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row.scheme for row in rows))


def _summary(name: str, rows: Sequence[Row]) -> SchemeSummary:
    aucs = [row.auc for row in rows]
    (sample,) = {row.sample for row in rows}
    return SchemeSummary(
        scheme=name,
        aucs=tuple(aucs),
        mean=float(np.mean(aucs)),
        sd=float(np.std(aucs, ddof=1)),
        se_image=float(np.mean([row.se_image for row in rows])),
        se_clustered=float(np.mean([row.se_clustered for row in rows])),
        sample=sample,
    )
