"""Class activation maps (Zhou et al., "Learning deep features for discriminative localization", CVPR 2016).

A head is linear in the averages of the trunk's last maps. So a logit is the average over all places of what
the head makes of the maps there, plus its bias: that, place by place, is the class activation map. Nothing is
approximated. A map is as coarse as the last maps are: a DenseNet121 has one place for 32 pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cxrbench.errors import TrainingError
from cxrbench.training.network import Network
from cxrbench.training.predict import default_batch, to_float

Maps = npt.NDArray[np.float32]
"""(n, height, width): what each place adds to the logit. Its mean, plus the bias, is the logit."""


@torch.inference_mode()
def activation_maps(network: Network, role: str, pixels: npt.NDArray[np.uint8], label: int = 0) -> Maps:
    """Return the class activation maps of ``pixels`` (n, size, size) for one label of ``role``.

    The network is put into evaluation mode, stays there, and computes in float32 on the device that it is on.

    Raises
    ------
    TrainingError: the network's features are not the averages of its last maps, as those of a transformer.
    """
    network.eval()
    head = network.heads[role]
    assert isinstance(head, nn.Linear)
    device = head.weight.device
    images = torch.from_numpy(np.array(pixels)).unsqueeze(1)
    batch = default_batch(images)
    found = []
    for start in range(0, len(images), batch):
        maps = _last_maps(network, to_float(images[start : start + batch].to(device)))
        found.append(torch.einsum("nchw,c->nhw", maps, head.weight[label]).cpu())
    return torch.cat(found).numpy()


def bias(network: Network, role: str, label: int = 0) -> float:
    """Return what is added to the mean of a map to give the logit."""
    head = network.heads[role]
    assert isinstance(head, nn.Linear)
    return float(head.bias[label].detach())


def _last_maps(network: Network, images: Tensor) -> Tensor:
    """Return the (n, features, height, width) maps whose averages are the network's features."""
    seen: list[Tensor] = []

    def look(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4 and output.shape[1] == network.width:
            seen.append(output)

    hooks = [module.register_forward_hook(look) for module in network.trunk.modules()]
    try:
        features = network.features(images)
    finally:
        for hook in hooks:
            hook.remove()
    averaged = [
        maps.float() for maps in seen if torch.allclose(maps.float().mean((2, 3)), features, 1e-4, 1e-5)
    ]
    if not averaged:
        raise TrainingError(
            f"{network.architecture.title} does not average its last maps, so it has no class activation maps"
        )
    # What is pooled already is an average of itself.
    return max(averaged, key=lambda maps: maps.shape[2] * maps.shape[3])
