"""Training settings are checked when they are made."""

from __future__ import annotations

import math
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from cxrbench.errors import ProfileError
from cxrbench.training.config import Augmentation, StageConfig


def test_the_defaults_hold() -> None:
    config = StageConfig()
    assert (config.epochs, config.batch_size, config.precision) == (4, 32, "auto")
    assert config.augmentation == Augmentation(7.0, 0.05, 0.1, 0.5, 0.1, 0.2)
    with pytest.raises(FrozenInstanceError):
        config.epochs = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"epochs": 0}, "epochs must be a whole number from 1 to 1,000,000"),
        ({"epochs": 2.0}, "epochs must be a whole number"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"epochs": "3"}, "epochs must be a whole number"),
        ({"batch_size": 1}, "batch_size must be a whole number from 2 to 1,000,000"),
        ({"batch_size": 8.0}, "batch_size must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
        ({"learning_rate": -1e-3}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"learning_rate": math.inf}, "learning_rate must be above 0"),
        ({"learning_rate": "1e-3"}, "learning_rate must be above 0"),
        ({"weight_decay": -0.1}, "weight_decay must be from 0 to 100"),
        ({"epochs": 10**9}, "epochs must be a whole number from 1 to 1,000,000"),
        ({"batch_size": 2**63}, "batch_size must be a whole number from 2 to 1,000,000"),
        ({"learning_rate": 1e300}, "learning_rate must be above 0 and at most 100"),
        ({"freeze": 2**63}, "freeze must be a number of epochs from 0 to 1,000,000"),
        ({"weight_decay": math.nan}, "weight_decay must be from 0 to 100"),
        ({"warmup": 1}, "warmup must be at least 0 and below 1"),
        ({"warmup": -0.1}, "warmup must be at least 0 and below 1"),
        ({"precision": "float16"}, "precision must be 'auto', 'bfloat16' or 'float32'"),
        ({"precision": None}, "precision must be"),
        ({"freeze": -1}, "freeze must be a number of epochs from 0 to 1,000,000, or 'always'"),
        ({"freeze": 1.5}, "freeze must be a number of epochs"),
        ({"freeze": True}, "freeze must be a number of epochs"),
        ({"freeze": "ever"}, "freeze must be a number of epochs"),
        ({"augmentation": {"rotation": 181}}, "rotation = 181 must be between 0 and 180"),
        ({"augmentation": {"rotation": "seven"}}, "rotation = 'seven' must be between 0 and 180"),
        ({"augmentation": {"flip": 1.5}}, "flip = 1.5 must be between 0 and 1"),
        ({"augmentation": {"flip": True}}, "flip = True must be between 0 and 1"),
        ({"augmentation": {"brightness": -0.1}}, "brightness = -0.1 must be between 0 and 1"),
        ({"augmentation": {"contrast": math.nan}}, "contrast = nan must be between 0 and 1"),
        ({"augmentation": {"scale": 1}}, "scale = 1 would shrink an image to nothing"),
        ({"augmentation": 5}, "augmentation must be a table"),
        ({"augmentation": "none"}, "augmentation must be a table"),
        ({"augmentation": {"rotatoin": 1}}, "unknown key 'rotatoin'"),
        ({"epoch": 3}, "unknown key 'epoch'"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused_in_one_line_that_begins_with_its_place(
    values: dict[str, Any], what: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        StageConfig.from_mapping(values, "profile x: [stages.default]")
    message = str(caught.value)
    assert message.startswith("profile x: [stages.default]")
    assert what in message
    assert "\n" not in message


def test_a_table_gives_its_values_and_leaves_the_rest_at_the_defaults() -> None:
    values = {"epochs": 2, "learning_rate": 1, "augmentation": {"flip": 0, "rotation": 10}}
    assert StageConfig.from_mapping(values, "here") == StageConfig(
        epochs=2, learning_rate=1, augmentation=Augmentation(flip=0, rotation=10)
    )
    assert values["augmentation"] == {"flip": 0, "rotation": 10}, "the caller's table was changed"
    assert StageConfig.from_mapping({}, "here") == StageConfig()


@pytest.mark.parametrize(
    "values", [{"weight_decay": 0}, {"warmup": 0}, {"epochs": 1}, {"batch_size": 2}, {"precision": "float32"}]
)
def test_the_ends_of_the_ranges_are_allowed(values: dict[str, Any]) -> None:
    StageConfig.from_mapping(values, "here")


def test_a_trunk_is_frozen_for_so_many_epochs_or_always() -> None:
    assert [StageConfig(freeze=2).frozen(epoch) for epoch in range(4)] == [True, True, False, False]
    assert not StageConfig().frozen(0)
    assert StageConfig.from_mapping({"freeze": "always"}, "here").frozen(10**6)
