"""What a calibration claims, held against the confirmation's numbers and said to be true or false.

Nothing is tuned to make a statement true. One that names a scheme is made only where that scheme was run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from cxrbench.calibration.records import Row, SchemeSummary, Statement
from cxrbench.schemes import Claim

NEAR = 0.02
"""How far from an aim a mean AUC may lie."""
SHARP = 0.01
"""Below this a test sample's standard error is small against what regressions are looked for."""
CONTROL = "control"


def statements(
    schemes: Sequence[SchemeSummary],
    aims: Mapping[str, float],
    rows: Sequence[Row],
    claims: Sequence[Claim],
) -> tuple[Statement, ...]:
    """Return the statements about a confirmation.

    Parameters
    ----------
    schemes: the table of the confirmation, of at least two seeds.
    aims: scheme -> AUC aimed at. The best scheme, whichever it is, is held against the highest.
    rows: the confirmation's rows.
    claims: the paper's that apply to the schemes.
    """
    return tuple(_statements({s.scheme: s for s in schemes}, aims, rows, claims))


@dataclass(frozen=True)
class Paired:
    """By how much one scheme beats another, paired over the seeds of a calibration.

    mean, sd: of the differences. low, high: the mean's 95% t interval. beaten: in how many of ``seeds`` the
    difference is above 0. again: with what probability it is in one seed more, were the differences normal.
    """

    mean: float
    sd: float
    seeds: int
    low: float
    high: float
    beaten: int
    again: float

    @classmethod
    def of(cls, better: SchemeSummary, worse: SchemeSummary) -> Paired:
        """Return ``better`` minus ``worse``."""
        differences = np.subtract(better.aucs, worse.aucs)
        n = len(differences)
        mean, sd = float(differences.mean()), float(differences.std(ddof=1))
        margin = float(stdtrit(n - 1, 0.975)) * sd / math.sqrt(n)
        scale = sd * math.sqrt(1 + 1 / n)
        again = float(stdtr(n - 1, mean / scale)) if scale else float(mean > 0)
        return cls(mean, sd, n, mean - margin, mean + margin, int((differences > 0).sum()), again)

    def __str__(self) -> str:
        return (
            f"{self.mean:+.4f}, 95% t interval {self.low:+.4f} to {self.high:+.4f}; in {self.beaten} of "
            f"{self.seeds} seeds; in one seed more with probability {_probability(self.again)}"
        )


def _probability(p: float) -> str:
    return f"{p:.3f}" if 0.001 <= p <= 0.999 else "above 0.999" if p > 0.5 else "below 0.001"


def _statements(
    schemes: Mapping[str, SchemeSummary],
    aims: Mapping[str, float],
    rows: Sequence[Row],
    claims: Sequence[Claim],
) -> Iterator[Statement]:
    best = max(schemes.values(), key=lambda scheme: scheme.mean)
    if CONTROL in schemes and CONTROL in aims:
        yield _near(CONTROL, schemes[CONTROL], aims[CONTROL])
    if set(aims) - {CONTROL}:
        yield _near("the best scheme", best, max(aims.values()))
    for name in dict.fromkeys(claim.better for claim in claims if claim.kind == "sequence"):
        yield _best_or_tied(schemes[name], schemes)
    for claim in claims:
        found = Paired.of(schemes[claim.better], schemes[claim.worse])
        yield Statement(f"{claim.better} beats {claim.worse} in the mean", found.low > 0, str(found))
    widest = max(rows, key=lambda row: row.se_image)
    clustered = max(row.se_clustered for row in rows)
    yield Statement(
        f"the largest DeLong standard error is below {SHARP:g}",
        widest.se_image < SHARP,
        f"{widest.se_image:.5f} ({widest.scheme}, seed {widest.seed}); clustered by patient {clustered:.5f}",
    )


def _near(what: str, scheme: SchemeSummary, aim: float) -> Statement:
    named = what if what == scheme.scheme else f"{what}, {scheme.scheme},"
    return Statement(
        f"the mean AUC of {named} is within {NEAR:g} of {aim:.3f}",
        abs(scheme.mean - aim) <= NEAR,
        f"{scheme.mean:.4f}, {scheme.mean - aim:+.4f}",
    )


def _best_or_tied(scheme: SchemeSummary, schemes: Mapping[str, SchemeSummary]) -> Statement:
    others = [other for other in schemes.values() if other is not scheme]
    rival = max(others, key=lambda other: other.mean)
    found = Paired.of(scheme, rival)
    ahead = (np.array(scheme.aucs) > np.max([other.aucs for other in others], axis=0)).sum()
    return Statement(
        f"{scheme.scheme} is best, or ties with the best",
        found.high >= 0,
        f"best in {ahead} of {found.seeds} seeds; minus {rival.scheme}: {found}",
    )
