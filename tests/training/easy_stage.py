"""A study of seconds: 32 px images whose class anyone can see. Run as a program, it is killed half-way.

    python easy_stage.py STORE

trains the same stage as the tests do, and kills itself with SIGKILL in the middle of the second epoch.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cxrbench.training.checkpoints import StageFolder, StageRecord, TrainedStage
from cxrbench.training.config import Augmentation, Precision, StageConfig
from cxrbench.training.data import LabelledImages
from cxrbench.training.loop import Job, train_stage
from cxrbench.training.network import Network
from cxrbench.training.selection import BestValidationAuc

CPU = torch.device("cpu")
GENTLE = Augmentation(rotation=5, translation=0.05, scale=0.05, flip=0.5, brightness=0.05, contrast=0.1)


TINY = "easy_stage:tiny"
SMALL = "shufflenet_v2_x0_5"
"""Of torchvision's networks the one that trains fastest."""


def tiny() -> nn.Module:
    """Return a trunk that trains in milliseconds: a convolution, a normalisation, and a pooling."""
    trunk = nn.Sequential(
        OrderedDict(
            conv0=nn.Conv2d(3, 8, 5, stride=4, bias=False),
            norm5=nn.BatchNorm2d(8),
            relu=nn.ReLU(inplace=True),
        )
    )
    trunk.num_features = 8
    return trunk


def dropping() -> nn.Module:
    """Return the same trunk with dropout behind it."""
    trunk = tiny()
    trunk.add_module("dropout", nn.Dropout(0.5))
    return trunk


def images(count: int, seed: int, labels: int = 1) -> LabelledImages:
    """Return noise in which label 0 is a bright square in the middle, label 1 one at the top."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (count, 32, 32), dtype=np.uint8)
    truth = np.stack([np.arange(count) // 2**label % 2 for label in range(labels)], axis=1)
    for label, rows in enumerate((slice(10, 22), slice(0, 8))[:labels]):
        pixels[truth[:, label] == 1, rows, 10:22] += 120
    return LabelledImages(pixels, truth.astype(np.float32))


def config(epochs: int = 2, precision: Precision = "float32") -> StageConfig:
    return StageConfig(
        epochs=epochs, batch_size=8, learning_rate=1e-3, precision=precision, augmentation=GENTLE
    )


def job(
    settings: StageConfig,
    name: str = "init > covid",
    roles: Mapping[str, int] | None = None,
    seed: int = 0,
    selection: BestValidationAuc | None = None,
    count: int = 32,
) -> Job:
    """Return a job that trains ``roles`` (role -> labels) on ``count`` images each."""
    named = {"covid": 1} if roles is None else roles
    return Job(
        name=name,
        train={role: images(count, len(role), labels) for role, labels in named.items()},
        validation={role: images(16, 100 + len(role), labels) for role, labels in named.items()},
        config=settings,
        selection=BestValidationAuc("covid") if selection is None else selection,
        seed=seed,
    )


class KeepingFolder(StageFolder):
    """A stage folder that keeps what was kept for going on, so that a test can look at all of it."""

    def finish(self, kept: StageRecord) -> TrainedStage:
        # Where the last epoch is kept, nothing goes on after it.
        if self.last.exists():
            shutil.copy(self.last, self.path / "kept.safetensors")
        return super().finish(kept)


def folder(store: Path) -> KeepingFolder:
    return KeepingFolder.of(store, {"run": "one"})


@dataclass
class Recorded:
    """A progress that writes down what it receives."""

    events: list[tuple[object, ...]] = field(default_factory=list)

    def start(self, title: str, images: int) -> None:
        self.events.append(("start", title, images))

    def step(self, images: int, loss: float) -> None:
        self.events.append(("step", images, loss))

    def stop(self) -> None:
        self.events.append(("stop",))


@dataclass
class Interrupted(Recorded):
    """A progress that interrupts the training in the middle of an epoch, numbered from 1."""

    epoch: int = 2

    def step(self, images: int, loss: float) -> None:
        super().step(images, loss)
        if sum(event[0] == "start" for event in self.events) == self.epoch:
            self.interrupt()

    def interrupt(self) -> None:
        raise KeyboardInterrupt


class Killed(Interrupted):
    """The same by SIGKILL: no handler runs, nothing is tidied up."""

    def interrupt(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def train(
    store: Path,
    this: Job,
    progress: Recorded | None = None,
    start: Callable[[], Network] | None = None,
    network: str = TINY,
) -> TrainedStage:
    """Train ``this`` in ``store`` on one thread, by default from random parameters of ``network``."""

    def random() -> Network:
        outputs = {role: images.labels.shape[1] for role, images in this.train.items()}
        return Network(network, outputs, seed=0)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return train_stage(this, start or random, folder(store), CPU, progress or Recorded())
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    train(Path(sys.argv[1]), job(config()), Killed(), network=SMALL)
