"""Where two predictions of one part by one scheme part: the path from pixels to scores."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cxrbench.trace.parting import Parting, near, numbers
from cxrbench.trace.records import FURTHER, OWN, PredictionEntry, StageTrace
from cxrbench.trace.tolerances import Tolerance


def name(entry: PredictionEntry) -> str:
    """Return how a prediction is named in a sentence."""
    fold = f", fold {entry.fold}" if entry.fold else ""
    if entry.part.startswith(OWN):
        return f"predictions of {entry.run!r} on its role's own test part, seed {entry.seed}{fold}"
    return f"{entry.part} predictions of {entry.scheme}, seed {entry.seed}{fold}"


def predicted(entry: PredictionEntry, target: str) -> tuple[str, str]:
    """Return the role and part of the images that were predicted."""
    for prefix in (FURTHER, OWN):
        if entry.part.startswith(prefix):
            return entry.part.removeprefix(prefix), "test"
    return target, entry.part


def network_partings(now: PredictionEntry, stage: StageTrace) -> Iterator[Parting]:
    """Yield where the network that predicted is not the one that its stage kept, in one study."""
    if stage.kept is None:
        return
    usually = "another epoch's or stage's checkpoint predicts"
    for what, x, y in (
        (
            "norm of the trunk that predicts, against the kept epoch's",
            now.path.network.trunk,
            stage.kept.trunk,
        ),
        (
            "norm of the heads that predict, against the kept epoch's",
            now.path.network.heads,
            stage.kept.heads,
        ),
    ):
        if x != y:
            yield numbers("prediction", name(now), what, x, y, usually)


def path_partings(now: PredictionEntry, before: PredictionEntry, rule: Tolerance) -> Iterator[Parting]:
    """Yield where the path parts that leads from the same images to scores, whatever network is trained."""
    if now.images != before.images:
        usually = "a batch is left out, or images are"
        yield Parting("prediction", name(now), "images", str(now.images), str(before.images), usually)
    a, b = now.path, before.path
    for what, x, y in (
        ("mean of the inputs", a.inputs.mean, b.inputs.mean),
        ("SD of the inputs", a.inputs.sd, b.inputs.sd),
    ):
        if not near(x, y, rule.inputs, max(1.0, abs(y))):
            yield numbers("prediction", name(now), what, x, y, "normalisation: another mean or SD, or none")
    if len(a.reference) != len(b.reference):
        counts = str(len(a.reference)), str(len(b.reference))
        yield Parting("prediction", name(now), "reference scores", *counts, "fewer images")
        return
    spread = float(np.std(b.reference)) if b.reference else 0.0
    for image, (x, y) in enumerate(zip(a.reference, b.reference, strict=True)):
        if not near(x, y, rule.reference, spread):
            usually = "evaluation mode, order of channels, precision, or another network"
            yield numbers("prediction", name(now), f"reference score of image {image}", x, y, usually)
            return


def score_partings(now: PredictionEntry, before: PredictionEntry) -> Iterator[Parting]:
    """Yield where the scores differ though network and path are the same, on the same kind of machine."""
    if now.scores != before.scores:
        digests = now.scores[:12], before.scores[:12]
        usually = "what becomes of logits changed, or the files were"
        yield Parting("prediction", name(now), "digest of the scores", *digests, usually)
