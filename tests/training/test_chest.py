"""Networks that were trained on chest radiographs elsewhere give the same features here."""

from __future__ import annotations

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from cxrbench.errors import TrainingError
from cxrbench.training.chest import channel_shares
from cxrbench.training.initial import Initial
from cxrbench.training.network import Network


def grey(model: nn.Module, first: str) -> nn.Module:
    """Return ``model`` with one input channel, as torchxrayvision has it, and made-up statistics."""
    old = model.get_submodule(first)
    new = nn.Conv2d(1, old.out_channels, old.kernel_size, old.stride, old.padding, bias=False)
    new.weight.data /= 500
    model.set_submodule(first, new)
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) / 10)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model.eval()


def theirs(images: torch.Tensor) -> torch.Tensor:
    """Return grey values in [0, 1] as torchxrayvision's ``normalize`` gives them."""
    return (2 * images - 1) * 1024


@pytest.fixture
def images() -> torch.Tensor:
    """Return three images: noise, black and white, so that borders and offsets show."""
    noise = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(2))
    return torch.cat([noise, torch.zeros_like(noise), torch.ones_like(noise)])


@pytest.mark.parametrize(
    ("name", "first", "prefix"),
    [
        ("densenet121", "features.conv0", ""),
        ("resnet18", "conv1", "model."),
        ("resnet18", "conv1", "module."),
    ],
)
@torch.no_grad()
def test_a_grey_network_gives_the_same_features(tmp_path, images, name, first, prefix):
    torch.manual_seed(0)
    model = grey(torchvision.models.get_model(name, weights=None), first)
    last = "classifier" if name == "densenet121" else "fc"
    state = {prefix + key: tensor.contiguous() for key, tensor in model.state_dict().items()}
    save_file({**state, "op_threshs": torch.ones(18)}, tmp_path / "chest.safetensors")
    network = Network(name, {"covid": 1}, seed=3).eval()
    Initial("file", tmp_path / "chest.safetensors").load(network)
    model.set_submodule(last, nn.Identity())
    expected = model(theirs(images))
    assert expected.std() > 0.01
    torch.testing.assert_close(network.features(images), expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_torchxrayvisions_own_class_gives_the_same_features(tmp_path, images):
    models = pytest.importorskip("torchxrayvision.models")
    torch.manual_seed(0)
    model = grey(models.DenseNet(), "features.conv0")
    save_file(model.state_dict(), tmp_path / "xrv.safetensors")
    network = Network("densenet121", {"covid": 1}, seed=3).eval()
    Initial("file", tmp_path / "xrv.safetensors").load(network)
    torch.testing.assert_close(
        network.features(images), model.features2(theirs(images)), rtol=1e-3, atol=1e-4
    )


def test_a_network_of_three_channels_stays_as_it_is(tmp_path):
    model = torchvision.models.resnet18(weights=None, num_classes=14)
    save_file(model.state_dict(), tmp_path / "chest.safetensors")
    network = Network("resnet18", {"covid": 1}, seed=3)
    Initial("file", tmp_path / "chest.safetensors").load(network)
    assert torch.equal(network.trunk.state_dict()["conv1.weight"], model.conv1.weight)


def test_channels_of_one_mean_are_refused():
    with pytest.raises(TrainingError, match="one input channel"):
        channel_shares(torch.full((3,), 0.4), torch.full((3,), 0.25), "chest.safetensors")
