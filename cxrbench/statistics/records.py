"""What the comparisons return: frozen records whose field names are those of the JSON output.

Every number is a plain Python float or int at full precision. Nothing is ever NaN: a number that does not
exist is None, null in JSON, and ``note`` says why.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Curve:
    """One AUC with its uncertainty.

    Parameters
    ----------
    name: the curve's name.
    auc: area under the ROC curve, 0 to 1.
    se: its standard error (DeLong, or Obuchowski where images are grouped by patient).
    ci_low, ci_high: ends of the confidence interval.
    note: what a reader must know of these numbers, or None.
    """

    name: str
    auc: float
    se: float
    ci_low: float
    ci_high: float
    note: str | None = None


@dataclass(frozen=True)
class MarginTest:
    """A one-sided test of the difference a minus b against a margin.

    Parameters
    ----------
    hypothesis: what a small p-value speaks for: ``"noninferiority"``, a is worse by less than the margin
        (null: difference <= -margin); ``"superiority"``, a is better by more than the margin (null:
        difference <= margin); or ``"equivalence"``, they differ by less than the margin (both one-sided
        nulls: Schuirmann 1987; p is the larger of the two).
    margin: the margin, in AUC, not negative.
    z: (difference + margin) / SE or (difference - margin) / SE, for equivalence the one nearer to 0; None
        where SE is 0.
    p_value: one-sided: the smallest tail at which the confidence limit excludes the margin.
    p_adjusted: adjusted over all pairs, by the method of the comparison.
    holds: whether ``p_adjusted`` is below (1 - level) / 2, so 0.025 at the level 0.95: unadjusted this is the
        same as the two-sided interval lying above the null.
    """

    hypothesis: str
    margin: float
    z: float | None
    p_value: float
    p_adjusted: float
    holds: bool


@dataclass(frozen=True)
class Pair:
    """The difference of two AUCs.

    Parameters
    ----------
    a, b: the curves' names.
    difference: AUC of a minus AUC of b.
    se: its standard error, from the covariance of the two.
    ci_low, ci_high: ends of its confidence interval (see differences.py).
    z: difference / se; 0 where the curves rank alike, None where the difference has no variance.
    p_value: two-sided, for the two AUCs being equal (DeLong's test).
    p_adjusted: adjusted over all pairs that were compared.
    log10_p_value: its logarithm to base 10, which exists where p itself is too small for a float64.
    noninferiority, superiority, equivalence: the tests against the margin, where one was given.
    note: what a reader must know of these numbers, or None.
    """

    a: str
    b: str
    difference: float
    se: float
    ci_low: float
    ci_high: float
    z: float | None
    p_value: float
    p_adjusted: float
    noninferiority: MarginTest | None = None
    superiority: MarginTest | None = None
    note: str | None = None
    log10_p_value: float | None = None
    equivalence: MarginTest | None = None


@dataclass(frozen=True)
class Omnibus:
    """The test that all AUCs are equal.

    Parameters
    ----------
    chi2: Wald chi-square; None where it does not exist.
    df: degrees of freedom: the number of differences that vary independently, at most curves - 1.
    p_value: upper tail; None where ``chi2`` is.
    note: what a reader must know of these numbers, or None.
    """

    chi2: float | None
    df: int
    p_value: float | None
    note: str | None = None


@dataclass(frozen=True)
class Comparison:
    """Curves on one test sample, every pair of them, and the test that all are equal.

    Parameters
    ----------
    curves: in the order given.
    pairs: (first, second), (first, third), ..., in the order of the curves; empty for one curve.
    omnibus: None for one curve.
    n_images, n_positive: size of the sample.
    n_patients: number of patients, None where none were given.
    clustered: whether the standard errors allow for several images per patient.
    adjust: how ``p_adjusted`` was made.
    level: confidence of the intervals.
    notes: what a reader must know of the sample.
    """

    curves: tuple[Curve, ...]
    pairs: tuple[Pair, ...]
    omnibus: Omnibus | None
    n_images: int
    n_positive: int
    n_patients: int | None
    clustered: bool
    adjust: str
    level: float
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return nested dictionaries and lists, ready for ``json.dumps(..., allow_nan=False)``."""
        return asdict(self)
