"""torchvision's DenseNet as a trunk: the same function and the same state dict, in fewer operations."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn
from torchvision.models import DenseNet

_POOL_FIRST = ("norm", "relu", "pool", "conv")


def densenet_trunk(model: DenseNet) -> nn.Sequential:
    """Return the layers of ``model`` up to its last maps, after their ReLU.

    A transition averages four pixels after its 1x1 convolution. That is linear and without bias, so that the
    average can as well be taken before it: the same numbers but for rounding, from a quarter of the products.
    """
    trunk: nn.Sequential = model.features
    for name, layer in list(trunk.named_children()):
        if name.startswith("transition"):
            trunk.set_submodule(name, nn.Sequential(OrderedDict((n, getattr(layer, n)) for n in _POOL_FIRST)))
    # What DenseNet.forward does between the last map and the average.
    trunk.add_module("relu5", nn.ReLU())
    return trunk
