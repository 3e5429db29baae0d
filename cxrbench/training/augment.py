"""Augmentation of a whole batch on the device: one affine resampling, then exposure."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from cxrbench.training.config import Augmentation

DRAWS = 7
"""Random numbers per image."""

Augment = Callable[[Tensor, Augmentation, Tensor], Tensor]
"""What moves and re-exposes a batch of training images: :func:`augment`, or another in its place."""


def draw(count: int, generator: torch.Generator) -> Tensor:
    """Return the random numbers for ``count`` images, (count, DRAWS) in [0, 1).

    From a CPU's generator they are the same for every device, and those of an epoch are those of its batches
    one after another.
    """
    return torch.rand(count, DRAWS, generator=generator)


def augment(images: Tensor, settings: Augmentation, draws: Tensor) -> Tensor:
    """Return moved and re-exposed copies of ``images``.

    Parameters
    ----------
    images: (n, 1, height, width) float32 in [0, 1].
    settings: the ranges.
    draws: (n, DRAWS), of :func:`draw`, on the device of the images.

    Returns
    -------
    (n, 1, height, width) float32 in [0, 1].
    """
    symmetric = draws * 2 - 1
    contrast = (1 + symmetric[:, 5] * settings.contrast).view(-1, 1, 1, 1)
    brightness = (symmetric[:, 6] * settings.brightness).view(-1, 1, 1, 1)
    # Resampling blurs a little even where nothing moves, so it is left out where nothing can.
    moves = settings.rotation or settings.translation or settings.scale or settings.flip
    moved = _move(images, settings, draws[:, 2], symmetric) if moves else images
    return ((moved - 0.5) * contrast + 0.5 + brightness).clamp(0, 1)


def _move(images: Tensor, settings: Augmentation, mirrored: Tensor, symmetric: Tensor) -> Tensor:
    angle = symmetric[:, 0] * (settings.rotation * math.pi / 180)
    scale = 1 + symmetric[:, 1] * settings.scale
    mirror = torch.where(mirrored < settings.flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) / scale, torch.sin(angle) / scale
    # grid_sample's coordinates run over [-1, 1], so a shift by a fraction of the side is twice as long there.
    shift_x = symmetric[:, 3] * settings.translation * 2
    shift_y = symmetric[:, 4] * settings.translation * 2
    rows = torch.stack([cos * mirror, -sin, shift_x, sin * mirror, cos, shift_y], dim=1)
    theta = rows.view(len(images), 2, 3)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
