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
    yield from _loaded(now, before)
    yield from _start(now, before, parent, rule)
    yield from _steps(now, before, rule)
    yield from _epochs(now, before, rule)


def setting_partings(where: str, now: Mapping[str, str], before: Mapping[str, str]) -> Iterator[Parting]:
    """Yield the settings that differ, in alphabetical order."""
    for key in sorted(set(now) | set(before)):
        a, b = now.get(key, "none"), before.get(key, "none")
        if a != b:
            yield Parting("settings", where, key, a, b, "the profile or its defaults were changed")


def _loaded(now: StageEntry, before: StageEntry) -> Iterator[Parting]:
    """Yield what the stage had in memory though the roles' parts are the same."""
    usually = "what was read is not what is trained on: look between the pack and the training"
    for role, parts in now.trace.loaded.items():
        for part, a in parts.items():
            b = before.trace.loaded.get(role, {}).get(part)
            if b is None:
                continue
            where = f"{name(now)}, {part} part of role {role}"
            if a.images != b.images:
                yield Parting("images", where, "images in memory", str(a.images), str(b.images), usually)
            if a.labels != b.labels:
                yield Parting("labels", where, "labels in memory", a.labels, b.labels, usually)
            if a.pixels != b.pixels:
                yield Parting("pixels", where, "pixels in memory", a.pixels, b.pixels, usually)


def _start(
    now: StageEntry, before: StageEntry, parent: StageTrace | None, rule: Tolerance
) -> Iterator[Parting]:
    a, b = now.trace, before.trace
    if parent is not None and (parent.kept is None or a.before.trunk != parent.kept.trunk):
        # Both were measured on one machine, so no rounding is tolerated.
        yield numbers(
            "start",
            name(now),
            "norm of the trunk at the start, against that of the parent's kept epoch",
            a.before.trunk,
            parent.kept.trunk if parent.kept else 0.0,
            "the trunk was not handed on, or not from this parent or epoch",
        )
    of_trunk = rule.start if parent is None else rule.later_trunk
    for what, x, y, tolerated, usually in (
        ("norm of the trunk at the start", a.before.trunk, b.before.trunk, of_trunk, _OTHER_START),
        # Heads are new in every stage, whatever trunk they are put on.
        (
            "norm of the heads at the start",
            a.before.heads,
            b.before.heads,
            rule.start,
            "heads were not reset",
        ),
    ):
        if not near(x, y, tolerated):
            yield numbers("start", name(now), what, x, y, usually)
    of_logits = rule.start if parent is None else rule.later_logits
    for role in sorted(set(a.untrained) & set(b.untrained)):
        logits, others = a.untrained[role], b.untrained[role]
        # A logit's size says nothing of its rounding: its spread does.
        scale = max(others.sd, abs(others.mean))
        for moment, x, y in (("mean", logits.mean, others.mean), ("SD", logits.sd, others.sd)):
            if not near(x, y, of_logits, scale):
                what = f"{moment} of the validation logits of {role} at the start"
                yield numbers("start", name(now), what, x, y, _OTHER_LOGITS)


def _steps(now: StageEntry, before: StageEntry, rule: Tolerance) -> Iterator[Parting]:
    a, b = now.trace.steps, before.trace.steps
    first = now.parent is None
    losses = rule.losses if first else rule.later_losses
    gradients = rule.gradients if first else ()
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
    if now.epoch_images != before.epoch_images:
        counts = [", ".join(map(str, entry.epoch_images)) for entry in (now, before)]
        usually = "batches are left out, or another number of epochs"
        yield Parting("training", name(now), "images per epoch", counts[0], counts[1], usually)
    elif rule is EXACT:
        later = "the training changed after its first steps"
        for epoch, (x, y) in enumerate(zip(now.epoch_losses, before.epoch_losses, strict=False)):
            if x != y:
                yield numbers("training", name(now), f"mean loss of epoch {epoch + 1}", x, y, later)
        for when in ("after", "kept"):
            a, b = getattr(now.trace, when), getattr(before.trace, when)
            if a != b:
                where = "at the end" if when == "after" else "of the kept epoch"
                yield numbers("training", name(now), f"norm of the trunk {where}", a.trunk, b.trunk, later)
