"""Several processes that train one stage together: each takes its share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

_PATIENCE = timedelta(days=30)
"""How long the others wait for the first process, which reads the data and predicts alone."""


@dataclass(frozen=True)
class Team:
    """The processes that train a stage together, and which of them this is, counted from 0."""

    rank: int = 0
    size: int = 1


ALONE = Team()


def this_team() -> Team:
    """Return this process' team, inside :func:`joined`; else it is alone."""
    if dist.is_available() and dist.is_initialized():
        return Team(dist.get_rank(), dist.get_world_size())
    return ALONE


def torchrun_size() -> int:
    """Return how many processes torchrun has started; 1 where it has not started this one."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "TORCHELASTIC_RUN_ID" in os.environ else 1


@contextmanager
def joined(gpu: bool) -> Iterator[torch.device]:
    """Join the team that torchrun has started, for a while; yield this process' device."""
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo", timeout=_PATIENCE)
    try:
        yield device
    finally:
        dist.destroy_process_group()
