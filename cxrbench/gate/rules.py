"""What the gate decides, and by which rule; of speeds in :mod:`cxrbench.gate.speed`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from cxrbench.errors import GateError, StatisticsError
from cxrbench.gate.differences import differences
from cxrbench.gate.experiment import Experiment, same_experiment
from cxrbench.gate.speed import SLOWDOWN, SpeedCheck, speed_checks
from cxrbench.schemes import parse
from cxrbench.statistics.adjust import adjust_p_values
from cxrbench.statistics.means import MeanDifference, compare_means
from cxrbench.statistics.predictions import Predictions, join_predictions
from cxrbench.statistics.verdicts import Outcome, Verdict
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import Results

ALPHA = 0.025
_SAME_AUC = 1e-9
"""How far the AUC of one file may differ between versions of the arithmetic."""


@dataclass(frozen=True)
class SchemeCheck:
    """One scheme, now minus baseline, on the same test images: means over the seeds where there are several.

    ``var_sample`` is the part of se² that comes from the test sample. ``var_seeds_now`` and
    ``var_seeds_before`` are the variances of one seed's AUC that come from the seed alone, None where either
    side has a single seed: then ``se``, interval and p-values are the test sample's alone. ``df`` are the
    degrees of freedom of the seeds' part, None where that is 0.
    """

    scheme: str
    before: float
    now: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    p_worse: float
    p_worse_adjusted: float
    var_sample: float
    var_seeds_before: float | None
    var_seeds_now: float | None
    df: float | None
    seeds_before: int
    seeds_now: int
    verdict: Verdict

    @property
    def sources(self) -> str:
        """Which variances the interval and the p-values hold."""
        counts = f"{_seeds(self.seeds_now)} now, {_seeds(self.seeds_before)} in the baseline"
        if self.var_seeds_now is not None and self.var_seeds_before is not None:
            return f"the test sample and the training seeds ({counts})"
        return f"the test sample, not another training seed ({counts})"


@dataclass(frozen=True)
class OrderCheck:
    """Two schemes whose order was certain in the baseline."""

    better: str
    worse: str
    before: float
    now: float
    verdict: Verdict


@dataclass(frozen=True)
class GateReport:
    """Everything that the gate compared.

    ``missing``: scheme of the baseline that was not run -> why it is missing. ``n_images``, ``n_patients``:
    of the test images that were joined. ``experiment``: whether the study did the same as its baseline.
    """

    profile: str
    margin: float
    experiment: Experiment | None
    n_images: int
    n_patients: int
    schemes: tuple[SchemeCheck, ...]
    missing: Mapping[str, Verdict]
    order: tuple[OrderCheck, ...]
    speed: tuple[SpeedCheck, ...]
    notes: tuple[str, ...]

    @property
    def checks(self) -> tuple[tuple[str, str, Verdict], ...]:
        """(group, name, verdict) of everything that was compared, or should have been."""
        if self.experiment is None:
            return self._results
        return (("experiment", "the same as the baseline's", self.experiment.verdict), *self._results)

    @property
    def _results(self) -> tuple[tuple[str, str, Verdict], ...]:
        return (
            *(("auc", check.scheme, check.verdict) for check in self.schemes),
            *(("missing", name, verdict) for name, verdict in self.missing.items()),
            *(("order", f"{check.better} over {check.worse}", check.verdict) for check in self.order),
            *(("speed", check.what, check.verdict) for check in self.speed),
        )

    @property
    def outcome(self) -> Literal[Outcome, "changed"]:
        """Fail where a result got worse, changed where only the experiment did, else inconclusive or pass."""
        if any(verdict.outcome == "fail" for _, _, verdict in self._results):
            return "fail"
        if self.experiment is not None and self.experiment.changed:
            return "changed"
        inconclusive = any(verdict.outcome == "inconclusive" for _, _, verdict in self.checks)
        return "inconclusive" if inconclusive else "pass"


def gate(
    study: FinishedStudy,
    baseline: FinishedStudy,
    *,
    margin: float | None = None,
    slowdown: float = SLOWDOWN,
    speed: bool = True,
    allowed: Collection[str] = (),
) -> GateReport:
    """Compare a study with its baseline.

    What decides comes from the baseline: where the study's own profile says otherwise, that is noted.

    Parameters
    ----------
    margin: the loss of AUC that is tolerated; the ``gate_margin`` of the baseline's profile where None.
    slowdown: how many times as long as in the baseline training or prediction may take.
    speed: whether speeds are compared.
    allowed: kinds of changes of the experiment that are meant (:data:`cxrbench.trace.parting.KINDS`).

    Raises
    ------
    GateError: profile, target split, test images or a scheme of one name differ, so that nothing can be
        compared, or results do not agree with their prediction files; the message says which.
    CxrbenchError: a prediction file is missing, damaged or not the one that the results were computed from.
    """
    now, before = study.results, baseline.results
    _same_ground(now, before)
    if margin is None:
        margin = before.gate_margin
    if not 0 < margin < 0.5:
        raise GateError(f"the margin must be between 0 and 0.5, not {margin:g}")
    if not slowdown >= 1:
        raise GateError(f"the slowdown must be 1 or more, not {slowdown:g}")
    shared = [name for name in before.names if name in now.names]
    if not shared:
        raise GateError("study and baseline have no scheme in common")
    _same_schemes(now, before, shared)
    compared = {name: _compared(study, baseline, name) for name in shared}
    joined, _ = compared[shared[0]]
    notes = [f"scheme {name!r} is not in the baseline" for name in now.names if name not in shared]
    notes += differences(now, before)
    if not speed:
        notes.append("speeds were not compared, as asked")
    return GateReport(
        profile=now.profile,
        margin=margin,
        experiment=same_experiment(study, baseline, allowed),
        n_images=len(joined.labels),
        n_patients=joined.n_patients or 0,
        schemes=_scheme_checks({name: difference for name, (_, difference) in compared.items()}, margin),
        missing={
            name: Verdict("inconclusive", f"{name}: in the baseline, and not run")
            for name in before.names
            if name not in shared
        },
        order=_order_checks(now, before, shared),
        speed=speed_checks(now, before, slowdown) if speed else (),
        notes=tuple(notes),
    )


def _same_ground(now: Results, before: Results) -> None:
    """Refuse to compare what was not measured on the same test images."""
    for what, a, b in (
        ("profile", now.profile, before.profile),
        ("target", now.target, before.target),
        ("split of the target", now.roles[now.target].split_hash, before.roles[before.target].split_hash),
    ):
        if a != b:
            raise GateError(
                f"the {what} is not the baseline's ({a[:12]} now, {b[:12]} in the baseline): nothing can be "
                "compared; if the change is meant, save a new baseline"
            )


def _same_schemes(now: Results, before: Results, shared: Sequence[str]) -> None:
    """Refuse to compare two schemes that have nothing but their name in common."""
    for name in shared:
        a, b = now.scheme(name).notation, before.scheme(name).notation
        if parse(name, a).stages != parse(name, b).stages:
            raise GateError(
                f"scheme {name!r} is not the baseline's ({a!r} now, {b!r} in the baseline): nothing can be "
                "compared; if the change is meant, give it another name or save a new baseline"
            )


def _compared(
    study: FinishedStudy, baseline: FinishedStudy, scheme: str
) -> tuple[Predictions, MeanDifference]:
    """Return the predictions of one scheme, now and in the baseline, joined; and their difference."""
    now, before = study.predictions(scheme, "now"), baseline.predictions(scheme, "baseline")
    try:
        joined = join_predictions({"now": now, "baseline": before})
    except StatisticsError as error:
        raise GateError(
            f"the test images of {scheme!r} are not the baseline's: {error}; if the change is meant, save a "
            "new baseline"
        ) from None
    curves = list(now.scores), list(before.scores)
    difference = compare_means(joined.labels, joined.scores, *curves, joined.patients)
    for side, found in ((study, difference.mean_a), (baseline, difference.mean_b)):
        recorded = side.results.scheme(scheme).auc
        if abs(recorded - found) > _SAME_AUC:
            raise GateError(
                f"{side.folder}: its results give {scheme!r} an AUC of {recorded:.4f}, its prediction files "
                f"one of {found:.4f}; run the study again"
            )
    return joined, difference


def _scheme_checks(differences: Mapping[str, MeanDifference], margin: float) -> tuple[SchemeCheck, ...]:
    p_worse = [difference.p_below(0.0) for difference in differences.values()]
    adjusted = adjust_p_values(p_worse, "holm")
    return tuple(
        SchemeCheck(
            scheme=name,
            before=d.mean_b,
            now=d.mean_a,
            difference=d.difference,
            se=d.se,
            ci_low=d.ci_low,
            ci_high=d.ci_high,
            p_worse=p,
            p_worse_adjusted=q,
            var_sample=d.var_sample,
            var_seeds_before=d.var_seeds_b,
            var_seeds_now=d.var_seeds_a,
            df=d.df,
            seeds_before=d.n_b,
            seeds_now=d.n_a,
            verdict=scheme_verdict(name, d, q, margin),
        )
        for (name, d), p, q in zip(differences.items(), p_worse, adjusted, strict=True)
    )


def scheme_verdict(scheme: str, difference: MeanDifference, p_worse: float, margin: float) -> Verdict:
    """Return the gate's verdict on one scheme: **the** rule.

    ============  ========================================================================================
    inconclusive  the 95% interval of (now - baseline) lies above +margin: a gain beyond what is tolerated as
                  a loss. A leak can look like this; if the gain is meant, save a new baseline
    pass          not that, and the interval lies above -margin: no loss that matters
    fail          neither, and the loss itself is certain: one-sided p for "worse" below 0.025 after Holm
                  adjustment over the schemes
    inconclusive  none of these: the test sample is too small to exclude a loss of ``margin``
    ============  ========================================================================================
    """
    shown = (
        f"{scheme}: {difference.mean_b:.3f} before, {difference.mean_a:.3f} now, difference "
        f"{difference.difference:+.3f} [{difference.ci_low:+.3f}, {difference.ci_high:+.3f}]"
    )
    if difference.ci_low > margin:
        return Verdict(
            "inconclusive",
            f"{shown}: better by more than {margin:g}: look for a leak; if there is none, save a baseline",
        )
    if difference.ci_low > -margin:
        return Verdict("pass", f"{shown}: not worse by {margin:g} or more")
    if p_worse < ALPHA:
        return Verdict(
            "fail", f"{shown}: worse, p {p_worse:.2g} (Holm), and a loss of {margin:g} is not excluded"
        )
    return Verdict("inconclusive", f"{shown}: a loss of {margin:g} is not excluded, nor is any loss certain")


def _order_checks(now: Results, before: Results, shared: list[str]) -> tuple[OrderCheck, ...]:
    """Check every pair of schemes whose order the baseline was sure of, after its Holm adjustment."""
    checks = []
    for a, b in combinations(shared, 2):
        was = before.difference(a, b)
        if was.p_adjusted >= 2 * ALPHA:
            continue
        if was.difference < 0:
            was = was.reversed()
        is_now = now.difference(was.a, was.b)
        reversed_now = is_now.difference < 0
        certain = reversed_now and is_now.p_adjusted < 2 * ALPHA
        outcome: Outcome = "fail" if certain else "inconclusive" if reversed_now else "pass"
        text = {
            "fail": "the order is reversed, and certainly so",
            "inconclusive": "the order is reversed, within the uncertainty",
            "pass": "the order holds",
        }[outcome]
        checks.append(
            OrderCheck(
                better=was.a,
                worse=was.b,
                before=was.difference,
                now=is_now.difference,
                verdict=Verdict(
                    outcome,
                    f"{was.a} - {was.b}: {was.difference:+.3f} before, {is_now.difference:+.3f} now: {text}",
                ),
            )
        )
    return tuple(checks)


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"
