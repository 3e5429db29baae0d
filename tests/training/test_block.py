"""A dense block by operations that move few bytes: torchvision's function, gradients and statistics."""

from __future__ import annotations

import copy
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from plain_block import PlainOperations
from torch import nn
from torchvision.models import densenet121, densenet161
from torchvision.models.densenet import _DenseBlock

from cxrbench.training.block import lean, through
from cxrbench.training.densenet import densenet_trunk

HELPERS = Path(__file__).parents[1] / "helpers"


def chain(layers, pooled, kind):
    """Return a block and, where it is ``pooled``, what is before the convolution of a transition."""
    torch.manual_seed(layers)
    behind = [nn.BatchNorm2d(64 + 32 * layers), nn.ReLU(), nn.AvgPool2d(2)] if pooled else []
    made = nn.Sequential(_DenseBlock(layers, 64, 4, 32, 0.0), *behind)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    return made.to(kind)


def apart(one, other):
    return float((one - other).detach().norm() / other.detach().norm())


def compared(model, images, operations):
    """Return the largest relative distances from ``model`` by torch: maps and gradients; then statistics."""
    ours, ends = copy.deepcopy(model), []
    for tried, by in ((model, None), (ours, operations)):
        maps = images.clone().requires_grad_()
        norm = tried[1] if len(tried) > 1 else None
        out = tried(maps) if by is None else through(tried[0], norm, maps, by)
        back = torch.rand(out.shape, generator=torch.Generator().manual_seed(1), dtype=out.dtype) - 0.5
        out.backward(back)
        ends.append([out, maps.grad, *(p.grad for p in tried.parameters())])
    kept = [[b.double() for b in tried.buffers()] for tried in (ours, model)]
    return max(map(apart, ends[1], ends[0])), max(map(apart, *kept))


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize(("kind", "bound"), [(torch.float64, 1e-13), (torch.float32, 1e-5)])
def test_maps_gradients_and_statistics_are_torchvisions(pooled, kind, bound):
    images = torch.rand(3, 64, 9, 6, generator=torch.Generator().manual_seed(0), dtype=kind)
    found, statistics = compared(chain(3, pooled, kind), images, PlainOperations())
    assert found < bound
    assert statistics < bound


@pytest.mark.parametrize("pooled", [False, True])
def test_predictions_are_torchvisions_and_move_no_statistics(pooled):
    model = chain(2, pooled, torch.float64).eval()
    before = copy.deepcopy(model.state_dict())
    images = torch.rand(2, 64, 7, 8, dtype=torch.float64)
    with torch.no_grad():
        ours = through(model[0], model[1] if pooled else None, images, PlainOperations())
        assert apart(ours, model(images)) < 1e-14
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_whole_trunk_by_operations_is_the_trunk_layer_by_layer():
    trunk = densenet_trunk(densenet121(weights=None)).double().train()
    other = copy.deepcopy(trunk)
    images = torch.rand(4, 3, 64, 64, dtype=torch.float64)
    plain, ours = trunk(images), other.computed(images, PlainOperations())
    assert apart(ours, plain) < 1e-10
    plain.square().sum().backward()
    ours.square().sum().backward()
    for (name, one), two in zip(trunk.named_parameters(), other.parameters(), strict=True):
        assert apart(two.grad, one.grad) < 1e-6, name
    for one, two in zip(trunk.buffers(), other.buffers(), strict=True):
        assert apart(two.double(), one.double()) < 1e-10


def test_blocks_of_other_widths_go_torchvisions_way():
    blocks = {
        make: [m for m in make(weights=None).features.children() if isinstance(m, _DenseBlock)]
        for make in (densenet121, densenet161)
    }
    assert all(map(lean, blocks[densenet121]))
    assert not any(map(lean, blocks[densenet161]))
    assert not lean(nn.Sequential())
    assert not lean(_DenseBlock(2, 64, 4, 32, 0.1))


ON_A_CPU = """
import torch
from plain_block import PlainOperations
from test_block import apart, chain, compared
from cxrbench.training.block import through
from cxrbench.training.kernels import KERNELS
for layers, pooled in ((3, True), (2, False)):
    images = torch.rand(3, 64, 9, 7, generator=torch.Generator().manual_seed(0))
    found, statistics = compared(chain(layers, pooled, torch.float32), images, KERNELS)
    assert found < 1e-5, found
    assert statistics < 1e-5, statistics
    model = chain(layers, pooled, torch.float32).eval()
    with torch.no_grad():
        ours = through(model[0], model[1] if pooled else None, images, KERNELS)
        assert apart(ours, model(images)) < 1e-6
print("held")
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_the_kernels_interpreted_on_a_cpu_are_torchvisions():
    folders = [str(HELPERS), str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", ON_A_CPU],
        env={**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": os.pathsep.join(folders)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "held", done.stderr[-2000:]
