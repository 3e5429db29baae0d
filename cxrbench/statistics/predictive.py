"""What a call means at a stated prevalence: predictive values and likelihood ratios, with intervals."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import check_level
from cxrbench.statistics.operating import OperatingPoint, Proportion


@dataclass(frozen=True)
class Ratio:
    """A number with its interval.

    Parameters
    ----------
    value: None where it is 0 / 0 or infinite.
    ci_low: lower end.
    ci_high: upper end; None where there is none (a ratio may be infinite).
    """

    value: float | None
    ci_low: float
    ci_high: float | None


@dataclass(frozen=True)
class PredictiveValues:
    """Likelihood ratios of a classifier at a threshold, and predictive values at a prevalence.

    Parameters
    ----------
    prevalence: share of positives among those to whom the classifier is applied; the test sample's own mix
        has no say in these numbers.
    ppv, npv: positive and negative predictive value.
    lr_positive: sensitivity / (1 - specificity).
    lr_negative: (1 - sensitivity) / specificity.
    """

    prevalence: float
    ppv: Ratio
    npv: Ratio
    lr_positive: Ratio
    lr_negative: Ratio


def predictive_values(point: OperatingPoint, prevalence: float, *, level: float = 0.95) -> PredictiveValues:
    """Return the predictive values and likelihood ratios of an operating point.

    The intervals of the likelihood ratios are score intervals of a ratio of two independent proportions
    (Koopman, Biometrics 40:513-517, 1984; statsmodels), from the effective numbers of images where images
    share patients. A predictive value is a function of a likelihood ratio and the prevalence alone, and its
    interval is that function of the ratio's.

    Raises
    ------
    StatisticsError: the prevalence does not lie strictly between 0 and 1.
    """
    check_level(level)
    if not 0 < prevalence < 1:
        raise StatisticsError(f"prevalence: must lie strictly between 0 and 1, not {prevalence:g}")
    true_positive, false_positive = point.sensitivity, _other(point.specificity)
    false_negative, true_negative = _other(point.sensitivity), point.specificity
    positive = _ratio(true_positive, false_positive, level)
    negative = _ratio(false_negative, true_negative, level)
    odds = prevalence / (1 - prevalence)
    ppv = Ratio(
        None if true_positive.value == false_positive.value == 0
        else 1.0 if positive.value is None else _share(positive.value * odds),
        _share(positive.ci_low * odds),
        1.0 if positive.ci_high is None else _share(positive.ci_high * odds),
    )  # fmt: skip
    npv = Ratio(
        None if false_negative.value == true_negative.value == 0
        else 0.0 if negative.value is None else 1 - _share(negative.value * odds),
        0.0 if negative.ci_high is None else 1 - _share(negative.ci_high * odds),
        1 - _share(negative.ci_low * odds),
    )  # fmt: skip
    return PredictiveValues(prevalence, ppv, npv, positive, negative)


def _other(proportion: Proportion) -> Proportion:
    rest = proportion.n - proportion.count
    return Proportion(
        rest / proportion.n,
        rest,
        proportion.n,
        proportion.n_effective,
        # Rounding must not leave a lower end above 0 that no image stands for.
        0.0 if rest == 0 else 1 - proportion.ci_high,
        1 - proportion.ci_low,
    )


def _share(odds: float) -> float:
    return odds / (1 + odds)


def _ratio(a: Proportion, b: Proportion, level: float) -> Ratio:
    # Imported here: statsmodels takes seconds to load.
    from statsmodels.stats.proportion import confint_proportions_2indep

    value = a.value / b.value if b.value > 0 else None
    if a.value == 0 or b.value == 0:
        # No score interval exists: the ends of the two proportions, which are wider.
        return _ends_over(value, a, b)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        low, high = confint_proportions_2indep(
            a.value * a.n_effective,
            a.n_effective,
            b.value * b.n_effective,
            b.n_effective,
            compare="ratio",
            method="score",
            alpha=1 - level,
            correction=False,
        )
    # Where a proportion is 1 the roots may come out complex, or as nothing.
    real = np.isrealobj(low) and np.isrealobj(high)
    if not (real and math.isfinite(low) and math.isfinite(high) and low <= a.value / b.value <= high):
        return _ends_over(value, a, b)
    return Ratio(value, float(low), float(high))


def _ends_over(value: float | None, a: Proportion, b: Proportion) -> Ratio:
    # At a level next to 0 the intervals are points, and that of no image is 0.
    low = a.ci_low / b.ci_high if b.ci_high > 0 else 0.0
    return Ratio(value, low, a.ci_high / b.ci_low if b.ci_low > 0 else None)
