"""By what a stage takes its steps: the order of the images, their augmentation, the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cxrbench.training.augment import Augment, augment


def shuffled(count: int, batch: int, generator: torch.Generator) -> Tensor:  # noqa: ARG001
    """Return the order (count,) of an epoch's images, of which whole batches are used.

    A last, smaller batch would be normalised by other statistics; its images come again next epoch.
    """
    return torch.randperm(count, generator=generator)


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over images of each image's mean binary cross-entropy over its known labels.

    logits, labels: (n, labels); NaN marks a label that the image's source does not have. Every image weighs
    the same, whether its source knows one label or fourteen.
    """
    known = ~torch.isnan(labels)
    losses = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(labels), reduction="none")
    per_image = (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return per_image.sum() / known.any(dim=1).sum().clamp(min=1)


@dataclass(frozen=True)
class Steps:
    """The functions that make up a step: those of a study, or a planted fault in the place of one."""

    order: Callable[[int, int, torch.Generator], Tensor] = shuffled
    augment: Augment = augment
    loss: Callable[[Tensor, Tensor], Tensor] = masked_loss


HONEST = Steps()
"""What a study does."""
