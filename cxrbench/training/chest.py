"""Parameters that were trained on chest radiographs elsewhere, as a trunk of ours takes them.

torchxrayvision's networks (Cohen et al., "TorchXRayVision: a library of chest X-ray datasets and models",
MIDL 2022) are torchvision's with one input channel, and take a grey value g in [0, 1] as 1024 (2 g - 1). Ours
take three channels (g - m_c) / s_c. With the first filters W copied to the channels as a_c W, both give the
same maps for every image where

    sum_c a_c / s_c = 2048    and    sum_c a_c m_c / s_c = 1024,

at the borders as well, because both pad with 0. Of the solutions the smallest is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cxrbench.errors import TrainingError

if TYPE_CHECKING:
    from cxrbench.training.network import Network

_SCALE, _OFFSET = 2048.0, 1024.0
# Of DataParallel, and of torchxrayvision's ResNet.
_PREFIXES = ("module.", "model.")
_THRESHOLDS = "op_threshs"


def as_published(state: Mapping[str, Tensor], network: Network, source: str) -> dict[str, Tensor]:
    """Return a state dict under torchvision's names and for three input channels.

    A first layer of one input channel is torchxrayvision's; what is as torchvision publishes it stays so.

    Raises
    ------
    TrainingError: the first layer cannot be turned into one of the network's inputs.
    """
    named = {name: tensor for name, tensor in state.items() if not name.endswith(_THRESHOLDS)}
    for prefix in _PREFIXES:
        if named and all(name.startswith(prefix) for name in named):
            named = {name.removeprefix(prefix): tensor for name, tensor in named.items()}
    first, wanted = next(
        ((name, tensor) for name, tensor in network.trunk.state_dict().items() if tensor.ndim == 4),
        ("", torch.empty(0)),
    )
    for name, tensor in named.items():
        if network.architecture.renamed(name) == first and _is_grey(tensor, wanted):
            shares = channel_shares(network.mean.flatten(), network.std.flatten(), source)
            # In float64, so that the channels cancel as the algebra says.
            named[name] = (shares.view(1, 3, 1, 1) * tensor.double()).to(wanted.dtype)
    return named


def _is_grey(given: Tensor, wanted: Tensor) -> bool:
    return given.ndim == 4 and (given.shape[1], wanted.shape[1]) == (1, 3)


def channel_shares(mean: Tensor, std: Tensor, source: str) -> Tensor:
    """Return a_c, (3,) float64, for channels normalised by ``mean`` and ``std`` (3,).

    Raises
    ------
    TrainingError: the three channels have one mean, so that there is no such a_c.
    """
    mean, std = mean.double(), std.double()
    conditions = torch.stack((1 / std, mean / std))
    aims = torch.tensor((_SCALE, _OFFSET), dtype=torch.float64)
    shares: Tensor = torch.linalg.pinv(conditions) @ aims
    if not torch.allclose(conditions @ shares, aims, rtol=1e-9):
        raise TrainingError(
            f"{source} has one input channel, as torchxrayvision's networks have, and cannot be turned into "
            "one of three channels that are all normalised by one mean"
        )
    return shares
