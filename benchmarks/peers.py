"""What speeds are held against: loops that one writes with torchvision's module, transforms and a loader."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import get_model
from torchvision.transforms import v2

from cxrbench.training.config import Augmentation
from cxrbench.training.device import synchronise

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pictures(Dataset):
    """Images in memory, each augmented on its own on the CPU, as most training scripts do it."""

    def __init__(self, pixels, labels):
        self._pixels, self._labels = pixels, labels
        ranges = Augmentation()
        shift = (ranges.translation, ranges.translation)
        self.transform = v2.Compose(
            [
                v2.RandomHorizontalFlip(ranges.flip),
                v2.RandomAffine(ranges.rotation, shift, (1 - ranges.scale, 1 + ranges.scale)),
                v2.ColorJitter(ranges.brightness, ranges.contrast),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __len__(self):
        return len(self._pixels)

    def __getitem__(self, index):
        return self.transform(self._pixels[index].expand(3, -1, -1)), self._labels[index]


def classifier(name, device):
    """Return torchvision's module with one output, in evaluation mode."""
    return get_model(name, weights=None, num_classes=1).to(device, memory_format=torch.channels_last).eval()


class PlainTraining:
    """A plain training loop with mixed precision; :meth:`step` takes its next step.

    workers: processes of the loader.
    """

    def __init__(self, model, pixels, labels, device, batch, precision, workers):
        self.model, self.device, self.precision = model.train(), device, precision
        self.optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
        self.loss_of = nn.BCEWithLogitsLoss()
        self.loader = DataLoader(
            Pictures(pixels.cpu(), labels.cpu()),
            batch,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            pin_memory=device.type == "cuda",
            persistent_workers=workers > 0,
        )
        self._batches = iter(())

    def step(self):
        """Take one step, and return its loss, on the device."""
        try:
            images, labels = next(self._batches)
        except StopIteration:
            self._batches = iter(self.loader)
            images, labels = next(self._batches)
        images = images.to(self.device, non_blocking=True, memory_format=torch.channels_last)
        mixed = self.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            loss = self.loss_of(self.model(images), labels.to(self.device, non_blocking=True))
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss.detach()


def plain_logits(model, pixels, device, batch, precision):
    """Return (n,) float32 logits of uint8 ``pixels`` (n, 1, size, size) in host memory."""
    normalise = v2.Normalize(MEAN, STD)
    out = []
    with torch.inference_mode():
        for start in range(0, len(pixels), batch):
            images = pixels[start : start + batch].to(device).float().div(255).expand(-1, 3, -1, -1)
            images = normalise(images).contiguous(memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                out.append(model(images).float().cpu())
    return torch.cat(out)[:, 0].numpy()


def in_turns(ours, peer, device, rounds):
    """Return the seconds of each call of both, taken in turns, after one that is not counted."""
    taken = ([], [])
    for turn in range(rounds + 1):
        for kept, call in zip(taken, (ours, peer), strict=True):
            synchronise(device)
            started = time.perf_counter()
            call()
            synchronise(device)
            if turn:
                kept.append(time.perf_counter() - started)
    return np.array(taken[0]), np.array(taken[1])
