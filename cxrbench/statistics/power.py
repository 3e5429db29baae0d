r"""Power of a comparison of two AUCs, and the number of patients needed for a stated difference.

A comparison on ``n`` patients with standard error SE is a normal test of the difference δ, and SE falls with
:math:`1/\sqrt n` at the same mix of classes and images per patient. SE comes from a comparison already made
(:class:`~cxrbench.statistics.records.Pair`), or, before any data, from :func:`planned_se`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from scipy.special import ndtr, ndtri

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import check_level
from cxrbench.statistics.intervals import hanley_mcneil_variance

MOST_PATIENTS = 10**15
"""A number above which no study is planned, and float64 no longer distinguishes one patient from none."""

Hypothesis = Literal["difference", "noninferiority", "superiority"]
"""What is to be shown: two AUCs differ (two-sided), or one of the one-sided claims with a margin."""


def comparison_power(
    difference: float,
    se: float,
    *,
    hypothesis: Hypothesis = "difference",
    margin: float = 0.0,
    level: float = 0.95,
) -> float:
    """Return the probability that a comparison shows what it is meant to show.

    Parameters
    ----------
    difference: the true AUC of a minus that of b.
    se: standard error of the difference in the comparison.
    hypothesis: ``"difference"`` is tested two-sided at 1 - level, the other two one-sided at (1 - level) / 2.
    margin: for the one-sided claims.
    level: confidence of the matching interval.

    Raises
    ------
    StatisticsError: ``se`` is not above 0, or an argument is out of range.
    """
    if not (math.isfinite(se) and se > 0):
        raise StatisticsError(f"se: must be above 0, not {se:g}")
    if not -1 <= difference <= 1:
        raise StatisticsError(f"difference: must be an AUC difference from -1 to 1, not {difference:g}")
    z = float(ndtri(0.5 + check_level(level) / 2))
    effect = _effect(difference, hypothesis, margin) / se
    if hypothesis == "difference":
        return float(ndtr(effect - z) + ndtr(-effect - z))
    return float(ndtr(effect - z))


def patients_needed(
    difference: float,
    se: float,
    n_patients: int,
    *,
    wanted_power: float = 0.8,
    hypothesis: Hypothesis = "difference",
    margin: float = 0.0,
    level: float = 0.95,
) -> int:
    """Return the smallest number of patients with which a comparison has the power that is wanted.

    Parameters
    ----------
    difference: the true AUC of a minus that of b.
    se: standard error of the difference on ``n_patients`` patients (or images, where each counts as one).
    n_patients: size of the sample that ``se`` comes from.
    wanted_power: from 0.5 to below 1.
    hypothesis, margin, level: as for :func:`comparison_power`.

    Raises
    ------
    StatisticsError: no number of patients can show it (such as non-inferiority where the true difference is
        no better than minus the margin), or an argument is out of range.
    """
    if not (math.isfinite(se) and se > 0):
        raise StatisticsError(f"se: must be above 0, not {se:g}")
    if not -1 <= difference <= 1:
        raise StatisticsError(f"difference: must be an AUC difference from -1 to 1, not {difference:g}")
    if not 1 <= n_patients <= MOST_PATIENTS:
        raise StatisticsError(f"n_patients: must be from 1 to {MOST_PATIENTS:,}, not {n_patients}")
    if not 0.5 <= wanted_power < 1:
        raise StatisticsError(f"wanted_power: must be from 0.5 to below 1, not {wanted_power:g}")
    effect = _effect(difference, hypothesis, margin)
    if effect == 0 or (hypothesis != "difference" and effect < 0):
        raise StatisticsError(
            f"no number of patients shows {hypothesis} where the true difference is {difference:g} and the "
            f"margin {margin:g}"
        )

    def reached(n: int) -> float:
        scaled = se * math.sqrt(n_patients / n)
        return comparison_power(difference, scaled, hypothesis=hypothesis, margin=margin, level=level)

    return _fewest(reached, wanted_power)


def _fewest(reached: Callable[[int], float], wanted: float, least: int = 1) -> int:
    """Return the smallest number, from ``least``, at which ``reached``, which grows with it, is enough."""
    enough = least
    while reached(enough) < wanted:
        enough *= 2
        if enough > MOST_PATIENTS:
            raise StatisticsError(f"more than {MOST_PATIENTS:,} would be needed: the effect is too small")
    too_few = enough // 2 if enough > least else least - 1
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        enough, too_few = (middle, too_few) if reached(middle) >= wanted else (enough, middle)
    return enough


def planned_se(
    auc_a: float, auc_b: float, n_positive: int, n_negative: int, *, correlation: float = 0.5
) -> float:
    r"""Return the standard error of a difference that a comparison would have, before there are any data.

    Hanley and McNeil (Radiology 143:29-36, 1982, eq. 1; 148:839-843, 1983), images independent:

    .. math::

        \operatorname{var}(\hat\theta)
          = \frac{\theta(1-\theta) + (M-1)(Q_1-\theta^2) + (N-1)(Q_2-\theta^2)}{MN}
        \qquad Q_1 = \frac{\theta}{2-\theta} \quad Q_2 = \frac{2\theta^2}{1+\theta}

    It is the variance of exponential scores, and too large (so careful) for normal ones at high AUCs in
    unbalanced samples: by half at 20 positives, 180 negatives and AUCs of 0.9 and 0.8.

    Parameters
    ----------
    auc_a, auc_b: the AUCs expected, strictly between 0 and 1.
    n_positive, n_negative: M and N, images of each class.
    correlation: between the two AUCs; 0 for different test samples. Classifiers of one family trained on the
        same data are often near 0.5.

    Raises
    ------
    StatisticsError: an argument is out of range.
    """
    for name, value in (("auc_a", auc_a), ("auc_b", auc_b)):
        if not 0 < value < 1:
            raise StatisticsError(f"{name}: must lie strictly between 0 and 1, not {value:g}")
    _check_images(n_positive, n_negative)
    if not -1 < correlation < 1:
        raise StatisticsError(f"correlation: must lie strictly between -1 and 1, not {correlation:g}")
    a, b = (float(hanley_mcneil_variance(value, n_positive, n_negative)) for value in (auc_a, auc_b))
    return math.sqrt(a + b - 2 * correlation * math.sqrt(a * b))


def auc_power(
    auc: float,
    null: float,
    n_positive: int,
    n_negative: int,
    *,
    design_effect: float = 1.0,
    level: float = 0.95,
) -> float:
    """Return the probability that the interval of one AUC excludes ``null``, on the right side.

    With Hanley and McNeil's variance (1982) at ``auc`` and at ``null``.

    Parameters
    ----------
    auc: the true AUC.
    null: the AUC to be excluded, such as 0.5, or a bound to be exceeded.
    n_positive, n_negative: images of each class.
    design_effect: by how much images of the same patients inflate the variance (:func:`design_effect`).
    level: confidence of the interval; the claim is one-sided at (1 - level) / 2.

    Raises
    ------
    StatisticsError: an argument is out of range.
    """
    at, under = (_planned_variance(value, n_positive, n_negative, design_effect) for value in (auc, null))
    z = float(ndtri(0.5 + check_level(level) / 2))
    return float(ndtr((abs(auc - null) - z * math.sqrt(under)) / math.sqrt(at)))


def images_for_power(
    auc: float,
    null: float,
    prevalence: float,
    *,
    wanted_power: float = 0.8,
    design_effect: float = 1.0,
    level: float = 0.95,
) -> int:
    """Return the fewest images with which :func:`auc_power` is ``wanted_power``.

    ``prevalence`` is the share of positive images. Errors as there.
    """
    if not 0.5 <= wanted_power < 1:
        raise StatisticsError(f"wanted_power: must be from 0.5 to below 1, not {wanted_power:g}")
    if auc == null:
        raise StatisticsError(f"no number of images separates an AUC of {auc:g} from itself")
    return _fewest(
        lambda n: auc_power(
            auc, null, *split_images(n, prevalence), design_effect=design_effect, level=level
        ),
        wanted_power,
        least=_least(prevalence),
    )


def images_for_comparison(
    auc_a: float,
    auc_b: float,
    prevalence: float,
    *,
    correlation: float = 0.5,
    wanted_power: float = 0.8,
    hypothesis: Hypothesis = "difference",
    margin: float = 0.0,
    design_effect: float = 1.0,
    level: float = 0.95,
) -> int:
    """Return the fewest images with which a paired comparison has the power wanted, before there are data.

    :func:`planned_se` with :func:`comparison_power`; parameters and errors are theirs, and ``prevalence`` is
    the share of positive images.
    """
    if not 0.5 <= wanted_power < 1:
        raise StatisticsError(f"wanted_power: must be from 0.5 to below 1, not {wanted_power:g}")
    effect = _effect(auc_a - auc_b, hypothesis, margin)
    if effect == 0 or (hypothesis != "difference" and effect < 0):
        raise StatisticsError(f"no number of images shows {hypothesis} here: the true effect is not above 0")

    _check_design_effect(design_effect)

    def reached(n: int) -> float:
        se = planned_se(auc_a, auc_b, *split_images(n, prevalence), correlation=correlation) * math.sqrt(
            design_effect
        )
        return comparison_power(auc_a - auc_b, se, hypothesis=hypothesis, margin=margin, level=level)

    return _fewest(reached, wanted_power, least=_least(prevalence))


def images_for_precision(
    auc: float, half_width: float, prevalence: float, *, design_effect: float = 1.0, level: float = 0.95
) -> int:
    """Return the fewest images with which the interval of an AUC is expected to reach ``half_width``.

    With Hanley and McNeil's variance (1982).

    Raises
    ------
    StatisticsError: an argument is out of range.
    """
    if not 0 < half_width < 0.5:
        raise StatisticsError(f"half_width: must lie between 0 and 0.5, not {half_width:g}")
    z = float(ndtri(0.5 + check_level(level) / 2))

    def narrow(n: int) -> float:
        return -z * math.sqrt(_planned_variance(auc, *split_images(n, prevalence), design_effect))

    return _fewest(narrow, -half_width, least=_least(prevalence))


def design_effect(images_per_patient: float, correlation: float) -> float:
    """Return by how much a variance grows where images share patients: 1 + (m - 1) ICC (Kish 1965).

    Parameters
    ----------
    images_per_patient: m, their mean number, at least 1.
    correlation: ICC, of the scores of two images of one patient, 0 to 1.

    Raises
    ------
    StatisticsError: an argument is out of range.
    """
    if not (math.isfinite(images_per_patient) and images_per_patient >= 1):
        raise StatisticsError(f"images_per_patient: must be at least 1, not {images_per_patient:g}")
    if not 0 <= correlation <= 1:
        raise StatisticsError(f"correlation: must lie from 0 to 1, not {correlation:g}")
    return 1 + (images_per_patient - 1) * correlation


def _planned_variance(auc: float, n_positive: int, n_negative: int, effect: float) -> float:
    if not 0 < auc < 1:
        raise StatisticsError(f"auc: must lie strictly between 0 and 1, not {auc:g}")
    _check_images(n_positive, n_negative)
    _check_design_effect(effect)
    return effect * float(hanley_mcneil_variance(auc, n_positive, n_negative))


def _check_images(n_positive: int, n_negative: int) -> None:
    if min(n_positive, n_negative) < 1:
        raise StatisticsError(
            f"at least one image of each class is needed, not {n_positive} and {n_negative}"
        )
    if n_positive + n_negative > MOST_PATIENTS:
        raise StatisticsError(f"images: at most {MOST_PATIENTS:,} can be planned with")


def _check_design_effect(effect: float) -> None:
    if not (math.isfinite(effect) and effect >= 1):
        raise StatisticsError(f"design_effect: must be at least 1, not {effect:g}")


def split_images(n: int, prevalence: float) -> tuple[int, int]:
    """Return how many of ``n`` images are positive and negative where ``prevalence`` is the positive share.

    Raises
    ------
    StatisticsError: the prevalence does not lie strictly between 0 and 1, or there are too many images.
    """
    _check_prevalence(prevalence)
    if n > MOST_PATIENTS:
        raise StatisticsError(f"images: at most {MOST_PATIENTS:,} can be planned with")
    positive = round(n * prevalence)
    return positive, n - positive


def _least(prevalence: float) -> int:
    _check_prevalence(prevalence)
    return math.ceil(2 / min(prevalence, 1 - prevalence))


def _check_prevalence(prevalence: float) -> None:
    if not 0 < prevalence < 1:
        raise StatisticsError(f"prevalence: must lie strictly between 0 and 1, not {prevalence:g}")


def _effect(difference: float, hypothesis: Hypothesis, margin: float) -> float:
    if hypothesis not in get_args(Hypothesis):
        raise StatisticsError(
            f"hypothesis: must be one of {', '.join(get_args(Hypothesis))}, not {hypothesis!r}"
        )
    if not 0 <= margin < 1:
        raise StatisticsError(f"margin: must be an AUC difference from 0 to below 1, not {margin:g}")
    if hypothesis == "difference":
        if margin:
            raise StatisticsError("margin: a two-sided test of a difference has none")
        return abs(difference)
    return difference + margin if hypothesis == "noninferiority" else difference - margin
