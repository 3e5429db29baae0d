"""A trained network as one module that anyone can run, and its parameters under their publisher's names."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cxrbench.training.network import Network
from cxrbench.training.networks import last_linear
from cxrbench.training.predict import to_float
from cxrbench.training.vision import torchvision

OUTPUTS = ("logit", "score", "calibrated")


class Scorer(nn.Module):
    """A network with its preprocessing: grey squares in, logit and scores out.

    Parameters
    ----------
    network: the trained network, on the CPU.
    role: whose one label is scored.
    temperature: that of the calibrated score.
    levels: what each grey value becomes first, uint8 (256,); None where it stays.
    """

    def __init__(self, network: Network, role: str, temperature: float, levels: Tensor | None = None) -> None:
        super().__init__()
        self.network, self.role, self.temperature = network, role, temperature
        self.levels: Tensor | None
        self.register_buffer("levels", levels)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return logit, score and calibrated score, (n,) float32, of uint8 ``images`` (n, 1, size, size)."""
        if self.levels is not None:
            images = self.levels[images.long()]
        logit = self.network.heads[self.role](self.network.features(to_float(images)))[:, 0]
        return logit, torch.sigmoid(logit), torch.sigmoid(logit / self.temperature)


def published_state(network: Network, role: str) -> dict[str, Tensor]:
    """Return the parameters under the names of the network's publisher, with ``role``'s head as classifier.

    torchvision's own model, made with ``num_classes=1``, takes them as they are, and so does timm's. A
    network of a user's own keeps its names, after ``trunk.`` and ``head.``.
    """
    trunk = network.trunk.state_dict()
    head = network.heads[role].state_dict()
    name = network.architecture.name
    if name.startswith("timm:"):
        before, last = "", timm_classifier(network.trunk)
    elif ":" in name:
        before, last = "trunk.", "head"
    elif name.startswith("densenet"):
        before, last = "features.", "classifier"
    else:
        before, last = "", last_linear(torchvision.models.get_model(name, weights=None), name)[0]
    named = {f"{before}{key}": tensor for key, tensor in trunk.items()}
    return {**named, **{f"{last}.{key}": tensor for key, tensor in head.items()}}


def timm_classifier(trunk: nn.Module) -> str:
    """Return the name of the classifier in timm's model whose trunk this is."""
    config = trunk.default_cfg
    assert isinstance(config, Mapping)
    return str(config["classifier"])


def published_model(name: str) -> nn.Module | None:
    """Return the publisher's model that takes :func:`published_state`; None for a network of a user's own."""
    if name.startswith("timm:"):
        import timm

        model: nn.Module = timm.create_model(name.removeprefix("timm:"), pretrained=False, num_classes=1)
        return model
    if ":" in name:
        return None
    made: nn.Module = torchvision.models.get_model(name, weights=None, num_classes=1)
    return made
