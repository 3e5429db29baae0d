"""Simulated coverage, one-sided errors and power of the intervals: ``python benchmarks/coverage.py``.

Writes docs/statistics/coverage.csv, and held-out.csv: other test samples, AUCs and correlations than those
by which the constants of the limits were chosen. A cell outside the bounds asked, or within two standard
errors of one, is drawn again with other random numbers and ten times the samples (again.csv): of 400 cells
some lie outside by chance. Scores are normal in both classes (the binormal model), so that the true AUCs are
known; with patients, 60% of the variance of a score is shared by the three images of one. The two
classifiers' scores of an image correlate by ``correlation`` within its class. Each cell has a generator of
its own, seeded by its description.

    python benchmarks/coverage.py            # everything, a quarter of an hour of one core
    python benchmarks/coverage.py held-out   # one of the three: coverage, held-out, again
"""

from __future__ import annotations

import csv
import sys
import zlib
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.special import ndtri, stdtrit

from cxrbench.statistics.clustered import components
from cxrbench.statistics.correlation import rank_correlation
from cxrbench.statistics.differences import Difference, Side, rank_alike, score_limits
from cxrbench.statistics.inputs import Groups
from cxrbench.statistics.intervals import auc_intervals, logit_interval

EVIDENCE = Path(__file__).parents[1] / "docs" / "statistics" / "coverage.csv"
HELD_OUT, AGAIN = (EVIDENCE.with_name(name) for name in ("held-out.csv", "again.csv"))
SAMPLES, MANY, AT_ONCE = 10_000, 100_000, 2_000
LEAST, MOST, MOST_ERROR = 0.93, 0.98, 0.035
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
    difference. ``mover_...``: the same of logit-t for one AUC, and of the square-and-add interval of two such
    for a difference.
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
    mover_covers: float
    mover_below: float
    mover_above: float
    mover_passes: float | None


FEW = tuple(
    Design(positives, round(positives * (1 - share) / share))
    for positives in (10, 20, 30)
    for share in (1 / 11, 0.5, 0.75)
)
PATIENTS = tuple(Design(n // 2, n // 2, patients=True) for n in (20, 40, 80, 150))
AUCS = (0.75, 0.85, 0.90, 0.95, 0.98)
PAIRS = ((0.75, 0.80), (0.85, 0.90), (0.90, 0.95), (0.92, 0.97), (0.93, 0.98), (0.90, 0.90), (0.95, 0.95))
HELD_OUT_DESIGNS = (
    *(Design(m, n) for m, n in ((15, 60), (15, 150), (25, 8), (50, 50))),
    *(Design(m, n, patients=True) for m, n in ((12, 24), (30, 30))),
)
SEPARATED = (
    *(Design(m, n) for m, n in ((12, 5), (10, 30), (40, 12), (15, 15), (12, 120))),
    *(Design(m, n, patients=True) for m, n in ((9, 9), (20, 30))),
)
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


def single(design, auc, samples=SAMPLES, seed=""):
    """Return the cell of one AUC."""
    rng = np.random.default_rng(zlib.crc32(f"{seed}{design} {auc}".encode()))
    found = []
    for _ in range(samples // AT_ONCE):
        labels, groups, (scores,) = draw(design, [auc], 0.0, AT_ONCE, rng)
        parts = components(labels, scores, groups)
        limits = auc_intervals(parts), auc_intervals(parts, method="logit"), logit_t(design, parts)
        found.append(np.array(limits))
    shares = []
    for low, high in np.concatenate(found, axis=2):
        shares += [*ends(low, high, auc), None]
    return Cell(str(design), auc, None, None, *shares)


def difference(design, auc_a, auc_b, correlation, samples=SAMPLES, seed=""):
    """Return the cell of a paired difference."""
    rng = np.random.default_rng(zlib.crc32(f"{seed}{design} {auc_a} {auc_b} {correlation}".encode()))
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
        walds = gap - Z * se, gap + Z * se
        found.append(np.array([(low, high), walds, square_and_add(design, a, b, correlations)]))
    shares = []
    for low, high in np.concatenate(found, axis=2):
        shares += [*ends(low, high, auc_a - auc_b), share(low > -MARGIN)]
    return Cell(str(design), auc_a, auc_b, correlation, *shares)


def logit_t(design, parts):
    """Return logit limits (2, K) with Student's t on the smaller class's images, or patients, less one.

    An AUC without a variance keeps the interval that it has everywhere, Hoeffding's.
    """
    low, high = auc_intervals(parts, method="logit")
    quantile = stdtrit(min(design.positives, design.negatives) - 1, 0.975)
    varies = parts.se > 0
    low[varies], high[varies] = logit_interval(parts.auc[varies], parts.se[varies], quantile)
    return low, high


def square_and_add(design, a, b, correlations):
    """Return MOVER's limits (2, K) of a - b (Zou and Yue, Journal of Medical Virology 85:174-181, 2013)."""
    (low_a, high_a), (low_b, high_b) = logit_t(design, a), logit_t(design, b)

    def reach(of_a, of_b):
        return np.sqrt(np.maximum(of_a**2 + of_b**2 - 2 * correlations * of_a * of_b, 0.0))

    gap = a.auc - b.auc
    return gap - reach(a.auc - low_a, high_b - b.auc), gap + reach(high_a - a.auc, b.auc - low_b)


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
    pairs = ((0.80, 0.85), (0.87, 0.92), (0.91, 0.96), (0.88, 0.88), (0.93, 0.93))
    for design in HELD_OUT_DESIGNS:
        for auc in (0.80, 0.88, 0.93, 0.97):
            yield single(design, auc)
        for correlation in (0.5, 0.8, 0.95):
            for pair in pairs:
                yield difference(design, *pair, correlation)
    # Not looked at before an AUC without a variance got a correlation: many of these samples have one.
    for design in SEPARATED:
        for correlation in (0.6, 0.85):
            for pair in ((0.86, 0.91), (0.89, 0.94), (0.94, 0.99), (0.91, 0.91), (0.96, 0.96)):
                yield difference(design, *pair, correlation)


def outside(cell, errors=0.0):
    """Return whether the cell lies outside the bounds asked, or within ``errors`` standard errors of one."""

    def within(value, bound):
        return errors * np.sqrt(bound * (1 - bound) / SAMPLES) > abs(value - bound)

    least, most = cell.covers < LEAST, cell.covers > MOST
    near = within(cell.covers, LEAST) or within(cell.covers, MOST)
    return (
        least
        or most
        or near
        or any(error > MOST_ERROR or within(error, MOST_ERROR) for error in (cell.below, cell.above))
    )


def again(cells):
    """Yield the cells that lie outside the bounds, or so near that noise might hide it, from new samples."""
    designs = {str(design): design for design in (*FEW, *PATIENTS, *HELD_OUT_DESIGNS, *SEPARATED)}
    for cell in cells:
        if outside(cell, errors=2.0):
            pair = () if cell.auc_b is None else (cell.auc_b, cell.correlation)
            simulated = difference if pair else single
            yield simulated(designs[cell.design], cell.auc_a, *pair, samples=MANY, seed="again ")


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


def stated():
    """Return the cells of the first two files."""
    return [Cell(**row) for path in (EVIDENCE, HELD_OUT) for row in read(path)]


PARTS = {
    "coverage": (EVIDENCE, simulate),
    "held-out": (HELD_OUT, held_out),
    "again": (AGAIN, lambda: again(stated())),
}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        path, simulation = PARTS[part]
        cells = list(simulation())
        write(cells, path)
        print(f"{len(cells)} cells: {path}")
