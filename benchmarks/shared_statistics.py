"""A DenseNet trunk that computes the statistics of a feature map once, and not once for every later layer.

A trial: ``gpu_check.py`` measures it, and studies do not use it. On a CPU it loses (0.91 of the speed). On a
GPU, compiled, it should save passes over memory; whether it does is not measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.densenet import _DenseBlock

Moments = tuple[Tensor, Tensor]


def with_shared_statistics(trunk: nn.Module) -> nn.Module:
    """Return ``trunk`` with its dense blocks exchanged; parameters, buffers and their names stay."""
    for name, module in list(trunk.named_children()):
        if isinstance(module, _DenseBlock):
            trunk.set_submodule(name, SharedBlock(module))
    return trunk


class SharedBlock(nn.Module):
    """A dense block in which each map's mean and variance are computed where the map is made."""

    def __init__(self, block: _DenseBlock) -> None:
        super().__init__()
        for name, layer in block.named_children():
            self.add_module(name, layer)
        self.train(block.training)

    def forward(self, first: Tensor) -> Tensor:
        """Return the maps of all layers, side by side."""
        maps, moments = [first], [_moments(first)] if self.training else []
        for layer in self.children():
            joined = torch.cat(maps, 1)
            normal = _normal(joined, moments, layer.norm1) if self.training else layer.norm1(joined)
            narrow = layer.conv1(F.relu(normal))
            maps.append(layer.conv2(F.relu(layer.norm2(narrow))))
            if self.training:
                moments.append(_moments(maps[-1]))
        return torch.cat(maps, 1)


def _moments(maps: Tensor) -> Moments:
    variance, mean = torch.var_mean(
        maps if maps.dtype == torch.float64 else maps.float(), (0, 2, 3), correction=0
    )
    return mean, variance


def _normal(joined: Tensor, moments: Sequence[Moments], norm: nn.BatchNorm2d) -> Tensor:
    """Return what ``norm`` gives in training, and move its running statistics as it does."""
    mean, variance = (torch.cat(parts) for parts in zip(*moments, strict=True))
    with torch.no_grad():
        count = joined.numel() // joined.shape[1]
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * (count / (count - 1)), norm.momentum)
        norm.num_batches_tracked.add_(1)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    return (joined * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1)).to(joined.dtype)
