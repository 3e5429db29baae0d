"""Two studies side by side: every scheme of theirs, and the difference where both ran it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import chain

from scipy.stats import norm

from cxrbench.gate.differences import fields
from cxrbench.report.content import LEVEL
from cxrbench.report.tables import Table
from cxrbench.report.text import decimal, interval, p_value, signed, signed_interval
from cxrbench.statistics.adjust import adjust_p_values
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.predictions import join_predictions
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import SchemeResult
from cxrbench.text import first_of, plural

_Z = float(norm.ppf(0.975))


@dataclass(frozen=True)
class Difference:
    """The AUC of a scheme in B minus that in A."""

    value: float
    ci_low: float
    ci_high: float
    p_value: float
    p_adjusted: float


@dataclass(frozen=True)
class SchemeTwice:
    """One scheme in both studies; what one of them did not run is None, and so is then the difference."""

    name: str
    a: SchemeResult | None
    b: SchemeResult | None
    difference: Difference | None = None

    @property
    def alike(self) -> bool:
        """Whether both studies mean the same training by the name."""
        return self.a is None or self.b is None or self.a.notation == self.b.notation


@dataclass(frozen=True)
class TwoStudies:
    """Two studies and their schemes.

    paired: whether both were tested on the same films. settings: what differs, as (what, in A, in B).
    """

    a: FinishedStudy
    b: FinishedStudy
    schemes: tuple[SchemeTwice, ...]
    paired: bool
    settings: tuple[tuple[str, str, str], ...]

    @property
    def answer(self) -> str:
        """Which study is better, and whether that is sure, in one sentence."""
        compared = {scheme.name: scheme.difference for scheme in self.schemes if scheme.difference}
        if not compared:
            return "The two studies have no scheme in common, so nothing can be compared."
        sure = {name: found.value for name, found in compared.items() if found.p_adjusted < LEVEL}
        if not sure:
            return f"No AUC differs for certain between A and B ({plural(len(compared), 'scheme')} compared)."
        better = [name for name, value in sure.items() if value > 0]
        worse = [name for name in sure if name not in better]
        said = [f"better with {first_of(better)}"] if better else []
        said += [f"worse with {first_of(worse)}"] if worse else []
        rest = len(compared) - len(sure)
        alike = f"; {plural(rest, 'other scheme')} cannot be told apart" if rest else ""
        return f"B is {' and '.join(said)} than A (Holm-adjusted p below {LEVEL}){alike}."

    @property
    def how(self) -> str:
        """How differences were made."""
        if self.paired:
            return (
                "B minus A on the same test films, paired, and clustered by patient where those are known; "
                "with two or more training seeds on each side for new seeds too. p is Holm-adjusted over "
                "the schemes."
            )
        return (
            "The studies were tested on different films. B minus A takes these for independent, and also "
            "holds whatever else differs between them. p is Holm-adjusted over the schemes."
        )

    @property
    def table(self) -> Table:
        """The schemes as a table."""
        schemes = self.schemes
        found = [scheme.difference for scheme in schemes]
        return Table(
            {
                "scheme": [scheme.name for scheme in schemes],
                "auc_a": [scheme.a.auc if scheme.a else None for scheme in schemes],
                "auc_b": [scheme.b.auc if scheme.b else None for scheme in schemes],
                "difference": [d.value if d else None for d in found],
                "ci_low": [d.ci_low if d else None for d in found],
                "ci_high": [d.ci_high if d else None for d in found],
                "p": [d.p_value if d else None for d in found],
                "p_holm": [d.p_adjusted if d else None for d in found],
            },
            {
                "scheme": [scheme.name + ("" if scheme.alike else " (not alike)") for scheme in schemes],
                "AUC in A": [_auc(scheme.a) for scheme in schemes],
                "AUC in B": [_auc(scheme.b) for scheme in schemes],
                "B minus A": [signed(d.value) if d else "" for d in found],
                "95% interval": [signed_interval(d.ci_low, d.ci_high) if d else "" for d in found],
                "p (Holm)": [p_value(d.p_adjusted) if d else "" for d in found],
            },
            ("B minus A", "p (Holm)"),
        )


def two_studies(a: FinishedStudy, b: FinishedStudy) -> TwoStudies:
    """Compare two finished studies, scheme by scheme.

    Raises
    ------
    CxrbenchError: a prediction file is missing, damaged or not the one that the results were computed from.
    """
    paired = a.results.sample == b.results.sample
    schemes = [_scheme(name, a, b, paired) for name in dict.fromkeys(chain(a.results.names, b.results.names))]
    compared = [scheme.difference for scheme in schemes if scheme.difference]
    adjusted = adjust_p_values([d.p_value for d in compared], "holm") if compared else []
    corrected = iter(
        [replace(d, p_adjusted=max(d.p_value, p)) for d, p in zip(compared, adjusted, strict=True)]
    )
    profile = ("profile", b.results.profile, a.results.profile)
    differing = [f for f in (profile, *fields(b.results, a.results)) if f[1] != f[2]]
    return TwoStudies(
        a,
        b,
        tuple(replace(s, difference=next(corrected)) if s.difference else s for s in schemes),
        paired,
        tuple((what, str(in_a), str(in_b)) for what, in_b, in_a in differing),
    )


def _scheme(name: str, a: FinishedStudy, b: FinishedStudy, paired: bool) -> SchemeTwice:
    in_a, in_b = (s.results.scheme(name) if name in s.results.names else None for s in (a, b))
    if in_a is None or in_b is None:
        return SchemeTwice(name, in_a, in_b)
    if paired:
        of_a, of_b = a.predictions(name, "A"), b.predictions(name, "B")
        joined = join_predictions({"A": of_a, "B": of_b})
        m = compare_means(joined.labels, joined.scores, list(of_b.scores), list(of_a.scores), joined.patients)
        found = Difference(m.difference, m.ci_low, m.ci_high, m.p_value, m.p_value)
    else:
        value, se = in_b.auc - in_a.auc, math.hypot(in_a.se, in_b.se)
        p = float(2 * norm.sf(abs(value) / se)) if se > 0 else float(value == 0)
        found = Difference(value, value - _Z * se, value + _Z * se, p, p)
    return SchemeTwice(name, in_a, in_b, found)


def _auc(scheme: SchemeResult | None) -> str:
    return "" if scheme is None else f"{decimal(scheme.auc)} {interval(scheme.ci_low, scheme.ci_high)}"
