"""DenseNet121 with one linear head a role.

The trunk is torchvision's. A grey image is repeated on three channels and normalised by ImageNet's mean and
standard deviation, as CheXNet (Rajpurkar et al. 2017) and its successors do, so that ImageNet parameters fit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from cxrbench.errors import TrainingError
from cxrbench.training.seeds import derive_seed

FEATURES = 1024
SMALLEST = 32
"""The smallest side of an image, px: five halvings leave one pixel."""

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class Network(nn.Module):
    """DenseNet121's convolutions, and for every role a linear layer with one output a label.

    Parameters
    ----------
    heads: role -> number of labels, in the order of the logits.
    seed: for the random parameters; the global random state is left as it was.

    Raises
    ------
    TrainingError: a role has a name that PyTorch keeps for itself, such as ``"train"``.
    """

    def __init__(self, heads: Mapping[str, int], seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the GPUs' generators too, and those are not put back.
            torch.default_generator.manual_seed(derive_seed(seed, "trunk"))
            self.trunk: nn.Module = torchvision.models.densenet121(weights=None).features
            self.heads = nn.ModuleDict()
            for role, count in heads.items():
                try:
                    self.heads[role] = nn.Linear(FEATURES, count)
                except KeyError:
                    raise TrainingError(
                        f"PyTorch keeps the name {role!r} for itself; rename the role"
                    ) from None
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def reset_head(self, role: str, prevalence: Sequence[float], seed: int) -> None:
        """Give the head of ``role`` new parameters: small random weights, biases at the log-odds.

        With the bias at the log-odds of each label's share in the training images, the first steps are not
        spent on learning how common the label is.
        """
        head = self.heads[role]
        assert isinstance(head, nn.Linear)
        generator = torch.Generator().manual_seed(derive_seed(seed, "head", role))
        share = torch.tensor(prevalence, dtype=torch.float32).clamp(1e-3, 1 - 1e-3)
        with torch.no_grad():
            head.weight.copy_(torch.randn(head.weight.shape, generator=generator) * 0.01)
            head.bias.copy_(torch.logit(share))

    def features(self, images: Tensor) -> Tensor:
        """Return (n, 1024) float32 features of ``images``, (n, 1, height, width) float in [0, 1].

        Raises
        ------
        TrainingError: the images are smaller than the network's five halvings need.
        """
        if min(images.shape[2:]) < SMALLEST:
            raise TrainingError(
                f"DenseNet121 needs images of {SMALLEST} px or more, not {min(images.shape[2:])}"
            )
        coloured = (images - self.mean) / self.std
        maps: Tensor = self.trunk(coloured.contiguous(memory_format=torch.channels_last))
        return F.relu(maps).float().mean(dim=(2, 3))

    def logits(self, features: Tensor, roles: Sequence[str]) -> Tensor:
        """Return (n, labels of ``roles``) float32 logits; never in half precision, which would tie scores."""
        with torch.autocast(features.device.type, enabled=False):
            return torch.cat([self.heads[role](features) for role in roles], dim=1)
