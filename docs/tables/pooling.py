"""Tables of docs/pooling.md."""

from __future__ import annotations

from pathlib import Path

from evidence import DOCS, FOUR_PASSES, LAST_STAGE, THREE_PASSES, markdown, rows

from cxrbench.calibration.records import SchemeSummary
from cxrbench.calibration.statements import Paired
from cxrbench.calibration.targets import summaries
from cxrbench.study.profile import Profile, load_profile


def two() -> str:
    """The two calibrations: what they were set to, and what they gave."""
    settings = [_settings(load_profile(str(DOCS / "pooling" / "three-passes.toml")), THREE_PASSES)]
    settings.append(_settings(load_profile(str(DOCS / "pooling" / "four-passes.toml")), FOUR_PASSES))
    body = [(name, *(column[name] for column in settings)) for name in settings[0]]
    return markdown(
        (
            "",
            "[three-passes.toml](pooling/three-passes.toml)",
            "[four-passes.toml](pooling/four-passes.toml)",
        ),
        body,
    )


def last_stage() -> str:
    """What one more stage for the target does to three schemes."""
    found = _by_name(LAST_STAGE)
    body = [
        (
            name,
            f"{found[name].mean:.3f}",
            f"{found[f'{name}-then-target'].mean:.3f}",
            _gain(found[f"{name}-then-target"], found[name]),
        )
        for name in ("control", "sequential", "pooled-all")
    ]
    headers = (
        "scheme",
        "mean of five seeds",
        "with one more stage",
        "difference, mean (least of five seeds)",
    )
    return markdown(headers, body)


def differences() -> str:
    """Differences of schemes with and without the last stage."""
    found = _by_name(LAST_STAGE)
    body = []
    for a, b in (
        ("sequential", "pooled-all-then-target"),
        ("sequential", "control-then-target"),
        ("sequential-then-target", "control-then-target"),
        ("pooled-all-then-target", "control-then-target"),
    ):
        paired = Paired.of(found[a], found[b])
        mean, low, high = paired.mean, paired.low, paired.high
        body.append((f"{a} minus {b}", f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"))
    return markdown(("difference of two schemes", "mean, 95% t interval over the seeds"), body)


def _settings(profile: Profile, evidence: Path) -> dict[str, str]:
    stages = {
        str(stage): profile.stage_config(stage) for scheme in profile.select(()) for stage in scheme.stages
    }
    own, pooled = stages["covid"], stages["findings + pneumonia + covid"]
    phantom, found = profile.roles["covid"].options, _by_name(evidence)
    return {
        "passes over the target in its own stage; learning rate": f"{own.epochs}; {own.learning_rate:g}",
        "passes of `pooled-all` over its three roles; learning rate": (
            f"{pooled.epochs}; {pooled.learning_rate:g}"
        ),
        "passes of `findings + pneumonia`": str(stages["findings + pneumonia"].epochs),
        "severity of the target's positives (less is harder)": f"{phantom['severity_median']:g}",
        "test images": f"{phantom['n_test_images']:,}",
        "control, mean of five seeds": f"{found['control'].mean:.3f}",
        **{name: f"{found[name].mean:.3f}" for name in ("pooled-all", "pooled-supplement", "sequential")},
        "pooled-all minus control, mean (least of five seeds)": _gain(found["pooled-all"], found["control"]),
        "sequential minus pooled-all, mean (least)": _gain(found["sequential"], found["pooled-all"]),
    }


def _by_name(evidence: Path) -> dict[str, SchemeSummary]:
    return {scheme.scheme: scheme for scheme in summaries(rows(evidence))}


def _gain(a: SchemeSummary, b: SchemeSummary) -> str:
    differences = [x - y for x, y in zip(a.aucs, b.aucs, strict=True)]
    return f"{a.mean - b.mean:+.3f} ({min(differences):+.3f})"
