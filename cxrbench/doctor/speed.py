"""What a device does in a second: a short stage of the default network, trained and predicted with."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cxrbench.study.predictions import predict_images
from cxrbench.study.progress import Silent
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import Precision, StageConfig
from cxrbench.training.data import LabelledImages
from cxrbench.training.device import choose_precision
from cxrbench.training.loop import Job, load_network, train_stage
from cxrbench.training.network import Network
from cxrbench.training.networks import DEFAULT
from cxrbench.training.selection import BestValidationAuc

_ROLE = "doctor"
_BATCH = {"cpu": 16, "cuda": 128}
_BATCHES = 3


@dataclass(frozen=True)
class Speed:
    """Images per second of the default network at ``size`` px in ``precision``, on ``threads`` of a CPU."""

    device: str
    network: str
    size: int
    precision: Precision
    threads: int
    training: float
    predicting: float


def measure(device: torch.device, size: int) -> Speed:
    """Train two epochs of a few batches, of which the second counts, and predict the same images twice."""
    batch = _BATCH[device.type]
    precision = choose_precision("auto", device)
    images = _images(batch * _BATCHES, size)
    job = Job(
        name=_ROLE,
        train={_ROLE: images},
        validation={_ROLE: _images(batch, size)},
        config=StageConfig(epochs=2, batch_size=batch, precision=precision),
        selection=BestValidationAuc(_ROLE),
        seed=0,
    )
    heads = {_ROLE: 1}
    with tempfile.TemporaryDirectory(prefix="cxrbench-") as store:
        folder = StageFolder.of(Path(store), {"for": "speed"})
        trained = train_stage(job, lambda: Network(DEFAULT, heads, seed=0), folder, device, Silent())
        network = load_network(folder, DEFAULT, heads, device)
    last = trained.history[-1]
    predict_images(_ROLE, network, images, device, precision)
    _, seconds = predict_images(_ROLE, network, images, device, precision)
    return Speed(
        device=str(device),
        network=DEFAULT,
        size=size,
        precision=precision,
        threads=torch.get_num_threads(),
        training=last.images / last.train_seconds,
        predicting=len(images) / seconds,
    )


def _images(count: int, size: int) -> LabelledImages:
    """Return random images, every second of them brighter and positive."""
    labels = np.arange(count, dtype=np.float32)[:, None] % 2
    noise = np.random.default_rng(size).integers(0, 192, (count, size, size), dtype=np.uint8)
    return LabelledImages(noise + (63 * labels[:, :, None]).astype(np.uint8), labels)
