"""Intervals and paired tests of any number, by a bootstrap over patients (scipy's BCa).

For what has no closed form: average precision, sensitivity at a specificity, partial AUC. Patients are drawn
with replacement within three strata (only positive images, only negative, both), as in bootstrap.py.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cxrbench.errors import StatisticsError
from cxrbench.statistics.bootstrap import strata_of
from cxrbench.statistics.inputs import BoolArray, FloatArray, Groups, IntArray, Sample, as_sample, check_level
from cxrbench.statistics.partial import sensitivities_at

Statistic = Callable[[BoolArray, FloatArray], float]

_MOST = 1_000_000
"""More resamples are a slip of the pen."""

MOST_FOR_BCA = 5_000
"""Patients up to which the interval is BCa, whose jackknife leaves each out once; above it is percentile."""


@dataclass(frozen=True)
class Resampled:
    """A number, or a difference of two, with its bootstrap standard error and interval.

    Parameters
    ----------
    value: on the sample as it is.
    se: standard deviation over the resamples.
    ci_low, ci_high: BCa interval (Efron, JASA 82:171-185, 1987), or the percentile interval, which ``note``
        says; None where there is none: the number is the same in every resample, which shows nothing of its
        uncertainty, or there are too few patients.
    p_value: of a difference, two-sided, from value / se (as pROC's bootstrap test); None for a single number
        or where ``se`` is 0 and the difference is not.
    note: what a reader must know, or None.
    """

    value: float
    se: float
    ci_low: float | None
    ci_high: float | None
    p_value: float | None = None
    note: str | None = None


@dataclass(frozen=True)
class Resampling:
    """How resamples are drawn.

    Parameters
    ----------
    seed: the same seed gives the same resamples.
    count: how many, 100 to a million.
    level: confidence of the intervals.

    Raises
    ------
    StatisticsError: too few or too many resamples, or no such confidence.
    """

    seed: int = 0
    count: int = 2000
    level: float = 0.95

    def __post_init__(self) -> None:
        check_level(self.level)
        if self.seed < 0:
            raise StatisticsError(f"seed: must be 0 or more, not {self.seed}")
        if self.count < 100:
            raise StatisticsError(f"resamples: at least 100 are needed for an interval, not {self.count}")
        if self.count > _MOST:
            raise StatisticsError(f"resamples: at most {_MOST:,} are drawn, not {self.count}")

    @property
    def rng(self) -> np.random.Generator:
        """A new generator, at its beginning."""
        return np.random.default_rng(self.seed)


_DEFAULT = Resampling()


def resampled(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    statistic: Statistic,
    groups: npt.ArrayLike | None = None,
    how: Resampling = _DEFAULT,
) -> Resampled:
    """Return a number of one curve with its interval.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: (n,) finite scores.
    statistic: (labels, scores) -> the number; called with resampled images.
    groups: (n,) the patient of each image, or None where images are independent.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    sample = as_sample(labels, {"scores": scores}, groups)
    (row,) = sample.scores
    return _bootstrap(sample, lambda images: statistic(sample.labels[images], row[images]), how)


def resampled_difference(
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    statistic: Statistic,
    groups: npt.ArrayLike | None = None,
    how: Resampling = _DEFAULT,
) -> Resampled:
    """Return the difference of a number of two curves on the same images, a minus b, with its paired test.

    Parameters and errors are those of :func:`resampled`.
    """
    sample = as_sample(labels, {"a": a, "b": b}, groups)
    first, second = sample.scores

    def of(images: IntArray) -> float:
        truth = sample.labels[images]
        return statistic(truth, first[images]) - statistic(truth, second[images])

    found = _bootstrap(sample, of, how)
    p = 1.0 if found.value == 0 else None
    if found.se > 0 and found.value != 0:
        p = float(2 * ndtr(-abs(found.value) / found.se))
    return replace(found, p_value=p)


def _bootstrap(sample: Sample, of: Callable[[IntArray], float], how: Resampling) -> Resampled:
    from scipy.stats import bootstrap
    from sklearn import config_context

    patients = sample.groups or Groups(np.arange(sample.labels.size), sample.labels.size)
    strata = strata_of(sample.labels, patients)
    single = [ids for ids in strata if ids.size < 2]
    images_of = _Images(patients)

    def statistic(*drawn: IntArray) -> float:
        return of(images_of(np.concatenate(drawn)))

    value = of(np.arange(sample.labels.size))
    method = "BCa" if patients.n_groups <= MOST_FOR_BCA and not single else "percentile"
    if single:
        # scipy needs two of each: a stratum of one patient is drawn as it is.
        fixed = np.concatenate(single)
        strata = [ids for ids in strata if ids.size > 1]
        if not strata:
            return Resampled(value, 0.0, None, None, note="too few patients for a bootstrap")
        inner = statistic

        def statistic(*drawn: IntArray) -> float:
            return inner(fixed, *drawn)

    # What is resampled has been checked; scikit-learn need not check it thousands of times.
    with warnings.catch_warnings(), config_context(assume_finite=True, skip_parameter_validation=True):
        warnings.simplefilter("ignore")
        found = bootstrap(
            tuple(strata),
            statistic,
            n_resamples=how.count,
            confidence_level=how.level,
            method=method,
            vectorized=False,
            rng=how.rng,
        )
    low, high = (float(end) for end in found.confidence_interval)
    se = float(found.standard_error)
    if se == 0 or math.isnan(se):
        return Resampled(value, 0.0, None, None, note="the same in every resample: no interval can be given")
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        # As where the number stays with any one patient left out; and the ends cross where the level is so
        # high that the acceleration takes over.
        return Resampled(value, se, None, None, note="no BCa interval exists for this sample at this level")
    note = None if method == "BCa" else "percentile interval, not BCa"
    return Resampled(value, se, low, high, note=note)


@dataclass(frozen=True)
class BandPoint:
    """The ROC curve at one specificity, with the ends of the pointwise confidence band."""

    specificity: float
    sensitivity: float
    low: float
    high: float


def roc_band(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    how: Resampling = _DEFAULT,
    points: int = 21,
) -> tuple[BandPoint, ...]:
    """Return sensitivities at evenly spaced specificities with a pointwise percentile band.

    The band holds the curve at any one specificity with the confidence stated, not the whole curve at once.
    Parameters and errors are those of :func:`resampled`.
    """
    if points < 2:
        raise StatisticsError(f"points: a band needs at least 2, not {points}")
    sample = as_sample(labels, {"scores": scores}, groups)
    tail = (1 - how.level) / 2
    (row,) = sample.scores
    at = np.linspace(0, 1, points)
    patients = sample.groups or Groups(np.arange(row.size), row.size)
    strata, images_of = strata_of(sample.labels, patients), _Images(patients)
    rng, found = how.rng, np.empty((how.count, points))
    for number in range(how.count):
        images = images_of(np.concatenate([rng.choice(ids, ids.size) for ids in strata]))
        found[number] = sensitivities_at(sample.labels[images], row[images], at)
    here = sensitivities_at(sample.labels, row, at)
    low, high = np.quantile(found, [tail, 1 - tail], axis=0)
    return tuple(
        BandPoint(float(s), float(here[k]), float(min(low[k], here[k])), float(max(high[k], here[k])))
        for k, s in enumerate(at)
    )


class _Images:
    """The images of drawn patients, each as often as its patient was drawn."""

    def __init__(self, patients: Groups) -> None:
        self._order = np.argsort(patients.codes, kind="stable")
        self._counts = np.bincount(patients.codes, minlength=patients.n_groups)
        self._starts = np.concatenate([[0], np.cumsum(self._counts)[:-1]])

    def __call__(self, drawn: IntArray) -> IntArray:
        counts = self._counts[drawn]
        ends = np.cumsum(counts)
        within = np.arange(ends[-1]) - np.repeat(ends - counts, counts)
        images: IntArray = self._order[np.repeat(self._starts[drawn], counts) + within]
        return images
