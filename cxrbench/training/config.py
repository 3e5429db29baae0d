"""What a stage run is trained with: settings as frozen data, checked when they are made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from cxrbench.errors import ProfileError
from cxrbench.settings import from_mapping

Precision = Literal["bfloat16", "float32"]
PrecisionChoice = Literal["auto", "bfloat16", "float32"]
"""``auto`` is bfloat16 where the device has instructions for it, else float32: see ``device.py``."""

_MOST = 1_000_000
"""More epochs, or images in a batch, are a slip of the pen."""

_STEEPEST = 100
"""From a larger step no network comes back."""


@dataclass(frozen=True)
class Augmentation:
    """How far a training image is moved and re-exposed; every value is the end of a symmetric range.

    rotation in degrees, translation and scale as fractions of the side, ``flip`` the probability of a mirror
    image, brightness as a fraction of full scale, contrast as a fraction of itself.
    """

    rotation: float = 7.0
    translation: float = 0.05
    scale: float = 0.1
    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.2

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            largest = 180 if f.name == "rotation" else 1
            if not _is_number(value) or not 0 <= value <= largest:
                raise ProfileError(f"augmentation: {f.name} = {value!r} must be between 0 and {largest}")
        if self.scale == 1:
            raise ProfileError("augmentation: scale = 1 would shrink an image to nothing; keep it below 1")


@dataclass(frozen=True)
class StageConfig:
    """The settings of one stage run.

    ``warmup`` is the share of steps over which the learning rate rises linearly; it then falls to zero along
    a half cosine. ``epochs`` counts passes over the pooled training images. During the first ``freeze`` of
    them, or ``"always"``, only the heads are trained: the trunk keeps its parameters and batch statistics.
    ``compile`` says whether the trunk goes through ``torch.compile``: ``auto`` where that pays back
    (:mod:`~cxrbench.training.compiling`).
    ``keep`` is the epoch that is kept: the ``"best"`` by its validation AUC, or the ``"last"``, where the
    validation part is too small to tell a good epoch from a lucky one.
    ``batch_statistics`` are what a prediction is normalised by: the ``"moving"`` average of the last steps,
    or ``"precise"`` ones, which are measured over the training images before an epoch that may be kept is
    validated (:mod:`~cxrbench.training.batchnorm`).
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    precision: PrecisionChoice = "auto"
    freeze: int | Literal["always"] = 0
    compile: Literal["auto", "on", "off"] = "auto"
    keep: Literal["best", "last"] = "best"
    batch_statistics: Literal["moving", "precise"] = "moving"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        rules: tuple[tuple[bool, str], ...] = (
            (
                _is_whole(self.epochs) and 1 <= self.epochs <= _MOST,
                f"epochs must be a whole number from 1 to {_MOST:,}",
            ),
            (
                _is_whole(self.batch_size) and 2 <= self.batch_size <= _MOST,
                f"batch_size must be a whole number from 2 to {_MOST:,}",
            ),
            (
                _is_number(self.learning_rate) and 0 < self.learning_rate <= _STEEPEST,
                f"learning_rate must be above 0 and at most {_STEEPEST}",
            ),
            (
                _is_number(self.weight_decay) and 0 <= self.weight_decay <= _STEEPEST,
                f"weight_decay must be from 0 to {_STEEPEST}",
            ),
            (_is_number(self.warmup) and 0 <= self.warmup < 1, "warmup must be at least 0 and below 1"),
            (
                self.precision in ("auto", "bfloat16", "float32"),
                "precision must be 'auto', 'bfloat16' or 'float32'",
            ),
            (
                self.freeze == "always" or (_is_whole(self.freeze) and 0 <= self.freeze <= _MOST),
                f"freeze must be a number of epochs from 0 to {_MOST:,}, or 'always'",
            ),
            (self.compile in ("auto", "on", "off"), "compile must be 'auto', 'on' or 'off'"),
            (self.keep in ("best", "last"), "keep must be 'best' or 'last'"),
            (
                self.batch_statistics in ("moving", "precise"),
                "batch_statistics must be 'moving' or 'precise'",
            ),
        )
        for holds, message in rules:
            if not holds:
                raise ProfileError(f"training: {message}")

    def frozen(self, epoch: int) -> bool:
        """Whether the trunk is left as it is in ``epoch``, counted from 0."""
        return self.freeze == "always" or epoch < self.freeze

    def measured(self, epoch: int) -> bool:
        """Whether batch statistics are measured after ``epoch``, counted from 0.

        A trunk that is left as it is keeps the statistics that it came with.
        """
        may_be_kept = self.keep == "best" or epoch == self.epochs - 1
        return self.batch_statistics == "precise" and may_be_kept and not self.frozen(epoch)

    def with_precision(self, precision: PrecisionChoice) -> StageConfig:
        """Return these settings at another precision."""
        return replace(self, precision=precision)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> StageConfig:
        """Read settings from a TOML table.

        Raises
        ------
        ProfileError: a key is unknown or a value is out of range; the message begins with ``where``.
        """
        values = dict(values)
        table = values.pop("augmentation", {})
        if not isinstance(table, Mapping):
            raise ProfileError(f"{where}: augmentation must be a table such as {{ rotation = 7.0 }}")
        augmentation = from_mapping(Augmentation, table, f"{where}.augmentation")
        return from_mapping(cls, {**values, "augmentation": augmentation}, where)


def _is_whole(value: object) -> bool:
    # In Python a bool is an int; in TOML `epochs = true` is a mistake.
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or (isinstance(value, float) and math.isfinite(value))
