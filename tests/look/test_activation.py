"""Class activation maps: their mean is the logit, and they point to what makes the logit."""

import numpy as np
import pytest
import torch
from torch import nn

from cxrbench.errors import TrainingError
from cxrbench.look.activation import activation_maps, bias
from cxrbench.training.network import Network
from cxrbench.training.networks import Architecture
from cxrbench.training.predict import predict_logits


def _pixels(n: int, size: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (n, size, size), dtype=np.uint8)


@pytest.mark.parametrize("name", ["densenet121", "resnet18"])
def test_the_mean_of_a_map_and_the_bias_are_the_logit(name: str) -> None:
    network = Network(name, {"covid": 1, "findings": 3}, seed=1)
    pixels = _pixels(3, 64)
    maps = activation_maps(network, "findings", pixels, label=2)
    assert maps.shape == (3, 2, 2)
    logits = predict_logits(network, torch.from_numpy(pixels).unsqueeze(1), ["findings"], "float32")
    np.testing.assert_allclose(
        maps.mean((1, 2)) + bias(network, "findings", 2), logits[:, 2], rtol=1e-3, atol=1e-4
    )
    # It is the chosen label's, and no other's.
    other = activation_maps(network, "findings", pixels, label=0)
    assert not np.allclose(other, maps)


def test_maps_do_not_depend_on_how_many_films_are_looked_at_at_a_time() -> None:
    network = Network("densenet121", {"covid": 1}, seed=1)
    pixels = _pixels(70, 64)
    together = activation_maps(network, "covid", pixels)
    np.testing.assert_allclose(activation_maps(network, "covid", pixels[65:]), together[65:], atol=1e-5)


class _Bright(nn.Module):
    """One feature: how bright each block of 16 px is."""

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self.pooling = nn.AvgPool2d(16)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.pooling(images[:, :1])


def test_the_map_is_high_where_the_film_is_what_the_head_asks_for() -> None:
    kind = Architecture("bright", "bright", lambda: (_Bright(), 1), mean=(0.0,) * 3, std=(1.0,) * 3)
    network = Network(kind, {"covid": 1}, seed=0)
    with torch.no_grad():
        network.heads["covid"].weight.fill_(-2.0)
    pixels = np.zeros((1, 64, 64), dtype=np.uint8)
    pixels[0, 16:32, 48:64] = 255
    expected = np.zeros((4, 4), dtype=np.float32)
    expected[1, 3] = -2
    np.testing.assert_allclose(activation_maps(network, "covid", pixels)[0], expected, atol=1e-6)


class _Flat(nn.Module):
    """Features that are not the averages of any maps."""

    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(4 * 16, 4))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_a_network_that_does_not_average_its_last_maps_is_refused() -> None:
    network = Network(Architecture("flat", "Flat", lambda: (_Flat(), 4)), {"covid": 1}, seed=0)
    with pytest.raises(TrainingError, match="Flat does not average its last maps"):
        activation_maps(network, "covid", _pixels(2, 32))
    assert not any(module._forward_hooks for module in network.trunk.modules())
