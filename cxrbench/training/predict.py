"""Logits of a trained network for images of one or more roles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import Tensor

from cxrbench.training.config import PrecisionChoice
from cxrbench.training.device import choose_precision, fast_kernels, memory_errors
from cxrbench.training.network import Network

GPU_BATCH = 256
# 64 images of 64 x 64 pixels. On a CPU a larger batch pushes its own activations out of the caches before the
# next layer reads them, so it takes longer an image.
CPU_BATCH_PIXELS = 64 * 64 * 64


def default_batch(pixels: Tensor) -> int:
    """Return how many images of ``pixels`` (n, 1, height, width) to predict at a time on their device."""
    if pixels.device.type != "cpu":
        return GPU_BATCH
    return max(1, CPU_BATCH_PIXELS // (pixels.shape[-2] * pixels.shape[-1]))


def autocast(device: torch.device, precision: PrecisionChoice) -> torch.autocast:
    """Return the mixed-precision context of ``precision``; for float32 it does nothing."""
    mixed = choose_precision(precision, device) == "bfloat16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed)


def to_float(pixels: Tensor) -> Tensor:
    """Return uint8 ``pixels`` as float32 in [0, 1]."""
    return pixels.to(torch.float32).div_(255)


@torch.inference_mode()
def predict_logits(
    network: Network,
    pixels: Tensor,
    roles: Sequence[str],
    precision: PrecisionChoice,
    batch: int | None = None,
) -> npt.NDArray[np.float32]:
    """Return (n, labels of ``roles``) float32 logits for uint8 ``pixels`` (n, 1, size, size).

    The network is put into evaluation mode and stays there. Convolutions run in ``precision``, the heads in
    float32: in half precision many scores would tie, and an AUC of ties is another number. ``batch`` is the
    number of images at a time, by default :func:`default_batch`'s.

    Raises
    ------
    TrainingError: the device's memory is too small, or the network does not take such images.
    """
    network.eval()
    batch = default_batch(pixels) if batch is None else batch
    out: list[Tensor] = []
    doing = f"predicting {batch} images of {pixels.shape[-1]} px at a time on {pixels.device}"
    with (
        memory_errors(doing, "free memory there, or set a smaller [study] image_size"),
        fast_kernels(pixels.device),
        autocast(pixels.device, precision),
    ):
        for start in range(0, len(pixels), batch):
            part = pixels[start : start + batch]
            if start and len(part) < batch and pixels.device.type != "cpu":
                # Filled up, since a GPU looks for its fastest kernels anew for another number of images.
                part = torch.cat([part, part[:1].expand(batch - len(part), *part.shape[1:])])
            out.append(network(to_float(part), roles))
        return torch.cat(out)[: len(pixels)].cpu().numpy()


def probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the logistic function of ``logits`` in float64, which keeps the ranks of float32 logits.

    No order is reversed, and logits that differ stay different, with two bounds that lie in float64
    itself: above 20, where neighbouring float32 logits begin to share a probability (next to 1 it has steps
    of 1e-16), and where two logits differ by less than 1e-15, next to 0.
    """
    scores: npt.NDArray[np.float64] = expit(logits.astype(np.float64))
    return scores
