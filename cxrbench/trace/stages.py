"""Where two runs of one stage part: settings, start, first steps, epochs, in this order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cxrbench.trace.parting import Parting, near, numbers
from cxrbench.trace.records import StageEntry, StageTrace
from cxrbench.trace.tolerances import EXACT, Tolerance

_OTHER_START = "other initial parameters, or another parent"
_OTHER_LOGITS = "other inputs, another start, or no evaluation mode"


def name(entry: StageEntry) -> str:
    """Return how a stage run is named in a sentence."""
    return f"stage {entry.run!r}, seed {entry.seed}" + (f", fold {entry.fold}" if entry.fold else "")


def stage_partings(
    now: StageEntry, before: StageEntry, parent: StageTrace | None, rule: Tolerance
) -> Iterator[Parting]:
    """Yield where the two part, the earliest first.

    parent: the trace of the stage that ``now`` starts from, in the same study; None for a chain's first.
    """
    yield from setting_partings(name(now), now.settings, before.settings)
    yield from _start(now, before, parent, rule)
    yield from _steps(now, before, rule)
    yield from _epochs(now, before, rule)


def setting_partings(where: str, now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Parting]:
    """Yield the settings that differ, in alphabetical order."""
    for key in sorted(set(now) | set(before)):
        a, b = now.get(key, "none"), before.get(key, "none")
        if a != b:
            yield Parting("settings", where, key, a, b, "the profile or its defaults were changed")


def _start(
    now: StageEntry, before: StageEntry, parent: StageTrace | None, rule: Tolerance
) -> Iterator[Parting]:
    a, b = now.trace, before.trace
    if parent is not None and a.trunk_before != parent.trunk_kept:
        # Both were measured on one machine, so no rounding is tolerated.
        yield numbers(
            "start",
            name(now),
            "norm of the trunk at the start, against that of the parent's kept epoch",
            a.trunk_before,
            parent.trunk_kept,
            "the trunk was not handed on, or not from this parent or epoch",
        )
    tolerated = rule.start if parent is None else rule.later_start
    # A validation logit's size says nothing of its rounding: its spread does.
    spread = max(b.validation_sd, abs(b.validation_mean))
    for what, x, y, scale, usually in (
        ("norm of the trunk at the start", a.trunk_before, b.trunk_before, None, _OTHER_START),
        ("norm of the heads at the start", a.heads_before, b.heads_before, None, "the heads were not reset"),
        ("mean validation logit at the start", a.validation_mean, b.validation_mean, spread, _OTHER_LOGITS),
        ("SD of validation logits at the start", a.validation_sd, b.validation_sd, spread, _OTHER_LOGITS),
    ):
        if not near(x, y, tolerated, scale):
            yield numbers("start", name(now), what, x, y, usually)


def _steps(now: StageEntry, before: StageEntry, rule: Tolerance) -> Iterator[Parting]:
    a, b = now.trace.steps, before.trace.steps
    first = now.parent is None
    losses = rule.losses if first else rule.later_losses
    gradients = rule.gradients if first else rule.later_gradients
    for step, (x, y) in enumerate(zip(a, b, strict=False)):
        for what, u, v, tolerances, usually in (
            ("learning rate", x.learning_rate, y.learning_rate, None, "another schedule, or fewer steps"),
            ("loss", x.loss, y.loss, losses, _of_loss(step)),
            ("gradient norm", x.gradient_norm, y.gradient_norm, gradients, "another loss, or frozen layers"),
        ):
            if tolerances is None:
                # A learning rate is arithmetic of a few numbers in Python: the same everywhere.
                agrees = near(u, v, 1e-12)
            else:
                judged = rule is EXACT or step < len(tolerances)
                agrees = not judged or near(u, v, 0.0 if rule is EXACT else tolerances[step])
            if not agrees:
                yield numbers("training", name(now), what, u, v, usually, step)
    if len(a) != len(b):
        yield Parting("training", name(now), "steps", str(len(a)), str(len(b)), "another batch size")


def _of_loss(step: int) -> str:
    if step == 0:
        return "other augmentation, another order of the images, or another loss"
    return "another optimiser or update, or other images in this step"


def _epochs(now: StageEntry, before: StageEntry, rule: Tolerance) -> Iterator[Parting]:
    a, b = now.trace, before.trace
    if a.epoch_images != b.epoch_images:
        counts = [", ".join(map(str, trace.epoch_images)) for trace in (a, b)]
        usually = "batches are left out, or another number of epochs"
        yield Parting("training", name(now), "images per epoch", counts[0], counts[1], usually)
    elif rule is EXACT:
        later = "the training changed after its first steps"
        for epoch, (x, y) in enumerate(zip(a.epoch_losses, b.epoch_losses, strict=False)):
            if x != y:
                yield numbers("training", name(now), f"mean loss of epoch {epoch + 1}", x, y, later)
        for what, x, y in (
            ("norm of the trunk at the end", a.trunk_after, b.trunk_after),
            ("norm of the heads at the end", a.heads_after, b.heads_after),
            ("norm of the trunk of the kept epoch", a.trunk_kept, b.trunk_kept),
            ("norm of the heads of the kept epoch", a.heads_kept, b.heads_kept),
        ):
            if x != y:
                yield numbers("training", name(now), what, x, y, later)
