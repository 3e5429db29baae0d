"""From the confirmation's rows to a table of schemes, and to the targets that a profile states."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from cxrbench.calibration.records import Row, SchemeSummary
from cxrbench.statistics.verdicts import Target

LEAST = 0.001
"""The narrowest band: a tolerance has three decimals and must be above 0."""
LEAST_SD = 1e-5
"""Seeds may tie, where the test part is small or the AUC is 1; a target's spread must be above 0."""


def summaries(rows: Sequence[Row]) -> tuple[SchemeSummary, ...]:
    """Return mean, spread and standard errors of each scheme of the confirmation's ``rows``."""
    return tuple(_summary(name, [row for row in rows if row.scheme == name]) for name in _names(rows))


def tolerance(sd: float, seeds: int) -> float:
    """Return the half-width of a target's band: twice h, rounded up to three decimals.

    h = t(k - 1, 0.975) · sd · sqrt(1 + 1/k) is how far one more seed of unchanged code lies from the mean of
    k seeds, in 95% of cases: half the prediction interval of a normal sample.

    Parameters
    ----------
    sd: standard deviation between seeds, n - 1 in the denominator.
    seeds: how many seeds it was measured on; at least 2.
    """
    h = float(stdtrit(seeds - 1, 0.975)) * sd * math.sqrt(1 + 1 / seeds)
    # What is a whole number of thousandths but for the last bits of a float is not rounded up.
    return max(LEAST, math.ceil(2 * h * 1000 - 1e-9) / 1000)


def targets(schemes: Sequence[SchemeSummary], source: str) -> Mapping[str, Target]:
    """Return the target of each scheme; ``source`` names the command and the evidence.

    Where the seeds lie so far apart that every AUC would meet it, the target is not calibrated: it settles
    nothing.
    """
    return {scheme.scheme: _target(scheme, source) for scheme in schemes}


def _target(scheme: SchemeSummary, source: str) -> Target:
    auc, half = round(scheme.mean, 4), tolerance(scheme.sd, len(scheme.aucs))
    return Target(
        auc=auc,
        sd=max(LEAST_SD, round(scheme.sd, 5)),
        seeds=len(scheme.aucs),
        tolerance=half,
        measured_on=scheme.sample,
        source=source,
        calibrated=auc - half > 0 or auc + half < 1,
    )


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
