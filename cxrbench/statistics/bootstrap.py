"""A stratified bootstrap over patients: the cross-check of the closed forms' standard errors.

Its percentile interval falls short in small samples, more than the intervals of ``auc`` (docs/statistics.md).

Patients are drawn with replacement within three strata (only positive images, only negative, both), so that
every resample holds both classes and the mix of the sample (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapters 8 and 13). Without patients each image is one. All curves share the resamples, so
differences are paired.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import BoolArray, FloatArray, Groups, IntArray, as_sample, check_level

_WEIGHTS_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """AUCs of K curves in B resamples.

    Parameters
    ----------
    names: the curves.
    aucs: (B, K) float64.
    """

    names: tuple[str, ...]
    aucs: FloatArray

    @property
    def covariance(self) -> FloatArray:
        """(K, K) covariance of the AUCs over the resamples."""
        return np.atleast_2d(np.cov(self.aucs, rowvar=False))

    def se(self, name: str) -> float:
        """Standard error of a curve's AUC."""
        return float(np.std(self.aucs[:, self._index(name)], ddof=1))

    def se_difference(self, a: str, b: str) -> float:
        """Standard error of the difference of two AUCs."""
        difference = self.aucs[:, self._index(a)] - self.aucs[:, self._index(b)]
        return float(np.std(difference, ddof=1))

    def interval(self, name: str, level: float = 0.95) -> tuple[float, float]:
        """Percentile interval of a curve's AUC.

        Raises
        ------
        StatisticsError: the AUC is the same in every resample, which shows nothing of its uncertainty.
        """
        tail = (1 - check_level(level)) / 2
        found = self.aucs[:, self._index(name)]
        if np.ptp(found) == 0:
            raise StatisticsError(
                f"{name!r}: the AUC is {found[0]:g} in every resample: no interval can be given"
            )
        low, high = np.quantile(found, [tail, 1 - tail])
        return float(low), float(high)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise StatisticsError(f"no curve {name!r}; there are {', '.join(self.names)}")
        return self.names.index(name)


def bootstrap_auc(
    labels: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike | None = None,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> Bootstrap:
    """Return the AUCs of every curve in ``resamples`` stratified resamples of the patients.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: name -> (n,) finite scores.
    groups: (n,) the patient of each image, or None where images are independent.
    rng: where the resamples come from; the same state gives the same resamples.
    resamples: B, at least 2.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    if resamples < 2:
        raise StatisticsError(f"resamples: at least 2 are needed for a standard error, not {resamples}")
    sample = as_sample(labels, scores, groups)
    patients = sample.groups or Groups(np.arange(sample.labels.size), sample.labels.size)
    strata = strata_of(sample.labels, patients)
    orders = [_Ranking.of(sample.labels, row) for row in sample.scores]
    aucs = np.empty((resamples, len(sample.names)))
    step = max(1, _WEIGHTS_AT_ONCE // sample.labels.size)
    for first in range(0, resamples, step):
        count = min(step, resamples - first)
        drawn = np.zeros((count, patients.n_groups), dtype=np.int64)
        for stratum in strata:
            drawn[:, stratum] = rng.multinomial(
                stratum.size, np.full(stratum.size, 1 / stratum.size), size=count
            )
        weights = drawn[:, patients.codes]
        for curve, order in enumerate(orders):
            aucs[first : first + count, curve] = order.weighted_auc(weights)
    return Bootstrap(sample.names, aucs)


@dataclass(frozen=True, eq=False)
class _Ranking:
    """A curve sorted once: AUCs under any weights of the images then need no sorting."""

    order: IntArray
    positive: BoolArray
    runs: IntArray

    @staticmethod
    def of(labels: BoolArray, scores: FloatArray) -> _Ranking:
        order = np.argsort(scores)
        ranked = scores[order]
        runs = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
        return _Ranking(order, labels[order], runs)

    def weighted_auc(self, weights: IntArray) -> FloatArray:
        """Return (B,) AUCs, each image counted as often as ``weights`` (B, n) says."""
        ranked = weights[:, self.order]
        positives = np.add.reduceat(np.where(self.positive, ranked, 0), self.runs, axis=1)
        negatives = np.add.reduceat(np.where(self.positive, 0, ranked), self.runs, axis=1)
        below = np.cumsum(negatives, axis=1) - negatives
        wins = np.sum(positives * (2 * below + negatives), axis=1)
        pairs = positives.sum(axis=1) * negatives.sum(axis=1)
        aucs: FloatArray = wins / (2 * pairs)
        return aucs


def strata_of(labels: BoolArray, patients: Groups) -> list[IntArray]:
    """Return the patients with only negative, only positive, and both kinds of images; none is empty."""
    has_positive = np.bincount(patients.codes, weights=labels, minlength=patients.n_groups) > 0
    has_negative = np.bincount(patients.codes, weights=~labels, minlength=patients.n_groups) > 0
    kind = has_positive.astype(np.int64) + 2 * has_negative.astype(np.int64)
    return [np.flatnonzero(kind == value) for value in np.unique(kind)]
