"""What a study writes down on the way, as records in ``trace.json``.

Small next to the study: some kilobytes, and about ten bytes per image.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cxrbench.records import read_record, record, write_record

FORMAT = 2
NAME = "trace.json"
STEPS = 16
"""How many of a run's first steps are written down: later, rounding alone has driven two machines apart."""

REFERENCE_IMAGES = 32

FURTHER = "tests/"
"""How the part of a prediction begins that is of a further test; its name follows."""
OWN = "own/"
"""How the part of a prediction begins that is of a supplemental role's own test; the role follows."""

Count = Annotated[int, Field(ge=0)]
NotNegative = Annotated[float, Field(ge=0)]


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
class StepTrace:
    """One optimiser step: its loss, the norm of all gradients, and the learning rate it was taken with."""

    loss: float
    gradient_norm: NotNegative
    learning_rate: NotNegative


@record
class Norms:
    """Euclidean norms of the trunk's parameters and of those of the stage's heads."""

    trunk: NotNegative
    heads: NotNegative


@record
class Moments:
    """Mean and standard deviation of some numbers; the deviation is that of the numbers themselves (n)."""

    mean: float
    sd: NotNegative


@record
class LoadedTrace:
    """The images of one role and part as a stage run had them in memory.

    labels, pixels: digests of the fingerprints, which are those of the role's :class:`PartTrace`.
    """

    images: Count
    labels: str
    pixels: str


@record
class StageTrace:
    """The trace of one stage run, in float64.

    loaded: role -> part -> what was trained and validated on.
    untrained: role -> the logits that its head gives the first validation images before the first step: the
        first role's images, for every head.
    before, after: norms before the first and after the last step. kept: those of the epoch that was kept.
    steps: the first :data:`STEPS`.
    """

    loaded: Mapping[str, Mapping[str, LoadedTrace]]
    untrained: Mapping[str, Moments]
    before: Norms
    steps: tuple[StepTrace, ...] = ()
    after: Norms | None = None
    kept: Norms | None = None


@record
class StageEntry:
    """One stage run in the order of the plan.

    run, parent: in the schemes' notation; ``parent`` is None for the first stage of a chain.
    roles: those that the stage trains. settings: as resolved, key -> text.
    epoch_images, epoch_losses: images trained on and mean loss of every epoch.
    """

    run: str
    parent: str | None
    seed: int
    fold: int | None
    roles: tuple[str, ...]
    settings: Mapping[str, str]
    epoch_images: tuple[Count, ...]
    epoch_losses: tuple[float, ...]
    trace: StageTrace


@record
class PathTrace:
    """The path from pixels to scores in one prediction.

    network: norms of the parameters of the network that predicted.
    inputs: of what enters its first convolution.
    reference: scores that a fixed random network gives the first :data:`REFERENCE_IMAGES` images on the same
        path.
    """

    network: Norms
    inputs: Moments
    reference: tuple[float, ...]


@record
class PredictionEntry:
    """One scheme's predictions of one part with one seed (and in one fold).

    scheme: empty where a supplemental role is tested on its own test part, which no scheme predicts.
    run: the stage run whose network predicted. part: "validation", "test", or :data:`FURTHER` or :data:`OWN`
    with a name. images: how many scores were written. scores: digest of the written file, or files.
    """

    scheme: str
    run: str
    seed: int
    fold: int | None
    part: str
    images: Count
    path: PathTrace
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
