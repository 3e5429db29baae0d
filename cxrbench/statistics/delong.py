r"""The area under the ROC curve and its covariance, for any number of curves at once.

The definition. With scores :math:`X_1..X_M` of the positive and :math:`Y_1..Y_N` of the negative images,

.. math::

    \psi(X, Y) = 1, \tfrac12, 0 \text{ for } X > Y, X = Y, X < Y \qquad
    \hat\theta = \frac{1}{MN} \sum_i \sum_j \psi(X_i, Y_j)

and the structural components of DeLong, DeLong and Clarke-Pearson (Biometrics 44:837-845, 1988, eq. 3-4) are

.. math::

    V_{10}(X_i) = \frac1N \sum_j \psi(X_i, Y_j) \qquad V_{01}(Y_j) = \frac1M \sum_i \psi(X_i, Y_j)

    \operatorname{cov}(\hat\theta^r, \hat\theta^s)
      = \frac{\sum_i (V^r_{10}(X_i) - \hat\theta^r)(V^s_{10}(X_i) - \hat\theta^s)}{M (M-1)}
      + \frac{\sum_j (V^r_{01}(Y_j) - \hat\theta^r)(V^s_{01}(Y_j) - \hat\theta^s)}{N (N-1)}

The algorithm. One sort per curve gives every component (Sun and Xu, IEEE Signal Processing Letters
21:1389-1393, 2014, by midranks). Here the pairs won are counted in whole numbers, twice over so that a tie is
a one: :math:`N V_{10}(X_i)` is the number of negatives below the image plus half of those tied with it. The
deviations :math:`V - \hat\theta` then have whole-number numerators over :math:`2MN`, so that two identical
curves differ by exactly zero, perfect separation has a variance of exactly zero, and no precision is lost to
cancellation.

The covariance is kept as a factor: a matrix ``F`` (K, L) with ``F @ F.T`` the covariance. The variance of any
contrast ``c`` of the curves is ``((c @ F) ** 2).sum()``: never negative, and exactly zero where the curves
agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import BoolArray, FloatArray, IntArray

_VALUES_AT_ONCE = 1 << 20
"""Scores ranked in one go: enough to be fast on many small samples, few enough to keep memory low."""


@dataclass(frozen=True)
class Components:
    """AUCs of K curves on one sample, and a factor of their covariance.

    Parameters
    ----------
    wins: (K,) int64, twice the number of (positive, negative) pairs ranked rightly, ties counting one half.
    factor: (K, L) float64, ``factor @ factor.T`` is the covariance of the K AUCs. The columns belong to
        images (DeLong) or patients (Obuchowski), the same for every curve of the sample.
    n_positive, n_negative: images of each class.
    independent_pairs: the largest number of disjoint (positive, negative) pairs of different patients: what
        the intervals for zero variance rest on.
    degrees: (K,) Satterthwaite's degrees of freedom of the variances, from their two parts, positive and
        negative: between the smaller class's units (images or patients) - 1 and all units - 2.
    image_variance: (K,) DeLong's variances, as if each image were a patient: what a variance over patients is
        held against.
    """

    wins: IntArray
    factor: FloatArray
    n_positive: int
    n_negative: int
    independent_pairs: int
    degrees: FloatArray
    image_variance: FloatArray

    @property
    def auc(self) -> FloatArray:
        """(K,) AUCs."""
        return np.true_divide(self.wins, 2 * self.n_positive * self.n_negative, dtype=np.float64)

    @property
    def se(self) -> FloatArray:
        """(K,) standard errors."""
        squares: FloatArray = np.einsum("kl,kl->k", self.factor, self.factor)
        return np.sqrt(squares)

    @property
    def covariance(self) -> FloatArray:
        """(K, K) covariance of the AUCs."""
        return self.factor @ self.factor.T

    def differences(self, pairs: Sequence[tuple[int, int]]) -> tuple[FloatArray, FloatArray]:
        """Return the difference first minus second and its standard error, each (P,), for P pairs of curves.

        The difference comes from the whole-number counts and the standard error from the difference of the
        factors, so both change at most their sign when a pair is turned around.
        """
        first, second = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        difference = (self.wins[first] - self.wins[second]) / (2 * self.n_positive * self.n_negative)
        squares = np.empty(len(pairs))
        for position, (a, b) in enumerate(pairs):
            contrast = self.factor[a] - self.factor[b]
            squares[position] = contrast @ contrast
        return difference, np.sqrt(squares)


def pairs_won(labels: BoolArray, scores: FloatArray) -> IntArray:
    """Count, for each image of each curve, the images of the other class that it is on the right side of.

    Parameters
    ----------
    labels: (n,) bool, true for positive.
    scores: (K, n) float64, finite.

    Returns
    -------
    (K, n) int64: for a positive image twice the number of negatives with a lower score, for a negative image
    twice the number of positives with a higher one, plus the number of the other class with the same score.
    """
    won = np.empty(scores.shape, dtype=np.int64)
    for rows in _chunks(*scores.shape):
        won[rows] = _pairs_won(labels, scores[rows])
    return won


def _pairs_won(labels: BoolArray, scores: FloatArray) -> IntArray:
    curves, n = scores.shape
    order = np.argsort(scores, axis=1)
    ranked = np.take_along_axis(scores, order, axis=1)
    positive = labels[order]
    # Each place lies in a run of equal scores, from `start` (inclusive) to `end` (exclusive).
    begins = np.ones((curves, n + 1), dtype=np.bool_)
    np.not_equal(ranked[:, 1:], ranked[:, :-1], out=begins[:, 1:n])
    places = np.arange(n + 1)
    start = np.maximum.accumulate(np.where(begins[:, :n], places[:n], 0), axis=1)
    end = np.minimum.accumulate(np.where(begins[:, 1:], places[1:], n)[:, ::-1], axis=1)[:, ::-1]
    negatives = np.zeros((curves, n + 1), dtype=np.int64)
    np.cumsum(~positive, axis=1, out=negatives[:, 1:])
    # Below the run plus up to its end: twice those below, once those tied.
    lower = np.take_along_axis(negatives, start, axis=1) + np.take_along_axis(negatives, end, axis=1)
    higher = 2 * int(np.count_nonzero(labels)) - (start + end - lower)
    won = np.empty((curves, n), dtype=np.int64)
    np.put_along_axis(won, order, np.where(positive, lower, higher), axis=1)
    return won


def delong_components(labels: BoolArray, scores: FloatArray) -> Components:
    """AUCs of K curves and their covariance, images independent (DeLong et al. 1988, eq. 5).

    Parameters
    ----------
    labels: (n,) bool, both classes present.
    scores: (K, n) float64, finite.

    Raises
    ------
    StatisticsError: fewer than two images of a class, which leaves the variance undefined.
    """
    positives = int(np.count_nonzero(labels))
    negatives = labels.size - positives
    require_two(positives, negatives, "images")
    wins, numerators = deviations(labels, scores)
    # (V - theta) / sqrt(M (M - 1)): its square is one term of the sum above.
    scale = np.where(labels, np.sqrt(positives * (positives - 1.0)), np.sqrt(negatives * (negatives - 1.0)))
    factor = numerators / (2 * positives * negatives * scale)
    of_positive, of_negative = class_parts(labels, factor)
    degrees = satterthwaite(of_positive, of_negative, positives, negatives)
    return Components(
        wins,
        factor,
        positives,
        negatives,
        min(positives, negatives),
        degrees,
        of_positive + of_negative,
    )


def class_parts(labels: BoolArray, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return sums of squares (K,) of ``factor`` (K, n) over the positive and over the negative images."""
    whole: FloatArray = np.einsum("kl,kl->k", factor, factor)
    of_positive: FloatArray = np.einsum("kl,kl,l->k", factor, factor, labels.astype(np.float64))
    return of_positive, np.maximum(whole - of_positive, 0.0)


def satterthwaite(a: FloatArray, b: FloatArray, n_a: int, n_b: int) -> FloatArray:
    """Return the degrees of freedom of the sums of two variances ``a`` and ``b`` (K,) of means of n each.

    Satterthwaite (Biometrics Bulletin 2:110-114, 1946). Where both are zero, those of the smaller class.
    """
    uncertainty = a**2 / (n_a - 1) + b**2 / (n_b - 1)
    fewest = np.full(a.shape, float(min(n_a, n_b) - 1))
    degrees: FloatArray = np.divide((a + b) ** 2, uncertainty, out=fewest, where=uncertainty > 0)
    return degrees


def require_two(positives: int, negatives: int, unit: str) -> None:
    """Refuse a sample whose variance is undefined.

    Raises
    ------
    StatisticsError: fewer than two images or patients of a class.
    """
    for count, kind in ((positives, "positive"), (negatives, "negative")):
        if count < 2:
            held = "image" if unit == "images" else "patient with images"
            raise StatisticsError(
                f"only {count} {held} of the {kind} class: the variance of an AUC needs at least two"
            )


def deviations(labels: BoolArray, scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Return the wins (K,) and (K, n) the deviations V - theta times 2MN, which are whole numbers."""
    numerators = pairs_won(labels, scores)
    positives = int(np.count_nonzero(labels))
    wins = numerators.sum(axis=1, where=labels)
    numerators *= np.where(labels, positives, labels.size - positives)
    numerators -= wins[:, None]
    return wins, numerators


def _chunks(rows: int, columns: int) -> Iterator[slice]:
    step = max(1, _VALUES_AT_ONCE // columns)
    for first in range(0, rows, step):
        yield slice(first, first + step)
