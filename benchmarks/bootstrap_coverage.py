"""Simulated coverage of bootstrap intervals, BCa and percentile: ``python benchmarks/bootstrap_coverage.py``.

Writes docs/statistics/bootstrap.csv, in four minutes of one core. Scores and designs are those of
coverage.py. The intervals are those of ``cxrbench.statistics.resampling`` (patients drawn within each class),
computed for all resamples at once; test_coverage.py holds the two against each other.
"""

from __future__ import annotations

import importlib.util
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.integrate import quad
from scipy.special import ndtr, ndtri
from scipy.stats import norm


def _load_coverage():
    """Return coverage.py, whose name is also that of a package."""
    name, place = "coverage_simulation", Path(__file__).parent / "coverage.py"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, place)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


coverage = _load_coverage()

EVIDENCE = coverage.EVIDENCE.with_name("bootstrap.csv")
SAMPLES, RESAMPLES = 1000, 1000
SPECIFICITY = 0.9
DESIGNS = (
    *(coverage.Design(m, n) for m, n in ((10, 100), (20, 20), (30, 90))),
    *(coverage.Design(n // 2, n // 2, patients=True) for n in (20, 40, 80)),
)
PAIRS = ((0.85, 0.90), (0.90, 0.95))
NUMBERS = ("AUC", f"sensitivity at {SPECIFICITY:g}", "average precision")


@dataclass(frozen=True)
class Cell:
    """Shares of the samples that have an interval: which cover, lie below and lie above the truth.

    ``none``: the share of the samples without a BCa interval, as where an AUC is 1.
    ``of``: the number; of ``auc_b`` alone, or the difference a minus b.
    """

    design: str
    auc_a: float | None
    auc_b: float
    of: str
    none: float
    bca_covers: float
    bca_below: float
    bca_above: float
    percentile_covers: float
    percentile_below: float
    percentile_above: float


def numbers(labels, scores, weights):
    """Return the three numbers (3, R) of scores (n,) without ties, each image counted ``weights`` (R, n)."""
    order = np.argsort(-scores)
    counted, positive = weights[:, order], labels[order]
    right, wrong = counted * positive, counted * ~positive
    true, false = np.cumsum(right, axis=1), np.cumsum(wrong, axis=1)
    positives, negatives = true[:, -1:], false[:, -1:]
    area = (wrong * true).sum(axis=1) / (positives * negatives)[:, 0]
    reached = right * (false <= (1 - SPECIFICITY) * negatives + 1e-9)
    precision = np.divide(true, true + false, out=np.zeros(true.shape), where=true + false > 0)
    return np.stack(
        [area, reached.sum(axis=1) / positives[:, 0], (right * precision).sum(axis=1) / positives[:, 0]]
    )


def truths(auc, prevalence):
    """Return the three numbers of the binormal model."""
    shift = np.sqrt(2) * ndtri(auc)

    def precision(threshold):
        true, false = prevalence * ndtr(shift - threshold), (1 - prevalence) * ndtr(-threshold)
        return true / (true + false) * norm.pdf(threshold - shift)

    return np.array([auc, ndtr(shift - ndtri(SPECIFICITY)), quad(precision, -8, 8 + shift)[0]])


def intervals(here, drawn, left_out):
    """Return 95% intervals (K, 2) by percentiles and by BCa (Efron 1987; NaN where there is none).

    Parameters
    ----------
    here: (K,) numbers.
    drawn: (K, R) in the resamples.
    left_out: for each class (K, patients), each patient left out once.
    """
    tails = np.array([0.025, 0.975])
    plain = np.quantile(drawn, tails, axis=1).T
    bias = ndtri(((drawn < here[:, None]).mean(axis=1) + (drawn <= here[:, None]).mean(axis=1)) / 2)
    top, bottom = 0.0, 0.0
    for values in left_out:
        patients = values.shape[1]
        influence = (patients - 1) * (values.mean(axis=1, keepdims=True) - values)
        top = top + (influence**3).sum(axis=1) / patients**3
        bottom = bottom + (influence**2).sum(axis=1) / patients**2
    with np.errstate(invalid="ignore", divide="ignore"):
        acceleration = top / bottom**1.5 / 6
        shifted = bias[:, None] + ndtri(tails)
        at = ndtr(bias[:, None] + shifted / (1 - acceleration[:, None] * shifted))
    exists = np.isfinite(at).all(axis=1) & (np.ptp(drawn, axis=1) > 0)
    corrected = np.full_like(plain, np.nan)
    for k in np.flatnonzero(exists):
        corrected[k] = np.quantile(drawn[k], at[k])
    plain[~exists] = np.nan
    return plain, corrected


def simulate(design, pair, samples=SAMPLES, resamples=RESAMPLES):
    """Return the cells of a design: the numbers of the second curve, and the difference of the two AUCs."""
    rng = np.random.default_rng(zlib.crc32(f"bootstrap {design} {pair}".encode()))
    labels, _, scores = coverage.draw(design, pair, coverage.CORRELATION, samples, rng)
    per = coverage.IMAGES_PER_PATIENT if design.patients else 1
    classes = design.positives, design.negatives
    units = sum(classes)
    one_less = np.repeat(1 - np.eye(units, dtype=np.int64), per, axis=1)
    found = []
    for sample in range(samples):
        drawn = [rng.multinomial(n, np.full(n, 1 / n), size=resamples) for n in classes]
        weights = np.concatenate(
            [
                np.ones((1, labels.size), dtype=np.int64),
                one_less,
                np.repeat(np.concatenate(drawn, axis=1), per, axis=1),
            ]
        )
        a, b = (numbers(labels, rows[sample], weights) for rows in scores)
        of = np.concatenate([b, a[:1] - b[:1]])
        outs = of[:, 1 : 1 + classes[0]], of[:, 1 + classes[0] : 1 + units]
        found.append(intervals(of[:, 0], of[:, 1 + units :], outs))
    truth = np.append(truths(pair[1], design.positives / units), pair[0] - pair[1])
    plain, corrected = (np.stack(column) for column in zip(*found, strict=True))
    for k, name in enumerate((*NUMBERS, "difference of AUCs")):
        exists = np.isfinite(corrected[:, k]).all(axis=1)
        shares = [coverage.ends(*of[exists, k].T, truth[k]) for of in (corrected, plain)]
        auc_a = pair[0] if k == len(NUMBERS) else None
        yield Cell(str(design), auc_a, pair[1], name, coverage.share(~exists), *shares[0], *shares[1])


if __name__ == "__main__":
    cells = [cell for design in DESIGNS for pair in PAIRS for cell in simulate(design, pair)]
    coverage.write(cells, EVIDENCE)
    print(f"{len(cells)} cells: {EVIDENCE}")
