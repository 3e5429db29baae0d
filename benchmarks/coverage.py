"""Simulated coverage, one-sided errors and power of the intervals: ``python benchmarks/coverage.py``.

Writes docs/statistics/coverage.csv, and held-out.csv: other test samples, AUCs and correlations than those
by which the constants of the limits were chosen. Scores are normal in both classes (the binormal model), so
that the true AUCs are known; with patients, 60% of the variance of a score is shared by the three images of
one. The two classifiers' scores of an image correlate by ``correlation`` within its class. Each cell has a
generator of its own, seeded by its description.
"""

from __future__ import annotations

import csv
import zlib
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.special import ndtri

from cxrbench.statistics.clustered import components
from cxrbench.statistics.correlation import rank_correlation
from cxrbench.statistics.differences import Difference, Side, rank_alike, score_limits
from cxrbench.statistics.inputs import Groups
from cxrbench.statistics.intervals import auc_intervals

EVIDENCE = Path(__file__).parents[1] / "docs" / "statistics" / "coverage.csv"
HELD_OUT = EVIDENCE.with_name("held-out.csv")
SAMPLES, AT_ONCE = 10_000, 2_000
MARGIN = 0.05
IMAGES_PER_PATIENT, SHARED = 3, 0.6
Z = 1.959963984540054


@dataclass(frozen=True)
class Design:
    """A test sample: images of each class, or patients of each class with three images each."""

    positives: int
    negatives: int
    patients: bool = False

    def __str__(self):
        if self.patients:
            return f"{self.positives + self.negatives} patients x {IMAGES_PER_PATIENT}"
        return f"{self.positives} + {self.negatives} images"


@dataclass(frozen=True)
class Cell:
    """What one cell promises and holds, each number a share of the samples.

    ``below``: the upper limit lies below the truth; ``above``: the lower limit lies above it. ``passes``: the
    lower limit of a difference lies above -0.05, which is an error where the truth is -0.05 and the power
    where it is 0. ``wald_...``: the same of the large-sample interval, logit for one AUC, Wald for a
    difference.
    """

    design: str
    auc_a: float
    auc_b: float | None
    correlation: float | None
    covers: float
    below: float
    above: float
    passes: float | None
    wald_covers: float
    wald_below: float
    wald_above: float
    wald_passes: float | None


FEW = tuple(
    Design(positives, round(positives * (1 - share) / share))
    for positives in (10, 20, 30)
    for share in (1 / 11, 0.5, 0.75)
)
PATIENTS = tuple(Design(n // 2, n // 2, patients=True) for n in (20, 40, 80, 150))
AUCS = (0.75, 0.85, 0.90, 0.95, 0.98)
PAIRS = ((0.75, 0.80), (0.85, 0.90), (0.90, 0.95), (0.92, 0.97), (0.93, 0.98), (0.90, 0.90), (0.95, 0.95))
CORRELATION, OTHER_CORRELATIONS = 0.7, (0.3, 0.9, 0.98)


def draw(design, aucs, correlation, samples, rng):
    """Return labels (n,), patients or None, and for each AUC scores (samples, n)."""
    per = IMAGES_PER_PATIENT if design.patients else 1
    units = design.positives + design.negatives
    codes = np.repeat(np.arange(units), per)
    labels = codes < design.positives

    def noise():
        if not design.patients:
            return rng.normal(size=(samples, units))
        of_patient = np.repeat(rng.normal(size=(samples, units)), per, axis=1)
        return np.sqrt(SHARED) * of_patient + np.sqrt(1 - SHARED) * rng.normal(size=(samples, codes.size))

    common = noise() if len(aucs) > 1 else 0.0
    own = np.sqrt(1 - correlation)
    scores = [
        np.sqrt(correlation) * common + own * noise() + np.sqrt(2) * ndtri(auc) * labels for auc in aucs
    ]
    return labels, Groups(codes, units) if design.patients else None, scores


def single(design, auc, samples=SAMPLES):
    """Return the cell of one AUC."""
    rng = np.random.default_rng(zlib.crc32(f"{design} {auc}".encode()))
    found = []
    for _ in range(samples // AT_ONCE):
        labels, groups, (scores,) = draw(design, [auc], 0.0, AT_ONCE, rng)
        parts = components(labels, scores, groups)
        found.append((*auc_intervals(parts), *auc_intervals(parts, method="logit")))
    low, high, old_low, old_high = (np.concatenate(column) for column in zip(*found, strict=True))
    new, old = ends(low, high, auc), ends(old_low, old_high, auc)
    return Cell(str(design), auc, None, None, *new, None, *old, None)


def difference(design, auc_a, auc_b, correlation, samples=SAMPLES):
    """Return the cell of a paired difference."""
    rng = np.random.default_rng(zlib.crc32(f"{design} {auc_a} {auc_b} {correlation}".encode()))
    found = []
    for _ in range(samples // AT_ONCE):
        labels, groups, scores = draw(design, [auc_a, auc_b], correlation, AT_ONCE, rng)
        a, b = (components(labels, rows, groups) for rows in scores)
        contrast = a.factor - b.factor
        se = np.sqrt(np.einsum("kl,kl->k", contrast, contrast))
        gap = a.auc - b.auc
        sides = Side.of(a), Side.of(b)
        correlations = correlations_of(labels, scores, (a, b), se)
        low, high = score_limits(*sides, correlations, 0.025)
        for k in np.flatnonzero(se == 0):
            alike = rank_alike(scores[0][k : k + 1], scores[1][k : k + 1])
            one = Difference(sides[0].curve(k), sides[1].curve(k), 0.0, 0.0, a.independent_pairs, alike)
            low[k], high[k] = one.limits(0.025)
        found.append((low, high, gap - Z * se, gap + Z * se))
    low, high, old_low, old_high = (np.concatenate(column) for column in zip(*found, strict=True))
    truth = auc_a - auc_b
    passes, old_passes = (share(ends > -MARGIN) for ends in (low, old_low))
    return Cell(
        str(design),
        auc_a,
        auc_b,
        correlation,
        *ends(low, high, truth),
        passes,
        *ends(old_low, old_high, truth),
        old_passes,
    )


def correlations_of(labels, scores, sides, se):
    """Return the correlations (samples,) of the AUCs, as compare has them; 0 where ``se`` is."""
    a, b = sides
    product = a.se * b.se
    shared = np.einsum("kl,kl->k", a.factor, b.factor)
    found = np.divide(shared, product, out=np.zeros_like(product), where=product > 0)
    for k in np.flatnonzero((product == 0) & (se > 0)):
        rows = (of[k : k + 1] for of in scores)
        found[k] = rank_correlation(labels, *rows, float(a.auc[k] + b.auc[k]) / 2)
    return found


def ends(low, high, truth):
    """Return the shares of intervals that hold the truth, lie below and lie above it."""
    below, above = share(high < truth), share(low > truth)
    return round(1 - below - above, 4), below, above


def share(which):
    """Return the share of true values, to four decimals."""
    return round(float(np.mean(which)), 4)


def simulate():
    """Yield all cells: single AUCs, differences, and differences at other correlations."""
    for design in (*FEW, *PATIENTS):
        for auc in AUCS:
            yield single(design, auc)
    for design in (*FEW, *PATIENTS):
        for pair in PAIRS:
            yield difference(design, *pair, CORRELATION)
    for design in (Design(20, 200), Design(30, 30), Design(20, 20, patients=True)):
        for correlation in OTHER_CORRELATIONS:
            for pair in PAIRS:
                yield difference(design, *pair, correlation)


def held_out():
    """Yield cells that no constant was chosen by."""
    designs = [Design(m, n) for m, n in ((15, 60), (15, 150), (25, 8), (50, 50))]
    designs += [Design(12, 24, patients=True), Design(30, 30, patients=True)]
    pairs = ((0.80, 0.85), (0.87, 0.92), (0.91, 0.96), (0.88, 0.88), (0.93, 0.93))
    for design in designs:
        for auc in (0.80, 0.88, 0.93, 0.97):
            yield single(design, auc)
        for correlation in (0.5, 0.8, 0.95):
            for pair in pairs:
                yield difference(design, *pair, correlation)
    # Not looked at before an AUC without a variance got a correlation: many of these samples have one.
    separated = [Design(m, n) for m, n in ((12, 5), (10, 30), (40, 12), (15, 15), (12, 120))]
    separated += [Design(9, 9, patients=True), Design(20, 30, patients=True)]
    for design in separated:
        for correlation in (0.6, 0.85):
            for pair in ((0.86, 0.91), (0.89, 0.94), (0.94, 0.99), (0.91, 0.91), (0.96, 0.96)):
                yield difference(design, *pair, correlation)


def write(cells, path):
    """Write the evidence."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(cells[0])])
        for cell in cells:
            writer.writerow(["" if value is None else value for value in astuple(cell)])


def read(path=EVIDENCE):
    """Return the evidence as dictionaries of text and numbers, None where a number does not apply."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            {
                key: value if key in ("design", "of") else float(value) if value else None
                for key, value in row.items()
            }
            for row in csv.DictReader(file)
        ]


if __name__ == "__main__":
    for path, simulation in ((EVIDENCE, simulate), (HELD_OUT, held_out)):
        cells = list(simulation())
        write(cells, path)
        print(f"{len(cells)} cells, {len(asdict(cells[0]))} columns: {path}")
