"""Sensitivity and specificity at thresholds chosen on validation images, and McNemar's test there.

An image is called positive where its score is at least the threshold. Thresholds come from the validation
images only, and are observed scores of theirs, so the test images have no say in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import (
    BoolArray,
    Groups,
    as_groups,
    as_labels,
    as_sample,
    as_scores,
    check_classes,
    check_length,
    check_level,
)

FIXED_SENSITIVITIES = (0.90, 0.95)


@dataclass(frozen=True)
class Proportion:
    """A proportion of images with its Wilson interval.

    Parameters
    ----------
    value: count / n.
    count, n: images.
    n_effective: what the interval counts as independent; ``n`` where images are, fewer where they share
        patients.
    ci_low, ci_high: ends of the interval.
    """

    value: float
    count: int
    n: int
    n_effective: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class OperatingPoint:
    """A classifier at one threshold.

    Parameters
    ----------
    rule: how the threshold was chosen: ``"youden"`` or such as ``"sensitivity 0.90"``.
    threshold: a score; images at or above it are called positive.
    sensitivity, specificity: on the test images.
    """

    rule: str
    threshold: float
    sensitivity: Proportion
    specificity: Proportion


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two classifiers' calls on the same images of one class.

    Parameters
    ----------
    only_a_right, only_b_right: images on which one of them is right and the other wrong.
    p_value: two-sided; exact binomial for independent images, else the clustered chi-square of Obuchowski
        (Statistics in Medicine 17:1495-1507, 1998).
    """

    only_a_right: int
    only_b_right: int
    p_value: float


def youden_threshold(labels: npt.ArrayLike, scores: npt.ArrayLike) -> float:
    """Return the score at which sensitivity + specificity - 1 is largest (Youden, Cancer 3:32-35, 1950).

    Of several such scores the lowest, which has the highest sensitivity.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    checked, values = _one_curve(labels, scores)
    order = np.argsort(values)
    ranked, positive = values[order], checked[order]
    first = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    called = np.cumsum(positive[::-1])[::-1][first], np.cumsum(~positive[::-1])[::-1][first]
    positives = int(np.count_nonzero(checked))
    # In whole numbers, so that equal points are seen to be equal.
    gain = called[0] * (checked.size - positives) - called[1] * positives
    return float(ranked[first[np.argmax(gain)]])


def sensitivity_threshold(labels: npt.ArrayLike, scores: npt.ArrayLike, sensitivity: float) -> float:
    """Return the highest score at which at least this share of the positive images is called positive.

    Raises
    ------
    StatisticsError: the input allows no honest number, or ``sensitivity`` is not above 0 and at most 1.
    """
    if not 0 < sensitivity <= 1:
        raise StatisticsError(f"sensitivity: must be above 0 and at most 1, not {sensitivity:g}")
    checked, values = _one_curve(labels, scores)
    positives = np.sort(values[checked])[::-1]
    # 0.95 * 20 must be 19 images, whatever the last bit of the product.
    needed = max(1, math.ceil(round(sensitivity * positives.size, 9)))
    return float(positives[needed - 1])


def at_threshold(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    threshold: float,
    groups: npt.ArrayLike | None = None,
    *,
    rule: str = "given",
    level: float = 0.95,
) -> OperatingPoint:
    """Return sensitivity and specificity on test images at a threshold.

    Parameters
    ----------
    labels, scores: (n,) of the test images.
    threshold: images at or above it are called positive.
    groups: (n,) the patient of each image; given, the Wilson interval is that of the effective number of
        images, n over the design effect (Rao and Scott, Biometrics 48:577-585, 1992), or of the number of
        patients where the proportion is 0 or 1 and shows no variance.
    rule: carried to the record.
    level: confidence of the intervals.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    if math.isnan(threshold):
        raise StatisticsError("threshold: must be a number, not nan")
    sample = as_sample(labels, {"scores": scores}, groups)
    called = sample.scores[0] >= threshold
    sides = []
    for right, of_class in ((called, sample.labels), (~called, ~sample.labels)):
        patients = None if sample.groups is None else sample.groups.take(of_class)
        sides.append(_proportion(right[of_class], patients, level))
    return OperatingPoint(rule, float(threshold), *sides)


def operating_points(
    validation_labels: npt.ArrayLike,
    validation_scores: npt.ArrayLike,
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    sensitivities: Sequence[float] = FIXED_SENSITIVITIES,
    level: float = 0.95,
) -> tuple[OperatingPoint, ...]:
    """Choose the Youden point and the fixed sensitivities on validation images; measure them on test images.

    The sensitivity reached on the test images differs from the one fixed on validation, and is what is
    reported.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    rules = thresholds(validation_labels, validation_scores, sensitivities)
    return tuple(
        at_threshold(labels, scores, threshold, groups, rule=rule, level=level) for rule, threshold in rules
    )


def thresholds(
    labels: npt.ArrayLike, scores: npt.ArrayLike, sensitivities: Sequence[float] = FIXED_SENSITIVITIES
) -> list[tuple[str, float]]:
    """Return (rule, threshold) of the Youden point and the fixed sensitivities, chosen on validation images.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    found = [("youden", youden_threshold(labels, scores))]
    for value in sensitivities:
        found.append((f"sensitivity {value:.2f}", sensitivity_threshold(labels, scores, value)))
    return found


def mcnemar_tests(
    labels: npt.ArrayLike,
    calls_a: npt.ArrayLike,
    calls_b: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
) -> tuple[McNemar, McNemar]:
    """Test two classifiers' calls on the same images: first their sensitivities, then their specificities.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    calls_a, calls_b: (n,) 0 or 1, each classifier's call at its own threshold.
    groups: (n,) the patient of each image, or None where images are independent.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    truth = as_labels(labels)
    check_classes(truth)
    right = []
    for name, calls in (("calls_a", calls_a), ("calls_b", calls_b)):
        checked = as_labels(calls, name)
        check_length(checked.size, truth.size, name)
        right.append(checked == truth)
    patients = None if groups is None else as_groups(groups, truth.size)
    sensitivity, specificity = (
        _mcnemar(right[0][side], right[1][side], None if patients is None else patients.take(side))
        for side in (truth, ~truth)
    )
    return sensitivity, specificity


def _one_curve(labels: npt.ArrayLike, scores: npt.ArrayLike) -> tuple[BoolArray, npt.NDArray[np.float64]]:
    checked, values = as_labels(labels), as_scores(scores)
    check_length(values.size, checked.size, "scores")
    check_classes(checked)
    return checked, values


def _proportion(right: BoolArray, patients: Groups | None, level: float) -> Proportion:
    # Imported here: statsmodels takes seconds to load.
    from statsmodels.stats.proportion import proportion_confint

    count, n = int(np.count_nonzero(right)), right.size
    value = count / n
    effective = float(n) if patients is None else _effective_number(right, patients)
    low, high = proportion_confint(
        value * effective, effective, alpha=1 - check_level(level), method="wilson"
    )
    return Proportion(value, count, n, effective, max(0.0, float(low)), min(1.0, float(high)))


def _effective_number(right: BoolArray, patients: Groups) -> float:
    """Return n over the design effect: the clustered variance of the proportion over the binomial one.

    Both carry their small-sample factor, so one image per patient gives n. Never above n.
    """
    n, k = right.size, patients.n_groups
    value = np.count_nonzero(right) / n
    if value in (0.0, 1.0) or k == 1:
        return float(k)
    sizes = np.bincount(patients.codes, minlength=k)
    counts = np.bincount(patients.codes, weights=right, minlength=k)
    clustered = k / (k - 1) * float(np.sum((counts - value * sizes) ** 2)) / n**2
    binomial = value * (1 - value) / (n - 1)
    return n / max(1.0, clustered / binomial)


def _mcnemar(right_a: BoolArray, right_b: BoolArray, patients: Groups | None) -> McNemar:
    only_a, only_b = right_a & ~right_b, right_b & ~right_a
    counts = int(np.count_nonzero(only_a)), int(np.count_nonzero(only_b))
    if patients is None:
        # Imported here: statsmodels takes seconds to load.
        from statsmodels.stats.contingency_tables import mcnemar

        table = [[0, counts[0]], [counts[1], 0]]
        return McNemar(*counts, float(mcnemar(table, exact=True).pvalue))
    k = patients.n_groups
    by_patient = np.bincount(patients.codes, weights=only_a.astype(float) - only_b, minlength=k)
    squares = float(np.sum(by_patient**2))
    if squares == 0:
        return McNemar(*counts, 1.0)
    chi2 = (k - 1) / k * float(np.sum(by_patient)) ** 2 / squares
    return McNemar(*counts, float(chdtrc(1, chi2)))
