"""Statistics of batch normalisation, measured over the training images when training is over.

In training a batch is normalised by its own mean and variance. A prediction is normalised by a moving
average, which with torch's momentum of 0.1 remembers some ten batches. In a stage of a few dozen steps these
are a lottery that every training seed draws anew. Wu and Johnson, *Rethinking "Batch" in BatchNorm* (2021,
https://arxiv.org/abs/2105.07576, section 3), measure the statistics instead ("PreciseBN").
"""

from __future__ import annotations

from typing import TypeGuard

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import DeviceImages
from cxrbench.training.network import Network
from cxrbench.training.predict import autocast, to_float


@torch.no_grad()
def measure_statistics(
    network: Network, train: DeviceImages, batch: int, precision: PrecisionChoice, randomness: torch.Generator
) -> None:
    """Set the running statistics of ``network`` to their mean over batches of the training images.

    The images go through once, without augmentation, as a prediction's do: ``batch`` at a time, in the order
    that ``randomness`` (of the CPU) draws. What is left over behind the last whole batch is left out, as in
    training. No parameter is changed, and a network without such statistics is left as it is. It is in
    training mode afterwards.
    """
    norms = [module for module in network.trunk.modules() if _remembers(module)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    order = torch.randperm(len(train), generator=randomness).to(train.pixels.device)
    network.train()
    try:
        with autocast(train.pixels.device, precision):
            for number, rows in enumerate(torch.split(order, batch)):
                if number and len(rows) < batch:
                    break
                for norm in norms:
                    # Moved so far, it is the mean of all so far; the first batch replaces what was there.
                    norm.momentum = 1 / (number + 1)
                network.features(to_float(train.pixels[rows]))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _remembers(module: nn.Module) -> TypeGuard[_BatchNorm]:
    return isinstance(module, _BatchNorm) and module.track_running_stats
