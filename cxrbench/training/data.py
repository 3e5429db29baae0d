"""Images and labels as tensors on the device: what a stage trains and validates on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.errors import TrainingError


@dataclass(frozen=True)
class LabelledImages:
    """Images of one role in host memory.

    pixels: (n, size, size) uint8, bright where dense; may be a memory map.
    labels: (n, labels of the role) float32 of 1, 0 and NaN for not known.
    """

    pixels: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if len(self.pixels) != len(self.labels):
            raise TrainingError(f"{len(self.pixels)} images have {len(self.labels)} rows of labels")
        if len(self.pixels) == 0:
            raise TrainingError("no images: a role needs training and validation images")

    def __len__(self) -> int:
        return len(self.pixels)

    def prevalence(self) -> list[float]:
        """Return each label's share of 1 among the images where it is known; 0.5 where it never is."""
        known = ~np.isnan(self.labels)
        positive = np.nansum(self.labels, axis=0)
        counts = known.sum(axis=0)
        return [float(p / c) if c else 0.5 for p, c in zip(positive, counts, strict=True)]


@dataclass(frozen=True)
class DeviceImages:
    """Pooled images of several roles on the device.

    pixels: (n, 1, size, size) uint8. labels: (n, labels of all roles) float32, NaN where not known: an image
    of one role knows nothing of another role's labels, and the loss leaves those out.
    roles: in the order of their labels.
    """

    pixels: Tensor
    labels: Tensor
    roles: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.pixels)


def pool(images: Mapping[str, LabelledImages], roles: Sequence[str], device: torch.device) -> DeviceImages:
    """Return the images of ``roles`` one after another on ``device``, labels side by side.

    Raises
    ------
    TrainingError: the roles' images differ in size.
    """
    sizes = {images[role].pixels.shape[1:] for role in roles}
    if len(sizes) != 1:
        raise TrainingError(f"pooled roles have images of different sizes: {sorted(sizes)}")
    size = sizes.pop()
    total = sum(len(images[role]) for role in roles)
    pixels = torch.empty((total, 1, *size), dtype=torch.uint8, device=device)
    labels = torch.full((total, sum(images[r].labels.shape[1] for r in roles)), float("nan"), device=device)
    row = column = 0
    for role in roles:
        part = images[role]
        # torch cannot share a memory map, which is read-only.
        shared = part.pixels if part.pixels.flags.writeable else np.array(part.pixels)
        pixels[row : row + len(part), 0] = torch.from_numpy(shared).to(device)
        end = column + part.labels.shape[1]
        labels[row : row + len(part), column:end] = torch.from_numpy(np.array(part.labels)).to(device)
        row, column = row + len(part), end
    return DeviceImages(pixels, labels, tuple(roles))
