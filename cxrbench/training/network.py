"""A network: a trunk, and for every role a linear head with one output per label.

A grey image is repeated on three channels and normalised by the mean and standard deviation that the trunk's
published parameters were trained with, as CheXNet (Rajpurkar et al. 2017) and its successors do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor, nn

from cxrbench.errors import TrainingError
from cxrbench.text import complaint
from cxrbench.training.networks import Architecture, architecture
from cxrbench.training.seeds import derive_seed


class Network(nn.Module):
    """The trunk of a named network, and for every role a linear layer with one output per label.

    Parameters
    ----------
    kind: the network's name, or its record.
    heads: role -> number of labels, in the order of the logits.
    seed: for the random parameters; the global random state is left as it was.

    Raises
    ------
    TrainingError: there is no such network, or a role has a name that PyTorch keeps for itself, such as
        ``"train"``.
    """

    def __init__(self, kind: str | Architecture, heads: Mapping[str, int], seed: int) -> None:
        super().__init__()
        self.architecture = architecture(kind) if isinstance(kind, str) else kind
        with torch.random.fork_rng(devices=[]):
            # Not torch.manual_seed, which would seed the GPUs' generators too, and those are not put back.
            torch.default_generator.manual_seed(derive_seed(seed, "trunk"))
            self.trunk, self.width = self.architecture.make()
            self.heads = nn.ModuleDict()
            for role, count in heads.items():
                try:
                    self.heads[role] = nn.Linear(self.width, count)
                except KeyError:
                    raise TrainingError(
                        f"PyTorch keeps the name {role!r} for itself; rename the role"
                    ) from None
        self.mean: Tensor
        self.std: Tensor
        for name, values in (("mean", self.architecture.mean), ("std", self.architecture.std)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

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

    def forward(self, images: Tensor, roles: Sequence[str]) -> Tensor:
        """Return (n, labels of ``roles``) float32 logits of ``images``, (n, 1, height, width) in [0, 1].

        The trunk computes in the precision of the autocast that is open around the call. Its features are
        averaged, and the heads computed, in float32: half precision would tie scores.

        Raises
        ------
        TrainingError: the images are smaller than the network takes, or the trunk breaks its contract.
        """
        return self.logits(self.features(images), roles)

    def features(self, images: Tensor) -> Tensor:
        """Return (n, features) float32 of ``images``; see :meth:`forward`."""
        kind = self.architecture
        if min(images.shape[2:]) < kind.smallest:
            raise TrainingError(
                f"{kind.title} needs images of {kind.smallest} px or more, not {min(images.shape[2:])}"
            )
        coloured = (images - self.mean) / self.std
        maps: Tensor = self.trunk(coloured.contiguous(memory_format=torch.channels_last))
        if not isinstance(maps, Tensor) or maps.ndim not in (2, 4) or maps.shape[1] != self.width:
            given = tuple(maps.shape) if isinstance(maps, Tensor) else type(maps).__name__
            raise TrainingError(
                f"the trunk of {kind.title} must return (n, {self.width}) or maps (n, {self.width}, height, "
                f"width), not {given}"
            )
        return maps.float() if maps.ndim == 2 else maps.float().mean(dim=(2, 3))

    def logits(self, features: Tensor, roles: Sequence[str]) -> Tensor:
        """Return (n, labels of ``roles``) float32 logits of (n, features) float32; see :meth:`forward`."""
        with torch.autocast(features.device.type, enabled=False):
            return torch.cat([self.heads[role](features) for role in roles], dim=1)


@cache
def check_network(name: str, size: int) -> None:
    """Make the network called ``name`` and try it on images of ``size`` px, once in a process.

    Raises
    ------
    TrainingError: it cannot be made, or does not take such images.
    """
    network = Network(name, {"tried": 1}, seed=0).train()
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            network(torch.zeros(2, 1, size, size), ["tried"])
    except TrainingError:
        raise
    except Exception as error:
        raise TrainingError(
            f"network {name!r} does not take images of {size} px ({complaint(error)}); change [study] "
            "image_size or network"
        ) from None
