"""Logits of a network, and the scores made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.training.network import Network
from cxrbench.training.predict import autocast, default_batch, predict_logits, probabilities, to_float
from cxrbench.training.seeds import generator


@pytest.fixture(scope="module")
def network() -> Network:
    """Return a network whose running statistics are not the initial ones."""
    made = Network("densenet121", {"a": 2, "b": 1}, seed=0)
    for role in ("a", "b"):
        made.reset_head(role, [0.5] * made.heads[role].out_features, seed=0)
        made.heads[role].weight.data.mul_(100)
    with torch.no_grad():
        made.train()
        made.features(to_float(pixels(8, seed=1)))
    return made


def pixels(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 32, 32), dtype=torch.uint8, generator=generator(seed, "pixels"))


def test_a_pixel_is_its_share_of_255() -> None:
    given = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert to_float(given).tolist() == pytest.approx([0, 0.2, 1])
    assert to_float(given).dtype == torch.float32
    assert given.tolist() == [0, 51, 255]


def test_logits_do_not_depend_on_the_batch_size(network: Network) -> None:
    found = {
        batch: predict_logits(network, pixels(7), ["a", "b"], "float32", batch) for batch in (1, 3, 7, 256)
    }
    assert found[256].shape == (7, 3)
    assert found[256].dtype == np.float32
    spread = float(found[256].std(axis=0).min())
    for batch, logits in found.items():
        np.testing.assert_allclose(logits, found[256], atol=1e-4 * spread, err_msg=f"batch {batch}")


@pytest.mark.parametrize(("size", "images"), [(32, 256), (64, 64), (128, 16), (224, 5), (1024, 1)])
def test_a_larger_image_makes_a_smaller_batch_on_a_cpu(size: int, images: int) -> None:
    assert default_batch(torch.empty(1000, 1, size, size, device="meta")) == 256
    assert default_batch(torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(1000, 1, size, size)) == images


def test_images_are_predicted_in_default_batches(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    batches: list[int] = []
    features = network.features
    monkeypatch.setattr(network, "features", lambda images: batches.append(len(images)) or features(images))
    predict_logits(network, pixels(300), ["a"], "float32")
    assert batches == [256, 44]


def test_the_roles_are_columns_in_the_order_asked_for(network: Network) -> None:
    both = predict_logits(network, pixels(3), ["b", "a"], "float32")
    np.testing.assert_array_equal(both[:, :1], predict_logits(network, pixels(3), ["b"], "float32"))
    np.testing.assert_array_equal(both[:, 1:], predict_logits(network, pixels(3), ["a"], "float32"))


def test_predicting_is_in_evaluation_mode_and_changes_no_parameter(network: Network) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    first = predict_logits(network, pixels(4), ["a"], "float32")
    assert not network.training
    np.testing.assert_array_equal(predict_logits(network, pixels(4), ["a"], "float32"), first)
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_bfloat16_gives_float32_logits_near_those_of_float32(network: Network) -> None:
    half = predict_logits(network, pixels(16), ["a"], "bfloat16")
    full = predict_logits(network, pixels(16), ["a"], "float32")
    assert half.dtype == np.float32
    assert not np.array_equal(half, full), "autocast did nothing"
    assert np.abs(half - full).max() < 0.15 * full.std()
    # bfloat16 has 8 bits: were the head computed in it, a rounding would change nothing.
    rounded = torch.from_numpy(half).to(torch.bfloat16).float().numpy()
    assert np.mean(rounded == half) < 0.1


def test_autocast_is_on_only_for_bfloat16() -> None:
    cpu = torch.device("cpu")
    with autocast(cpu, "float32"):
        assert not torch.is_autocast_enabled("cpu")
    with autocast(cpu, "bfloat16"):
        assert torch.is_autocast_enabled("cpu")
        assert torch.get_autocast_dtype("cpu") == torch.bfloat16


def test_probabilities_are_the_logistic_function_in_float64() -> None:
    scores = probabilities(np.array([0, math.log(3), -math.log(3), 100, -100], np.float32))
    assert scores.dtype == np.float64
    assert scores.tolist() == pytest.approx([0.5, 0.75, 0.25, 1, math.exp(-100)], rel=1e-7)


def test_extreme_logits_give_the_ends_without_a_warning() -> None:
    huge = np.finfo(np.float32).max
    assert probabilities(np.array([-huge, -800, 800, huge], np.float32)).tolist() == [0, 0, 1, 1]


logits = st.floats(-87, 20, width=32)


@settings(max_examples=300)
@given(logits, logits)
def test_logits_from_minus_87_to_20_that_differ_by_1e_15_keep_their_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    if high - low >= 1e-15:
        first, second = probabilities(np.array([low, high], np.float32))
        assert first < second


@settings(max_examples=300)
@given(st.floats(-87, 20, width=32).filter(lambda logit: abs(logit) > 1e-7))
def test_neighbouring_float32_logits_keep_their_order(logit: float) -> None:
    here = np.float32(logit)
    first, second = probabilities(np.array([here, np.nextafter(here, np.float32(np.inf))]))
    assert first < second


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=2))
def test_no_order_is_ever_turned_round(found: list[float]) -> None:
    scores = probabilities(np.sort(np.array(found, np.float32)))
    assert (np.diff(scores) >= 0).all()
    assert (scores >= 0).all()
    assert (scores <= 1).all()
