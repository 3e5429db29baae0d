"""The steps of a stage: the same work on the same tensors each time, so that one is recorded and replayed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from cxrbench.training.augment import DRAWS
from cxrbench.training.compiling import pays_back
from cxrbench.training.config import StageConfig
from cxrbench.training.data import DeviceImages
from cxrbench.training.device import synchronise
from cxrbench.training.graphed import WARM_UP, Recorder, Replay
from cxrbench.training.network import Network
from cxrbench.training.predict import autocast, to_float
from cxrbench.training.steps import HONEST, Steps
from cxrbench.training.team import ALONE, Team

_TRYING = WARM_UP + 2
"""The steps in which it shows whether the memory is large enough: the recorded one takes more of it."""


class Stepper:
    """Takes the training steps of a stage, in the order, with the draws and at the rates of each epoch.

    These are taken to the device once an epoch; a counter there says which step is next.

    Parameters
    ----------
    network: on the device; the loop puts it into training mode, before :meth:`begin`.
    train: the images; the heads of their roles are trained.
    steps: by what functions.
    by: how steps are recorded (:mod:`~cxrbench.training.graphed`); with None they are not.
    team: the processes that take the steps together, each on its share of every batch.

    Attributes
    ----------
    optimiser: :func:`make_optimiser`'s.
    parts: in how many parts a batch goes through the network, at first 1. The gradients are added up, so the
        step is that of the whole batch, but each part is normalised by its own statistics.
    loss, total: of the last step, and the sum over the epoch's steps so far; on the device.
    compile_seconds: what the first steps of a kind took, where they are compiled.
    """

    def __init__(
        self,
        network: Network,
        train: DeviceImages,
        config: StageConfig,
        steps: Steps = HONEST,
        *,
        by: Recorder | None = None,
        team: Team = ALONE,
    ) -> None:
        self.network, self.train, self.config, self.steps = network, train, config, steps
        self.optimiser = make_optimiser(network, train.roles, config)
        self.parts, self.compile_seconds, self.team = 1, 0.0, team
        self.device = train.pixels.device
        self.loss, self.total = torch.zeros((), device=self.device), torch.zeros((), device=self.device)
        # A team's processes would each compile for themselves.
        size = train.pixels.shape[-1]
        self._compiled = team == ALONE and pays_back(config, len(train), size, self.device, network.trunk)
        self._features: Callable[[Tensor], Tensor] = (
            torch.compile(network.features, dynamic=False) if self._compiled else network.features
        )
        self._shared: DistributedDataParallel | None = None
        self._next = torch.zeros(1, dtype=torch.int64, device=self.device)
        self._plan: tuple[Tensor, ...] = ()
        self._kind: object = None
        self._taken = 0
        # What a team's processes send one another is not recorded.
        self._replay = Replay(by if team.size == 1 else None)

    @property
    def refused(self) -> str:
        """Why steps could not be recorded; empty where they could, or were not meant to be."""
        return self._replay.refused

    def begin(self, order: Tensor, draws: Tensor, rates: Sequence[float]) -> None:
        """Take an epoch's plan to the device, so that its first step is the next.

        order: (steps, batch) rows of the images. draws: (steps, batch, DRAWS), for the augmentation.
        rates: (steps,) learning rates.
        """
        assert draws.shape == (*order.shape, DRAWS)
        plan = order, draws, torch.tensor(rates, dtype=_exact(self.device))
        kind = [part.shape for part in plan], self.network.trunk.training
        if kind != self._kind:
            self._plan = tuple(torch.empty_like(part, device=self.device) for part in plan)
            self._kind = kind
            self._forget()
            if self.team.size > 1:
                # It looks once at which parameters are trained.
                self._shared = DistributedDataParallel(self.network)
        for kept, part in zip(self._plan, plan, strict=True):
            kept.copy_(part)
        self._next.zero_()
        self.total.zero_()

    def take(self) -> None:
        """Take the next step.

        Where the device's memory is too small for the first steps, they are taken in twice as many parts.

        Raises
        ------
        torch.OutOfMemoryError: two images are too many, or memory has become short later on.
        """
        if self._taken >= _TRYING:
            self._replay(self._step)
        else:
            self._try()
        self._taken += 1

    def _forget(self) -> None:
        self._replay.forget()
        self._taken = 0

    def _try(self) -> None:
        untouched = [buffer.clone() for buffer in self.network.buffers()]
        new = not self.optimiser.state
        started = time.perf_counter()
        while not self._fits():
            self.parts *= 2
            with torch.no_grad():
                for buffer, value in zip(self.network.buffers(), untouched, strict=True):
                    buffer.copy_(value)
            self.optimiser.zero_grad(set_to_none=True)
            if new:
                self.optimiser.state.clear()
            self._forget()
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
        if self._compiled and self._taken == 0:
            synchronise(self.device)
            self.compile_seconds += time.perf_counter() - started

    def _fits(self) -> bool:
        try:
            self._replay(self._step)
        except torch.OutOfMemoryError:
            # Each part needs two images for its statistics; and no team is left waiting for one of its own.
            if self.team.size > 1 or self._plan[0].shape[1] < 4 * self.parts:
                raise
            # What the error's frames hold is let go of with the error.
            return False
        return True

    def _step(self) -> None:
        rows, draws, rate = (part.index_select(0, self._next)[0] for part in self._plan)
        for group in self.optimiser.param_groups:
            group["lr"].copy_(rate)
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._backward(rows, draws)
        self.optimiser.step()
        self.loss.copy_(loss)
        self.total.add_(loss)
        self._next.add_(1)

    def _backward(self, rows: Tensor, draws: Tensor) -> Tensor:
        """Leave the gradients on the parameters, and return the loss."""
        labels = self.train.labels[rows]
        pieces = self.parts * self.team.size
        if pieces == 1:
            loss = self._loss(rows, draws, labels)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        # The loss is a mean over the images of which anything is known.
        known = (~torch.isnan(labels)).any(dim=1).to(torch.float32)
        split = (whole.tensor_split(pieces) for whole in (rows, draws, labels, known))
        first = self.team.rank * self.parts
        mine = list(zip(*split, strict=True))[first : first + self.parts]
        total = torch.zeros_like(self.loss)
        for number, (*piece, counted) in enumerate(mine, 1):
            share = counted.sum() / known.sum().clamp(min=1)
            with self._sent(number == self.parts):
                loss = self._loss(*piece) * share
                # A team's gradients are averaged, and are to be added up.
                (loss * self.team.size).backward()
            total += loss.detach()
        if self.team.size > 1:
            dist.all_reduce(total)
        return total

    def _loss(self, rows: Tensor, draws: Tensor, labels: Tensor) -> Tensor:
        images = self.steps.augment(to_float(self.train.pixels[rows]), self.config.augmentation, draws)
        with autocast(self.device, self.config.precision):
            if self._shared is None:
                logits = self.network.logits(self._features(images), self.train.roles)
            else:
                logits = self._shared(images, self.train.roles)
        return self.steps.loss(logits, labels)

    def _sent(self, last: bool) -> AbstractContextManager[None]:
        """Return a context in which a team's gradients are exchanged with the ``last`` part only."""
        return nullcontext() if self._shared is None or last else self._shared.no_sync()


def make_optimiser(network: Network, roles: Sequence[str], config: StageConfig) -> torch.optim.AdamW:
    """Return AdamW over the trunk and the heads of ``roles``; biases and norms are not decayed.

    Its learning rate is a tensor on their device, which :class:`Stepper` writes to; the fused optimiser takes
    it in double precision on a CPU and in single precision on a GPU.
    """
    heads = [network.heads[role] for role in roles]
    parameters = [p for module in (network.trunk, *heads) for p in module.parameters()]
    device = parameters[0].device
    optimiser = torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
        fused=True,
        capturable=device.type == "cuda",
    )
    for group in optimiser.param_groups:
        group["lr"] = torch.tensor(config.learning_rate, dtype=_exact(device), device=device)
    return optimiser


def _exact(device: torch.device) -> torch.dtype:
    return torch.float64 if device.type == "cpu" else torch.float32
