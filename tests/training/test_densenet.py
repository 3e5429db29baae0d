"""Our DenseNet trunk against torchvision's module, of the same parameters."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import DenseNet

from cxrbench.training.densenet import densenet_trunk
from cxrbench.training.networks import architecture


def small() -> DenseNet:
    torch.manual_seed(3)
    return DenseNet(growth_rate=8, block_config=(2, 3, 2, 2), num_init_features=16, bn_size=2)


def both(model: DenseNet, dtype: torch.dtype, *, training: bool) -> tuple[nn.Module, nn.Module]:
    """Return torchvision's module up to the last maps, and ours."""
    theirs = nn.Sequential(copy.deepcopy(model).features, nn.ReLU())
    ours = densenet_trunk(copy.deepcopy(model))
    for module in (theirs, ours):
        module.to(dtype=dtype, memory_format=torch.channels_last).train(training)
    return theirs, ours


def images(dtype: torch.dtype, size: int = 64) -> Tensor:
    made = torch.rand(6, 3, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return (made - 0.5).to(dtype).contiguous(memory_format=torch.channels_last)


def apart(one: Tensor, other: Tensor) -> float:
    return float((one.double() - other.double()).norm() / other.double().norm())


def gradients(module: nn.Module, given: Tensor) -> Tensor:
    maps = module(given)
    weight = torch.rand(maps.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    (maps * weight.to(maps.dtype)).sum().backward()
    return torch.cat([p.grad.flatten() for p in module.parameters() if p.grad is not None])


def test_names_and_order_of_the_parameters_are_torchvision_s() -> None:
    model = small()
    names = list(model.features.state_dict())
    trunk = densenet_trunk(model)
    assert list(trunk.state_dict()) == names
    # The order in which an optimiser, and a sum of squares, goes through them.
    assert [name for name, _ in trunk.named_parameters()] == [
        n for n in names if n.endswith(("weight", "bias"))
    ]


@pytest.mark.parametrize("training", [True, False])
# Odd maps lose their last row and column where they are averaged.
@pytest.mark.parametrize("size", [64, 76])
def test_maps_and_gradients_in_float32(training: bool, size: int) -> None:
    theirs, ours = both(small(), torch.float32, training=training)
    given = images(torch.float32, size)
    with torch.no_grad():
        assert apart(ours(given), theirs(given)) < 1e-5
    assert apart(gradients(ours, given), gradients(theirs, given)) < 1e-5


def test_every_gradient_and_running_statistic_of_densenet121_in_float64() -> None:
    """In float32 a ReLU's input next to 0 changes its sign with the rounding, in any two implementations."""
    torch.manual_seed(0)
    theirs, ours = both(DenseNet(32, (6, 12, 24, 16), 64), torch.float64, training=True)
    given = images(torch.float64)
    assert apart(gradients(ours, given), gradients(theirs, given)) < 1e-12
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert reference.grad is not None
        assert float((mine.grad - reference.grad).abs().max()) < 1e-12 * float(reference.grad.abs().max() + 1)
    for mine, reference in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-12, atol=1e-12)


def test_the_average_comes_before_the_products() -> None:
    trunk, _ = architecture("densenet121").make()
    seen = {}
    for number in (1, 2, 3):
        convolution = trunk.get_submodule(f"transition{number}.conv")
        convolution.register_forward_pre_hook(lambda _, given, n=number: seen.update({n: given[0].shape[2:]}))
    trunk.eval()(images(torch.float32))
    assert seen == {1: (8, 8), 2: (4, 4), 3: (2, 2)}
