"""What the gate decides, and by which rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from cxrbench.errors import GateError, StatisticsError
from cxrbench.schemes import parse
from cxrbench.statistics.adjust import adjust_p_values
from cxrbench.statistics.means import MeanDifference, compare_means
from cxrbench.statistics.predictions import join_predictions
from cxrbench.statistics.verdicts import Outcome, Verdict
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import Results

ALPHA = 0.025
SLOWDOWN = 1.25


@dataclass(frozen=True)
class SchemeCheck:
    """One scheme, now minus baseline, on the same test images: means over the seeds where there are several.

    ``var_sample`` is the part of se² that comes from the test sample. ``var_seeds_now`` and
    ``var_seeds_before`` are the variances of one seed's AUC that come from the seed alone, None where either
    side has a single seed: then ``se``, interval and p-values are the test sample's alone. ``df`` are the
    degrees of freedom of Student's t, None where interval and p-values are normal.
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
    def chances(self) -> str:
        """Which chances the interval and the p-values hold."""
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
class SpeedCheck:
    """One speed, in images a second; ``ratio`` is baseline over now, above 1 where it got slower."""

    what: str
    before: float
    now: float
    ratio: float | None
    verdict: Verdict


@dataclass(frozen=True)
class GateReport:
    """Everything that the gate compared."""

    profile: str
    margin: float
    n_images: int
    n_patients: int
    schemes: tuple[SchemeCheck, ...]
    order: tuple[OrderCheck, ...]
    speed: tuple[SpeedCheck, ...]
    notes: tuple[str, ...]

    @property
    def outcome(self) -> Outcome:
        """Fail where anything fails, else inconclusive where a scheme is, else pass."""
        every = (
            [c.verdict for c in self.schemes],
            [c.verdict for c in self.order],
            [c.verdict for c in self.speed],
        )
        if any(verdict.outcome == "fail" for verdicts in every for verdict in verdicts):
            return "fail"
        return "inconclusive" if any(c.verdict.outcome == "inconclusive" for c in self.schemes) else "pass"


def gate(
    study: FinishedStudy, baseline: FinishedStudy, *, margin: float | None = None, slowdown: float = SLOWDOWN
) -> GateReport:
    """Compare a study with its baseline.

    Parameters
    ----------
    margin: the loss of AUC that is put up with; the profile's ``gate_margin`` where None.
    slowdown: how many times slower than the baseline training or prediction may be.

    Raises
    ------
    GateError: profile, target split, test images or a scheme of one name differ, so that nothing can be
        compared; the message says which.
    SchemeError: the notation of a scheme in the results cannot be read.
    """
    now, before = study.results, baseline.results
    _same_ground(now, before)
    if margin is None:
        margin = float(now.settings["study"].get("gate_margin", 0.05))
    if not 0 < margin < 0.5:
        raise GateError(f"the margin must be between 0 and 0.5, not {margin:g}")
    if not slowdown >= 1:
        raise GateError(f"the slowdown must be 1 or more, not {slowdown:g}")
    shared = [name for name in before.names if name in now.names]
    if not shared:
        raise GateError("study and baseline have no scheme in common")
    _same_schemes(now, before, shared)
    notes = [
        f"scheme {name!r} is in the baseline and was not run" for name in before.names if name not in shared
    ]
    notes += [f"scheme {name!r} is not in the baseline" for name in now.names if name not in shared]
    if now.seeds != before.seeds:
        notes.append(f"other training seeds: {list(now.seeds)} now, {list(before.seeds)} in the baseline")
    notes += _other_supplements(now, before)
    differences = {name: _difference(study, baseline, name) for name in shared}
    return GateReport(
        profile=now.profile,
        margin=margin,
        n_images=now.n_images,
        n_patients=now.n_patients,
        schemes=_scheme_checks(differences, margin),
        order=_order_checks(study, baseline, shared),
        speed=_speed_checks(now, before, slowdown),
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


def _other_supplements(now: Results, before: Results) -> list[str]:
    """Return a note for each role that is trained on other images, which move an AUC as a fault does."""
    notes = []
    for name in sorted(set(now.roles) & set(before.roles) - {now.target}):
        a, b = now.roles[name], before.roles[name]
        if (a.dataset, a.split_hash) != (b.dataset, b.split_hash):
            notes.append(
                f"role {name!r} has other images or another split than in the baseline: "
                f"{a.dataset} {a.split_hash[:12]} now, {b.dataset} {b.split_hash[:12]} in the baseline"
            )
    return notes


def _same_schemes(now: Results, before: Results, shared: Sequence[str]) -> None:
    """Refuse to compare two schemes that have nothing but their name in common."""
    for name in shared:
        a, b = now.scheme(name).notation, before.scheme(name).notation
        if parse(name, a).stages != parse(name, b).stages:
            raise GateError(
                f"scheme {name!r} is not the baseline's ({a!r} now, {b!r} in the baseline): nothing can be "
                "compared; if the change is meant, give it another name or save a new baseline"
            )


def _difference(study: FinishedStudy, baseline: FinishedStudy, scheme: str) -> MeanDifference:
    now, before = study.predictions(scheme, "now"), baseline.predictions(scheme, "baseline")
    try:
        joined = join_predictions({"now": now, "baseline": before})
    except StatisticsError as error:
        raise GateError(
            f"the test images of {scheme!r} are not the baseline's: {error}; if the change is meant, save a "
            "new baseline"
        ) from None
    return compare_means(joined.labels, joined.scores, list(now.scores), list(before.scores), joined.patients)


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
    pass          the 95% interval of (now - baseline) lies above -margin: no loss that matters
    fail          not that, and the loss itself is certain: one-sided p for "worse" below 0.025 after Holm
                  adjustment over the schemes
    inconclusive  neither: the test sample is too small to tell a loss of ``margin`` from none
    ============  ========================================================================================
    """
    shown = (
        f"{scheme}: {difference.mean_b:.3f} before, {difference.mean_a:.3f} now, difference "
        f"{difference.difference:+.3f} [{difference.ci_low:+.3f}, {difference.ci_high:+.3f}]"
    )
    if difference.ci_low > -margin:
        return Verdict("pass", f"{shown}: not worse by {margin:g} or more")
    if p_worse < ALPHA:
        return Verdict(
            "fail", f"{shown}: worse, p {p_worse:.2g} (Holm), and a loss of {margin:g} is not excluded"
        )
    return Verdict("inconclusive", f"{shown}: a loss of {margin:g} is not excluded, nor is any loss certain")


def _order_checks(study: FinishedStudy, baseline: FinishedStudy, shared: list[str]) -> tuple[OrderCheck, ...]:
    """Check every pair of schemes whose order the baseline was sure of, after its Holm adjustment."""
    if len(shared) < 2:
        return ()
    before, now = _orders(baseline), _orders(study)
    checks = []
    for a, b in combinations(shared, 2):
        was, is_now = before[a, b], now[a, b]
        if was.p_adjusted >= 2 * ALPHA:
            continue
        sign = 1 if was.difference > 0 else -1
        better, worse = (a, b) if sign > 0 else (b, a)
        turned = sign * is_now.difference < 0
        certain = turned and is_now.p_adjusted < 2 * ALPHA
        outcome: Outcome = "fail" if certain else "inconclusive" if turned else "pass"
        text = {
            "fail": "the order is turned round, and certainly so",
            "inconclusive": "the order is turned round, within the uncertainty",
            "pass": "the order holds",
        }[outcome]
        checks.append(
            OrderCheck(
                better=better,
                worse=worse,
                before=sign * was.difference,
                now=sign * is_now.difference,
                verdict=Verdict(
                    outcome,
                    f"{better} - {worse}: {sign * was.difference:+.3f} before, "
                    f"{sign * is_now.difference:+.3f} now: {text}",
                ),
            )
        )
    return tuple(checks)


@dataclass(frozen=True)
class _Order:
    """One scheme minus another in one study; p is adjusted over all pairs of the study's schemes."""

    difference: float
    p_adjusted: float


def _orders(stored: FinishedStudy) -> dict[tuple[str, str], _Order]:
    """Return (a, b) -> mean AUC of a minus that of b, both ways round, of every two schemes of a study."""
    names = stored.results.names
    parts = {name: stored.predictions(name) for name in names}
    curves = {name: list(part.scores) for name, part in parts.items()}
    joined = join_predictions(parts)
    found = {}
    for a, b in combinations(names, 2):
        scores = {key: joined.scores[key] for key in (*curves[a], *curves[b])}
        found[a, b] = compare_means(joined.labels, scores, curves[a], curves[b], joined.patients)
    adjusted = adjust_p_values([means.p_value for means in found.values()], "holm")
    orders = {}
    for ((a, b), means), p in zip(found.items(), adjusted, strict=True):
        orders[a, b] = _Order(means.difference, p)
        orders[b, a] = _Order(-means.difference, p)
    return orders


def _speed_checks(now: Results, before: Results, slowdown: float) -> tuple[SpeedCheck, ...]:
    reasons = _not_comparable(now, before)
    checks = []
    for what, speed in (("training", _training_speed), ("prediction", _prediction_speed)):
        old, new = speed(before), speed(now)
        if reasons:
            verdict = Verdict("inconclusive", f"{what}: not comparable ({'; '.join(reasons)})")
            checks.append(SpeedCheck(what, old, new, None, verdict))
            continue
        ratio = old / new
        outcome: Outcome = "fail" if ratio > slowdown else "pass"
        sentence = (
            f"{what}: {old:.1f} images/s before, {new:.1f} now, {ratio:.2f} times as long "
            f"(limit {slowdown:g})"
        )
        checks.append(SpeedCheck(what, old, new, ratio, Verdict(outcome, sentence)))
    return tuple(checks)


def _not_comparable(now: Results, before: Results) -> list[str]:
    """Return why speeds cannot be compared; empty where they can."""
    return [
        f"{what} {a} now, {b} in the baseline"
        for what, a, b in (
            ("device", _text(now.device), _text(before.device)),
            ("processes at a time", _processes(now), _processes(before)),
            ("torch", now.versions["torch"], before.versions["torch"]),
            ("precision", _precision(now), _precision(before)),
            ("image size", str(_image_size(now)), str(_image_size(before))),
        )
        if a != b
    ]


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"


def _text(device: Mapping[str, str | int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in device.items())


def _processes(results: Results) -> str:
    counts = {stage.processes for stage in results.stages}
    counts |= {seed.processes for scheme in results.schemes for seed in scheme.seeds}
    return ", ".join(map(str, sorted(counts)))


def _precision(results: Results) -> str:
    stages = results.settings["stages"].items()
    return ", ".join(f"{name}: {values.get('precision', 'default')}" for name, values in sorted(stages))


def _image_size(results: Results) -> int:
    return int(results.settings["study"]["image_size"])


def _training_speed(results: Results) -> float:
    """Return images a second over all stage runs, each weighted by its time."""
    seconds = sum(stage.seconds for stage in results.stages)
    return sum(stage.images_per_second * stage.seconds for stage in results.stages) / seconds


def _prediction_speed(results: Results) -> float:
    seeds = [seed for scheme in results.schemes for seed in scheme.seeds]
    return len(seeds) * results.n_images / sum(seed.inference_seconds for seed in seeds)
