"""What a calibration claims, held against the confirmation's numbers and said to be true or false.

Nothing is tuned to make a statement true. One that names a scheme is made only where that scheme was run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

from cxrbench.calibration.records import Row, SchemeSummary, Statement
from cxrbench.schemes import Claim

NEAR = 0.02
"""How far from an aim a mean AUC may lie."""
SHARP = 0.01
"""Below this a test sample's standard error is small against what regressions are looked for."""
CONTROL = "control"


def statements(
    schemes: Sequence[SchemeSummary],
    seeds: Sequence[int],
    aims: Mapping[str, float],
    rows: Sequence[Row],
    claims: Sequence[Claim],
) -> tuple[Statement, ...]:
    """Return the statements about a confirmation.

    Parameters
    ----------
    schemes: the table of the confirmation; AUCs in the order of ``seeds``.
    seeds: its seeds, at least two.
    aims: scheme -> AUC aimed at. The best scheme, whichever it is, is held against the highest.
    rows: the confirmation's rows.
    claims: the paper's that apply to the schemes.
    """
    return tuple(_statements({s.scheme: s for s in schemes}, seeds, aims, rows, claims))


def difference_interval(a: SchemeSummary, b: SchemeSummary) -> tuple[float, float, float]:
    """Return the mean over seeds of the paired difference a minus b, and the ends of its 95% t interval."""
    differences = np.subtract(a.aucs, b.aucs)
    n = len(differences)
    mean = float(differences.mean())
    margin = float(stdtrit(n - 1, 0.975)) * float(differences.std(ddof=1)) / math.sqrt(n)
    return mean, mean - margin, mean + margin


def _statements(
    schemes: Mapping[str, SchemeSummary],
    seeds: Sequence[int],
    aims: Mapping[str, float],
    rows: Sequence[Row],
    claims: Sequence[Claim],
) -> Iterator[Statement]:
    best = max(schemes.values(), key=lambda scheme: scheme.mean)
    if CONTROL in schemes and CONTROL in aims:
        yield _near(CONTROL, schemes[CONTROL], aims[CONTROL])
    if set(aims) - {CONTROL}:
        yield _near("the best scheme", best, max(aims.values()))
    for claim in (claim for claim in claims if claim.kind == "sequence"):
        yield _best_or_tied(schemes[claim.better], best)
        yield _beats_in_every_seed([schemes[claim.better]], schemes[claim.worse], seeds, claim.better)
    supplements = [claim for claim in claims if claim.kind == "supplement"]
    for alone in dict.fromkeys(claim.worse for claim in supplements):
        yield _beats_in_every_seed(
            [schemes[claim.better] for claim in supplements if claim.worse == alone],
            schemes[alone],
            seeds,
            "every scheme with supplemental training",
        )
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


def _best_or_tied(scheme: SchemeSummary, best: SchemeSummary) -> Statement:
    claim = f"{scheme.scheme} is best, or ties with the best"
    if scheme.scheme == best.scheme:
        return Statement(claim, True, f"best with {best.mean:.4f}")
    mean, low, high = difference_interval(scheme, best)
    return Statement(
        claim,
        low <= 0 <= high,
        f"{scheme.scheme} minus {best.scheme}, mean over seeds: {mean:+.4f}, "
        f"95% t interval {low:+.4f} to {high:+.4f}",
    )


def _beats_in_every_seed(
    better: Sequence[SchemeSummary], worse: SchemeSummary, seeds: Sequence[int], named: str
) -> Statement:
    smallest = [
        min(zip(np.subtract(scheme.aucs, worse.aucs).tolist(), seeds, strict=True)) for scheme in better
    ]
    return Statement(
        f"{named} beats {worse.scheme} in every seed",
        min(smallest)[0] > 0,
        "smallest difference: "
        + "; ".join(
            f"{scheme.scheme} {difference:+.4f} (seed {seed})"
            for scheme, (difference, seed) in zip(better, smallest, strict=True)
        ),
    )
