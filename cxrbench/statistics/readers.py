r"""Several readers of the same images with two or more methods: the Obuchowski-Rockette analysis.

Readers and images are both drawn from larger populations (Obuchowski and Rockette, Communications in
Statistics 24:285-308, 1995), with the degrees of freedom of Hillis (Statistics in Medicine 26:596-619, 2007).
With AUCs :math:`\theta_{ij}` of method i and reader j, of I methods and J readers, and error covariances
averaged over readers and methods,

.. math::

    F = \frac{MS(T)}{MS(TR) + \max(J(\mathrm{Cov}_2 - \mathrm{Cov}_3), 0)} \qquad
    ddf = \frac{[MS(TR) + \max(J(\mathrm{Cov}_2 - \mathrm{Cov}_3), 0)]^2}{MS(TR)^2 / ((I-1)(J-1))}

Cov2: different readers, one method. Cov3: different readers, different methods. They come from the
covariance of all I J curves (DeLong, or Obuchowski where images share patients).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc, stdtr, stdtrit

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import components
from cxrbench.statistics.inputs import FloatArray, as_sample, check_level


@dataclass(frozen=True)
class MethodDifference:
    """The difference of two methods' mean AUCs over readers."""

    a: str
    b: str
    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_value: float


@dataclass(frozen=True)
class ReaderStudy:
    """An Obuchowski-Rockette analysis.

    Parameters
    ----------
    means: (method, mean AUC over readers).
    ms_method, ms_interaction: the mean squares MS(T) and MS(TR).
    cov1, cov2, cov3: error covariances: one reader with different methods, different readers with one
        method, different readers with different methods.
    f, df, ddf, p_value: the test that all methods have the same mean AUC.
    differences: every pair of methods.
    """

    means: tuple[tuple[str, float], ...]
    ms_method: float
    ms_interaction: float
    cov1: float
    cov2: float
    cov3: float
    f: float
    df: int
    ddf: float
    p_value: float
    differences: tuple[MethodDifference, ...]


def reader_study(
    labels: npt.ArrayLike,
    scores: Mapping[str, Mapping[str, npt.ArrayLike]],
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> ReaderStudy:
    """Analyse a study in which every reader read every image with every method.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: method -> reader -> (n,) finite scores; the same two or more readers for every method.
    groups: (n,) the patient of each image, or None where images are independent.
    level: confidence of the intervals.

    Raises
    ------
    StatisticsError: fewer than two methods or readers, other readers for another method, or the input allows
        no honest number; rows are named.
    """
    methods = list(scores)
    readers = list(scores[methods[0]]) if methods else []
    if len(methods) < 2 or len(readers) < 2:
        raise StatisticsError("a reader study needs two methods and two readers")
    for method in methods:
        if set(scores[method]) != set(readers):
            raise StatisticsError(f"method {method!r} has other readers than {methods[0]!r}")
    sample = as_sample(labels, {f"{m}\n{r}": scores[m][r] for m in methods for r in readers}, groups)
    parts = components(sample.labels, sample.scores, sample.groups)
    shape = len(methods), len(readers)
    return analysed(methods, parts.auc.reshape(shape), parts.covariance, level=level)


def analysed(
    methods: list[str], aucs: FloatArray, covariance: FloatArray, *, level: float = 0.95
) -> ReaderStudy:
    """Analyse AUCs (I, J) of methods and readers with their covariance (I J, I J), methods outermost."""
    i, j = aucs.shape
    blocks = covariance.reshape(i, j, i, j)
    same_method, same_reader = np.eye(i, dtype=bool), np.eye(j, dtype=bool)

    def mean_of(methods_alike: bool, readers_alike: bool) -> float:
        return float(
            np.mean(
                [
                    blocks[a, r, b, s]
                    for a in range(i)
                    for b in range(i)
                    for r in range(j)
                    for s in range(j)
                    if same_method[a, b] == methods_alike and same_reader[r, s] == readers_alike
                ]
            )
        )

    cov1, cov2, cov3 = mean_of(False, True), mean_of(True, False), mean_of(False, False)
    by_method, by_reader, mean = aucs.mean(axis=1), aucs.mean(axis=0), aucs.mean()
    ms_method = float(j * np.sum((by_method - mean) ** 2) / (i - 1))
    rest = aucs - by_method[:, None] - by_reader[None, :] + mean
    ms_interaction = float(np.sum(rest**2) / ((i - 1) * (j - 1)))
    return hillis(list(zip(methods, by_method.tolist(), strict=True)), j, ms_method, ms_interaction,
                  (cov1, cov2, cov3), level)  # fmt: skip


def hillis(
    means: list[tuple[str, float]],
    readers: int,
    ms_method: float,
    ms_interaction: float,
    covariances: tuple[float, float, float],
    level: float = 0.95,
) -> ReaderStudy:
    """Return the analysis from its mean squares and the covariances 1, 2 and 3."""
    i = len(means)
    denominator = ms_interaction + max(readers * (covariances[1] - covariances[2]), 0.0)
    if denominator == 0:
        raise StatisticsError("the readers' AUCs have no variance: there is nothing to test with")
    ddf = denominator**2 / (ms_interaction**2 / ((i - 1) * (readers - 1))) if ms_interaction > 0 else math.inf
    f = ms_method / denominator
    large = 1e12 if math.isinf(ddf) else ddf
    se = math.sqrt(2 * denominator / readers)
    quantile = float(stdtrit(large, 0.5 + check_level(level) / 2))
    differences = []
    for first, (a, mean_a) in enumerate(means):
        for b, mean_b in means[first + 1 :]:
            difference = mean_a - mean_b
            differences.append(
                MethodDifference(
                    a,
                    b,
                    difference,
                    se,
                    difference - quantile * se,
                    difference + quantile * se,
                    float(2 * stdtr(large, -abs(difference) / se)),
                )
            )
    return ReaderStudy(
        tuple(means), ms_method, ms_interaction, *covariances, f, i - 1, large,
        float(fdtrc(i - 1, large, f)), tuple(differences),
    )  # fmt: skip
