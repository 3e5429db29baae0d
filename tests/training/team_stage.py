"""One process of a team, started by torchrun: ``team_stage.py STORE`` trains one stage with the others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cxrbench.study.prepare import PackedImages
from cxrbench.study.progress import Silent
from cxrbench.study.stages import Stage
from cxrbench.study.team import follow, leading, team_places
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import Augmentation, StageConfig
from cxrbench.training.initial import Initial
from cxrbench.training.selection import BestValidationAuc
from cxrbench.training.team import joined, this_team

SIZE, COUNT = 32, 30


def tiny() -> nn.Module:
    """Return a trunk whose bits in training depend on the batch, and one that has no statistics of it."""
    trunk = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.GroupNorm(2, 8), nn.ReLU())
    trunk.num_features = 8
    return trunk


def packed(store: Path, name: str) -> PackedImages:
    labels = (np.arange(COUNT) % 2).astype(np.float32)[:, None]
    labels[:3] = np.nan
    pixels = np.random.default_rng(0).integers(0, 200, (COUNT, SIZE, SIZE), dtype=np.uint8)
    pixels[labels[:, 0] == 1, 8:20, 8:20] += 55
    path = store / f"{name}.npy"
    if not path.exists():
        np.save(path, pixels)
    return PackedImages(path, np.arange(COUNT), labels)


def stage(store: Path) -> Stage:
    settings = StageConfig(epochs=2, batch_size=8, precision="float32", augmentation=Augmentation())
    images = {"covid": packed(store, "pixels")}
    return Stage(
        name="init > covid",
        folder=StageFolder.of(store, {"run": "one"}),
        network="team_stage:tiny",
        outputs={"covid": 1},
        initial=Initial("random"),
        parent=None,
        train=images,
        validation=images,
        config=settings,
        selection=BestValidationAuc("covid"),
        seed=0,
    )


def main(store: Path) -> None:
    torch.set_num_threads(1)
    with joined(gpu=False) as device:
        if this_team().rank:
            follow(device)
            return
        with leading(), team_places(device, Silent()).opened() as [place]:
            work = stage(store).work
            place(work).result()
            # What is finished is not trained again, and nobody waits for it.
            place(work).result()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
