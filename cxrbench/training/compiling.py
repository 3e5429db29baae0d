"""When compiling the trunk pays back."""

from __future__ import annotations

import torch
from torch import nn

from cxrbench.training.config import StageConfig
from cxrbench.training.densenet import Trunk

PAYS_BACK = 750_000 * 224 * 224
"""Pixels of training images from which "auto" compiles.

Compiling takes about two minutes and has to save them: with a third of 0.5 ms saved per image of 224 px, by
750,000 images. An estimate: the saving behind a recorded step is not measured.
"""


def pays_back(config: StageConfig, images: int, size: int, device: torch.device, trunk: nn.Module) -> bool:
    """Return whether a stage of ``images`` of ``size`` px is trained through ``torch.compile``.

    By the stage alone and not by the study around it, so that studies share their stages. Never on a CPU,
    where nine tenths of a step are spent in convolutions and compiling gains a hundredth; nor where ``trunk``
    has kernels of its own, in whose place compiled code would be.
    """
    if config.compile != "auto":
        return config.compile == "on"
    if device.type != "cuda" or (isinstance(trunk, Trunk) and trunk.has_kernels()):
        return False
    return config.epochs * images * size * size >= PAYS_BACK
