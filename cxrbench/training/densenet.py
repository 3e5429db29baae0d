"""torchvision's DenseNet as a trunk: the same function and the same state dict, in fewer operations."""

from __future__ import annotations

from collections import OrderedDict
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn

from cxrbench.training.block import Operations, lean, through
from cxrbench.training.vision import DenseBlock, DenseNet

_POOL_FIRST = ("norm", "relu", "pool", "conv")


class Trunk(nn.Sequential):
    """The layers one after another; on a GPU, where bytes are time, dense blocks by Triton's kernels.

    That is where the blocks are trained, or no gradient is asked for, and where ``torch.compile`` does not
    compile the whole trunk.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, features, height, width) of ``images``, (n, 3, height, width)."""
        usual = not images.is_cuda or torch.compiler.is_compiling() or self._plain_gradient()
        if not usual and self.has_kernels():
            from cxrbench.training.kernels import KERNELS

            return self.computed(images, KERNELS)
        return cast(Tensor, super().forward(images))  # type: ignore[no-untyped-call]

    def computed(self, images: Tensor, by: Operations) -> Tensor:
        """Return the same, with what is done to the maps of a block done ``by`` these operations."""
        maps, layers = images, list[Any](self.children())
        for number, layer in enumerate(layers):
            if isinstance(layer, DenseBlock):
                # Behind the last block there is a norm and no transition.
                behind = layers[number + 1]
                norm = cast(nn.BatchNorm2d, behind.norm) if isinstance(behind, nn.Sequential) else None
                maps = through(layer, norm, maps, by)
            else:
                last = getattr(layer, "conv", layer)
                maps = last(maps)
        return maps

    def has_kernels(self) -> bool:
        """Return whether Triton is installed, and its kernels are made for these blocks."""
        blocks = [layer for layer in self.children() if isinstance(layer, DenseBlock)]
        return find_spec("triton") is not None and all(map(lean, blocks))

    def _plain_gradient(self) -> bool:
        """Return whether a gradient is asked for outside training, which the kernels do not compute."""
        return (
            not self.training and torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        )


def densenet_trunk(model: DenseNet) -> Trunk:
    """Return the layers of ``model`` up to its last maps, after their ReLU.

    A transition averages four pixels after its 1x1 convolution. That is linear and without bias, so that the
    average can as well be taken before it: the same numbers but for rounding, from a quarter of the products.
    """
    layers = OrderedDict(model.features.named_children())
    for name, layer in layers.items():
        if name.startswith("transition"):
            layers[name] = nn.Sequential(OrderedDict((n, getattr(layer, n)) for n in _POOL_FIRST))
    # What DenseNet.forward does between the last map and the average.
    layers["relu5"] = nn.ReLU()
    return Trunk(layers)
