"""What a study writes down on the way, as records in ``trace.json``.

Small next to the study: some kilobytes, and about ten bytes per image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cxrbench.records import read_record, record, write_record

FORMAT = 1
NAME = "trace.json"
FIRST_STEPS = 16
REFERENCE_IMAGES = 32

Count = Annotated[int, Field(ge=0)]


@record
class PartTrace:
    """One part of one role's images, as it was trained, validated or tested on.

    role, part, fold: which; ``fold`` is None where the part is the same in every fold.
    positive, negative, unknown: per label.
    pixel_mean, pixel_sd: of all pixels, in [0, 1].
    ids, labels, pixels: a fingerprint per image, in the order of the pack
        (:mod:`cxrbench.trace.fingerprints`); ``labels`` holds one byte per image and label.
    """

    role: str
    part: str
    fold: int | None
    images: Count
    patients: Count
    label_names: tuple[str, ...]
    positive: tuple[Count, ...]
    negative: tuple[Count, ...]
    unknown: tuple[Count, ...]
    pixel_mean: float
    pixel_sd: float
    ids: str
    labels: str
    pixels: str


@record
class Step:
    """One of a stage's first steps: mean loss of the batch, norm of the whole gradient, learning rate."""

    loss: float
    gradient_norm: float
    learning_rate: float


@record
class StageTrace:
    """What a stage run wrote down.

    steps: the first :data:`FIRST_STEPS`.
    validation_mean, validation_sd: of the validation logits before the first step, over roles and labels.
    trunk_before, heads_before, trunk_after, heads_after: norms of the parameters before the first and after
        the last step. trunk_kept, heads_kept: of the epoch that was kept.
    epoch_images, epoch_losses: images trained on and mean loss of every epoch.
    """

    steps: tuple[Step, ...]
    validation_mean: float
    validation_sd: float
    trunk_before: float
    heads_before: float
    trunk_after: float
    heads_after: float
    trunk_kept: float
    heads_kept: float
    epoch_images: tuple[Count, ...]
    epoch_losses: tuple[float, ...]


@record
class StageEntry:
    """One stage run in the order of the plan.

    run, parent: in the schemes' notation; ``parent`` is None for the first stage of a chain.
    roles: those that the stage trains. settings: as resolved, key -> text.
    """

    run: str
    parent: str | None
    seed: int
    fold: int | None
    roles: tuple[str, ...]
    settings: Mapping[str, str]
    trace: StageTrace


@record
class PredictionEntry:
    """One scheme's predictions of one part with one seed (and in one fold).

    run: the stage run whose network predicted. images: how many scores were written.
    trunk, heads: norms of the parameters of the network that predicted.
    input_mean, input_sd: of what enters the first convolution.
    reference: logits that a fixed random network gives for the first :data:`REFERENCE_IMAGES` images through
        the same path.
    scores: digest of the written scores.
    """

    scheme: str
    run: str
    seed: int
    fold: int | None
    part: str
    images: Count
    trunk: float
    heads: float
    input_mean: float
    input_sd: float
    reference: tuple[float, ...]
    scores: str


@record
class Trace:
    """The trace of a study.

    environment: what bits depend on besides the code and the data: device, threads, versions.
    settings: what holds for the whole study, key -> text.
    """

    profile: str
    environment: Mapping[str, str]
    settings: Mapping[str, str]
    target: str
    parts: tuple[PartTrace, ...]
    stages: tuple[StageEntry, ...]
    predictions: tuple[PredictionEntry, ...]


def write_trace(trace: Trace, path: Path) -> None:
    """Write ``trace`` to ``path``; raises OSError where it cannot be written."""
    write_record(path, trace, FORMAT)


def read_trace(path: Path) -> Trace:
    """Return the trace that :func:`write_trace` wrote; raises RecordError where that is not what is there."""
    return read_record(path, Trace, FORMAT)


def find_trace(place: Path) -> Trace:
    """Return the trace of a study or baseline, its folder or the file; raises as :func:`read_trace`."""
    return read_trace(place / NAME if place.is_dir() else place)
