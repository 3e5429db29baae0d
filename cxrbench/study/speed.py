"""Images to measure speed on: what they show does not matter, that they are not all zero does."""

from __future__ import annotations

import torch

from cxrbench.training.data import DeviceImages
from cxrbench.training.seeds import generator


def speed_images(count: int, size: int, role: str, device: torch.device) -> DeviceImages:
    """Return ``count`` random images with one label, alternately 1 and 0; brighter where it is 1.

    Hardware can be faster on zeros than on real data, and a timed step should have something to learn.
    """
    randomness = generator("speed", role, size)
    labels = (torch.arange(count) % 2).float()
    pixels = torch.rand((count, 1, size, size), generator=randomness) * 0.75 + 0.25 * labels.view(-1, 1, 1, 1)
    return DeviceImages((pixels * 255).to(torch.uint8).to(device), labels[:, None].to(device), (role,))
