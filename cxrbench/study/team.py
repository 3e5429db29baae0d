"""A study under torchrun: its processes train every stage together; the first does all the rest.

The first one reads the data, writes checkpoints and predicts. The others wait for the next stage. Each reads
the stage's images itself, so that all must see the study's folder under one path.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
import torch.distributed as dist

from cxrbench.study.executor import Place, Places, Work, local_places, torch_threads
from cxrbench.study.progress import Silent
from cxrbench.study.stages import Stage, only_one
from cxrbench.training.checkpoints import StageFolder, TrainedStage
from cxrbench.training.device import deterministic
from cxrbench.training.loop import Progress, train_stage
from cxrbench.training.team import this_team


def team_places(device: torch.device, progress: Progress) -> Places:
    """Return the one place of a team, for its first process."""
    alone = local_places([device], progress)
    # Each share of a batch is normalised by its own statistics, so that the bits depend on their number.
    description = {**alone.description, "processes of a stage": this_team().size}
    threads = description.get("threads")
    opened = partial(_opened, device, threads if isinstance(threads, int) else None, progress)
    return Places(description, alone.fast, 1, opened)


@contextmanager
def leading() -> Iterator[None]:
    """Let the others end with the block; where it ends in an error, torchrun ends them."""
    yield
    _told(None)


def follow(device: torch.device) -> None:
    """Train with the first process what it trains, until it has nothing more to train."""
    while (stage := _told(None)) is not None:
        with TemporaryDirectory(prefix="cxrbench-") as scratch, deterministic(device, stage.deterministic):
            # Every process has the state to go on from, and only the first one's files are kept.
            own = StageFolder(Path(scratch), stage.folder.key)
            for file in (stage.folder.last, stage.folder.best):
                if file.exists():
                    shutil.copy(file, scratch)
            dist.barrier()
            train_stage(stage.job(), stage.start, own, device, Silent())


@contextmanager
def _opened(device: torch.device, threads: int | None, progress: Progress) -> Iterator[Sequence[Place]]:
    with torch_threads(threads):
        yield [partial(_together, device, progress)]


def _together(device: torch.device, progress: Progress, work: Work) -> Future[Any]:
    done: Future[Any] = Future()
    stage = getattr(work, "__self__", None)
    done.set_result(_lead(stage, device, progress) if isinstance(stage, Stage) else work(device, progress))
    return done


def _lead(stage: Stage, device: torch.device, progress: Progress) -> TrainedStage:
    with (
        deterministic(device, stage.deterministic),
        only_one(stage.folder.path / ".lock", stage.name, progress),
    ):
        trained = stage.folder.finished()
        if trained is None:
            _told(stage)
            dist.barrier()
            trained = train_stage(stage.job(), stage.start, stage.folder, device, progress)
        return trained


def _told(stage: Stage | None) -> Stage | None:
    """Return what the first process tells all: the next stage, or that there is none."""
    box = [stage]
    dist.broadcast_object_list(box, src=0)
    return box[0]
