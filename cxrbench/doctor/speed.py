"""What a device does in a second: steps of the default network, and predictions, within a few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from cxrbench.study.predictions import predict_images
from cxrbench.study.speed import speed_images
from cxrbench.training.augment import draw
from cxrbench.training.config import Precision, StageConfig
from cxrbench.training.data import LabelledImages, pool
from cxrbench.training.device import choose_precision, fast_kernels
from cxrbench.training.graphed import recorder
from cxrbench.training.network import Network
from cxrbench.training.networks import DEFAULT
from cxrbench.training.seeds import generator
from cxrbench.training.stepper import Stepper

SECONDS = 5.0
"""How long all devices together are timed."""
_ROLE = "doctor"
_BATCHES = {"cpu": (2, 8, 16), "cuda": (8, 32, 128)}
"""Sizes of a batch, each tried where the one before says that there is time: a slow CPU gets no further."""
_TRAINING = 0.7
"""The share of the time that training gets."""
_MOST = 8
"""Steps after which more of them say nothing new."""


@dataclass(frozen=True)
class Speed:
    """Images per second of the default network at ``size`` px in ``precision``, on ``threads`` of a CPU.

    batch: how many images a training step had. seconds: how long the measurement took.
    """

    device: str
    network: str
    size: int
    precision: Precision
    threads: int
    batch: int
    training: float
    predicting: float
    seconds: float


def measure(device: torch.device, size: int, seconds: float = SECONDS) -> Speed:
    """Time training steps, as a stage takes them, and a study's predictions, for ``seconds`` in all.

    It takes longer only where two steps of the smallest batch do.
    """
    begun = time.perf_counter()
    batches = _BATCHES[device.type]
    precision = choose_precision("auto", device)
    made = speed_images(4 * batches[-1], size, _ROLE, torch.device("cpu"))
    images = LabelledImages(made.pixels[:, 0].numpy(), made.labels.numpy())
    network = Network(DEFAULT, {_ROLE: 1}, seed=0).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    batch, training = _training(network, images, precision, begun + _TRAINING * seconds)
    # A prediction takes less than a step. The first of two makes ready.
    left = begun + seconds - time.perf_counter()
    count = max(1, min(len(images), int(left / 2 * training)))
    some = LabelledImages(images.pixels[:count], images.labels[:count])
    predict_images(_ROLE, network, some, device, precision)
    _, took = predict_images(_ROLE, network, some, device, precision)
    return Speed(
        device=str(device),
        network=DEFAULT,
        size=size,
        precision=precision,
        threads=torch.get_num_threads(),
        batch=batch,
        training=training,
        predicting=count / took,
        seconds=time.perf_counter() - begun,
    )


def _training(
    network: Network, images: LabelledImages, precision: Precision, end: float
) -> tuple[int, float]:
    """Return the largest size of a batch that there was time for, and images per second with it."""
    device = network.mean.device
    batches = _BATCHES[device.type]
    rate, trained = 0.0, batches[0]
    for batch in batches:
        if rate and time.perf_counter() + 2 * batch / rate > end:
            break
        step = _stepping(network, images, batch, precision)
        step()
        took = [step()]
        while batch == batches[-1] and len(took) < _MOST and time.perf_counter() + took[-1] < end:
            took.append(step())
        rate, trained = batch / median(took), batch
    return trained, rate


def _stepping(
    network: Network, images: LabelledImages, batch: int, precision: Precision
) -> Callable[[], float]:
    """Return what takes one training step and returns its seconds."""
    config = StageConfig(batch_size=batch, precision=precision)
    device = network.mean.device
    network.train()
    stepper = Stepper(network, pool({_ROLE: images}, [_ROLE], device), config, by=recorder(device))
    order = torch.arange(batch)[None]
    draws = draw(batch, generator(_ROLE)).view(1, batch, -1)

    def step() -> float:
        with fast_kernels(device):
            started = time.perf_counter()
            stepper.begin(order, draws, [config.learning_rate])
            stepper.take()
            # Reading the loss waits for the device.
            float(stepper.loss)
            return time.perf_counter() - started

    return step
