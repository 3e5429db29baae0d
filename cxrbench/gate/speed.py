"""Is it slower than the baseline? Judged by an interval over timings, never by a bare ratio."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from cxrbench.schemes import parse
from cxrbench.statistics.verdicts import Outcome, Verdict
from cxrbench.study.results import Results, Timing

SLOWDOWN = 1.25
Timings = Mapping[Hashable, Timing]
"""What was timed -> its timing; equal keys are timings of the same work."""


@dataclass(frozen=True)
class SpeedCheck:
    """One speed, in images per second; ``ratio`` is how many times as long as in the baseline it takes.

    ``ci_low``, ``ci_high``: its 95% interval over the ``n`` timings that both sides have, such as the epochs
    of all stages. None where nothing can be compared.
    """

    what: str
    before: float | None
    now: float | None
    ratio: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    verdict: Verdict


def speed_checks(now: Results, before: Results, slowdown: float) -> tuple[SpeedCheck, ...]:
    """Compare training, epoch by epoch of each stage, and prediction, file by file."""
    reasons = _not_comparable(now, before)
    kinds: tuple[tuple[str, Callable[[Results], Timings]], ...] = (
        ("training", _training),
        ("prediction", _prediction),
    )
    checks = []
    for what, timings in kinds:
        if reasons:
            verdict = Verdict("inconclusive", f"{what}: not comparable ({'; '.join(reasons)})")
            checks.append(SpeedCheck(what, None, None, None, None, None, 0, verdict))
        else:
            checks.append(_check(what, timings(now), timings(before), slowdown))
    return tuple(checks)


def _check(what: str, now: Timings, before: Timings, slowdown: float) -> SpeedCheck:
    """Compare timings of the same work, pair by pair.

    The ratio is the geometric mean of the pairs' ratios of seconds per image, each weighted by the seconds
    that it took in the baseline; its interval is Student's, of the weighted mean of their logarithms.

    ============  ================================================
    pass          the 95% interval lies at or below ``slowdown``
    fail          it lies above
    inconclusive  it holds ``slowdown``, or there are no two pairs
    ============  ================================================
    """
    shared = [key for key in before if key in now]
    n = len(shared)
    if n < 2:
        verdict = Verdict(
            "inconclusive",
            f"{what}: {n} timings in common, and it takes at least two to know how they vary",
        )
        return SpeedCheck(what, None, None, None, None, None, n, verdict)
    old, new = ([side[key] for key in shared] for side in (before, now))
    logs = np.log([b.images_per_second / a.images_per_second for a, b in zip(new, old, strict=True)])
    weights = np.array([timing.seconds for timing in old]) / sum(timing.seconds for timing in old)
    mean = float(weights @ logs)
    se = math.sqrt(n / (n - 1) * float(weights**2 @ (logs - mean) ** 2))
    margin = float(stdtrit(n - 1, 0.975)) * se
    ratio, low, high = (math.exp(value) for value in (mean, mean - margin, mean + margin))
    outcome: Outcome = "pass" if high <= slowdown else "fail" if low > slowdown else "inconclusive"
    rates = _rate(old), _rate(new)
    sentence = (
        f"{what}: {rates[0]:.1f} images/s before, {rates[1]:.1f} now, {ratio:.2f} times as long "
        f"[{low:.2f}, {high:.2f}] over {n} timings (limit {slowdown:g})"
    )
    return SpeedCheck(what, *rates, ratio, low, high, n, Verdict(outcome, sentence))


def _rate(timings: list[Timing]) -> float:
    return sum(timing.images for timing in timings) / sum(timing.seconds for timing in timings)


def _training(results: Results) -> Timings:
    """Return the epochs of each stage run, fold and seed; seeds by their position, whatever their number."""
    return {
        (parse("run", stage.run).stages, stage.fold, results.seeds.index(stage.seed), epoch): timing
        for stage in results.stages
        for epoch, timing in enumerate(stage.epochs)
    }


def _prediction(results: Results) -> Timings:
    return {
        (scheme.name, position, part): timing
        for scheme in results.schemes
        for position, seed in enumerate(scheme.seeds)
        for part, timing in enumerate(seed.predicting)
    }


def _not_comparable(now: Results, before: Results) -> list[str]:
    """Return why speeds cannot be compared; empty where they can."""
    return [
        f"{what} {a} now, {b} in the baseline"
        for what, a, b in (
            ("device", _device(now), _device(before)),
            ("processes at a time", _processes(now), _processes(before)),
            ("torch", now.versions.get("torch", "?"), before.versions.get("torch", "?")),
            ("network", now.network, before.network),
            ("image size", str(now.image_size), str(before.image_size)),
            ("precision", *_settings(now, before, "precision")),
            ("batch size", *_settings(now, before, "batch_size")),
        )
        if a != b
    ]


def _device(results: Results) -> str:
    return ", ".join(f"{key} {value}" for key, value in results.device.items())


def _processes(results: Results) -> str:
    counts = {stage.processes for stage in results.stages}
    counts |= {seed.processes for scheme in results.schemes for seed in scheme.seeds}
    return ", ".join(map(str, sorted(counts)))


def _settings(now: Results, before: Results, name: str) -> tuple[str, str]:
    """Return a setting of the stages that both sides trained, as text."""
    shared = sorted(set(now.training) & set(before.training))
    texts = [
        ", ".join(f"{stage}: {side.training[stage].get(name)}" for stage in shared) for side in (now, before)
    ]
    return texts[0], texts[1]
