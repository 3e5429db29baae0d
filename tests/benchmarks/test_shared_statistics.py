"""The trial of shared statistics against torchvision's blocks."""

from __future__ import annotations

import copy
import importlib.util
from pathlib import Path

import pytest
import torch
from torchvision.models import DenseNet

from cxrbench.training.densenet import densenet_trunk


@pytest.fixture(scope="module")
def shared():
    path = Path(__file__).parents[2] / "benchmarks" / "shared_statistics.py"
    spec = importlib.util.spec_from_file_location("shared_statistics", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.with_shared_statistics


@pytest.mark.parametrize("training", [True, False])
def test_maps_gradients_and_running_statistics_are_torchvision_s(shared, training):
    torch.manual_seed(0)
    theirs = densenet_trunk(DenseNet(8, (2, 3, 2, 2), 16, bn_size=2)).double().train(training)
    # Statistics with which a trunk in evaluation mode keeps its size.
    theirs.train()(torch.rand(4, 3, 64, 64, dtype=torch.float64))
    theirs.train(training).zero_grad()
    ours = shared(copy.deepcopy(theirs))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    images = torch.rand(4, 3, 64, 64, dtype=torch.float64) - 0.5
    found = []
    for module in (theirs, ours):
        maps = module(images)
        found.append(maps.detach())
        (maps * torch.arange(maps.numel(), dtype=torch.float64).view_as(maps).sin()).sum().backward()
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)
    for mine, reference in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, reference.grad, rtol=1e-8, atol=1e-10)
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, theirs.get_buffer(name), rtol=1e-10, atol=1e-12)
