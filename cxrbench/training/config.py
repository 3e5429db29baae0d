"""What a stage run is trained with: settings as frozen data, checked when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from cxrbench.errors import ProfileError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
Precision = Literal["bfloat16", "float32"]


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
            if not 0 <= value <= largest:
                raise ProfileError(f"augmentation: {f.name} = {value} must be between 0 and {largest}")


@dataclass(frozen=True)
class StageConfig:
    """The settings of one stage run.

    ``warmup`` is the share of steps over which the learning rate rises linearly; it then falls to zero along
    a half cosine. ``epochs`` counts passes over the pooled training images.
    """

    epochs: int = 4
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup: float = 0.1
    precision: Precision = "bfloat16"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        rules: tuple[tuple[bool, str], ...] = (
            (isinstance(self.epochs, int) and self.epochs >= 1, "epochs must be a whole number, 1 or more"),
            (isinstance(self.batch_size, int) and self.batch_size >= 2, "batch_size must be 2 or more"),
            (self.learning_rate > 0, "learning_rate must be above 0"),
            (self.weight_decay >= 0, "weight_decay must be 0 or more"),
            (0 <= self.warmup < 1, "warmup must be at least 0 and below 1"),
            (self.precision in ("bfloat16", "float32"), "precision must be 'bfloat16' or 'float32'"),
        )
        for holds, message in rules:
            if not holds:
                raise ProfileError(f"training: {message}")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], where: str) -> StageConfig:
        """Read settings from a TOML table.

        Raises
        ------
        ProfileError: a key is unknown or a value is out of range; the message begins with ``where``.
        """
        values = dict(values)
        augmentation = _build(Augmentation, values.pop("augmentation", {}), f"{where}.augmentation")
        return _build(cls, {**values, "augmentation": augmentation}, where)


def _build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    known = [f.name for f in fields(kind)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise ProfileError(f"{where}: unknown key {unknown[0]!r} (known: {', '.join(known)})")
    try:
        return kind(**values)
    except (TypeError, ProfileError) as error:
        raise ProfileError(f"{where}: {error}") from None
