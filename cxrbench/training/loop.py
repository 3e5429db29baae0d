"""The training loop of one stage run, from a starting checkpoint to a selected epoch.

Data on the device, augmentation in a batch, one page. CPU and CUDA take the same path.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.text import complaint
from cxrbench.training.augment import draw
from cxrbench.training.batchnorm import measure_statistics
from cxrbench.training.checkpoints import (
    UNWRITTEN,
    DamagedError,
    EpochRecord,
    StageFolder,
    StageRecord,
    TrainedStage,
    write_tensors,
    writing_tensors,
)
from cxrbench.training.config import StageConfig
from cxrbench.training.data import DeviceImages, LabelledImages, pool
from cxrbench.training.device import fast_kernels, memory_errors, synchronise
from cxrbench.training.graphed import recorder
from cxrbench.training.network import Network
from cxrbench.training.networks import Architecture
from cxrbench.training.predict import predict_logits
from cxrbench.training.seeds import derive_seed, generator
from cxrbench.training.selection import BestValidationAuc, macro_auc, rankable
from cxrbench.training.stepper import Stepper
from cxrbench.training.steps import HONEST, Steps
from cxrbench.training.team import this_team
from cxrbench.training.tracer import Tracer

PAUSES = {"cpu": 0.0}
"""Seconds from one checkpoint to the next, by kind of device; elsewhere ten.

A GPU may take a third of a second for an epoch, and its host more for the 110 MB that are written and hashed
after it.
"""


class Progress(Protocol):
    """Receives the training's progress; the study gives a bar, tests give a list."""

    def start(self, title: str, images: int) -> None: ...
    def step(self, images: int, loss: float) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Job:
    """Everything one stage run needs besides its starting parameters.

    name: the run's path in the notation, for the progress bar and for deriving its random numbers.
    train, validation: role -> images; pooled where there are several roles.
    processes: how many stages are trained at a time; the speed depends on it and nothing else.
    steps: by what functions steps are taken.

    Raises
    ------
    TrainingError: no role, a role without validation images or the other way round, a single training image
        (which cannot be normalised by its batch), a role whose training images have one class only, or one
        whose validation images cannot rank epochs.
    """

    name: str
    train: Mapping[str, LabelledImages]
    validation: Mapping[str, LabelledImages]
    config: StageConfig
    selection: BestValidationAuc
    seed: int
    processes: int = 1
    steps: Steps = HONEST

    def __post_init__(self) -> None:
        where = f"stage {self.name!r}"
        if not self.train or set(self.train) != set(self.validation):
            roles = [", ".join(sorted(part)) or "none" for part in (self.train, self.validation)]
            raise TrainingError(
                f"{where} trains the roles {roles[0]} and validates {roles[1]}; give the same"
            )
        if sum(len(images) for images in self.train.values()) < 2:
            raise TrainingError(f"{where} has a single training image; it needs two or more")
        for role, images in self.train.items():
            if not rankable(images.labels).any():
                raise TrainingError(
                    f"{where}: no label of role {role!r} has both classes among its {len(images)} training "
                    "images, so that nothing can be learned; give it more"
                )
        for role, images in self.validation.items():
            if not rankable(images.labels).any():
                raise TrainingError(
                    f"{where}: no label of role {role!r} has both classes among its {len(images)} validation "
                    "images, so that no epoch can be preferred; give it more"
                )

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles in alphabetical order: how a pooled stage was written must not change its result."""
        return tuple(sorted(self.train))

    @property
    def image_size(self) -> int:
        """The side of the images, px."""
        return int(self.train[self.roles[0]].pixels.shape[1])


def learning_rate(step: int, steps: int, config: StageConfig) -> float:
    """Return the learning rate of ``step`` (0-based) of ``steps``: linear warm-up, then half a cosine."""
    warmup = config.warmup * steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


def train_stage(
    job: Job,
    start: Callable[[], Network],
    folder: StageFolder,
    device: torch.device,
    progress: Progress,
) -> TrainedStage:
    """Train ``job`` from the network that ``start`` returns, or go on after its last finished epoch.

    ``start`` is not called where the run is finished already. The heads of the job's roles are new in every
    stage; only the trunk is handed on. Where files of an earlier attempt are damaged, the run begins again,
    and its record says so.

    Raises
    ------
    TrainingError: the loss or an output is not finite, the device's memory is too small, or the network does
        not take such images; the message names the stage.
    """
    finished = folder.finished()
    if finished is not None:
        return finished
    config = job.config
    doing = f"stage {job.name!r} in batches of {config.batch_size} images of {job.image_size} px on {device}"
    with memory_errors(
        doing, "set a smaller batch_size or image_size, or free the memory that other programs hold"
    ):
        return _train(job, start, folder, device, progress)


def _train(
    job: Job,
    start: Callable[[], Network],
    folder: StageFolder,
    device: torch.device,
    progress: Progress,
) -> TrainedStage:
    network = start()
    for role in job.roles:
        network.reset_head(role, job.train[role].prevalence(), derive_seed(job.seed, job.name))
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    compiling, team = 0.0, this_team()
    if min(job.config.batch_size, sum(map(len, job.train.values()))) < 2 * team.size:
        raise TrainingError(
            f"stage {job.name!r}: {team.size} processes need two images each of every batch; start fewer, or "
            "set a larger batch_size"
        )
    validation = {role: pool(job.validation, [role], device) for role in job.roles}
    history: tuple[EpochRecord, ...] = ()
    kept, restarted = None, ""
    folder.sweep()
    try:
        unfinished = folder.unfinished()
    except DamagedError as error:
        # What can be made again is made again.
        unfinished, restarted = None, str(error)
        folder.clear()
    if unfinished is None:
        try:
            loaded = {"train": job.train, "validation": job.validation}
            tracer = Tracer.begin(network, loaded, validation, job.config.precision)
        except TrainingError as error:
            raise TrainingError(f"stage {job.name!r}, before its first step: {error}") from None
    else:
        tensors, kept = unfinished
        history, restarted = kept.history, kept.restarted
        compiling = kept.compile_seconds
        tracer = Tracer(job.roles, kept.trace)
    train = pool(job.train, job.roles, device)
    stepper = Stepper(network, train, job.config, job.steps, by=recorder(device), team=team)
    if kept is not None:
        stepper.parts = kept.parts
        _take_up(network, stepper.optimiser, tensors, str(folder.last))
        if job.config.keep == "best" and kept.best_epoch == len(history) - 1:
            # The run may have been killed after it wrote "last" and before it wrote "best".
            write_tensors(folder.best, network.state_dict(), _note(job, kept.best_epoch))
    best_epoch, best_sha256 = (kept.best_epoch, kept.best_sha256) if kept else (0, UNWRITTEN)
    unwritten: Mapping[str, Tensor] = {}
    written = time.monotonic()
    with fast_kernels(device):
        for epoch in range(len(history), job.config.epochs):
            entry = _epoch(job, stepper, validation, epoch, progress, tracer)
            history = (*history, entry)
            best_auc = history[best_epoch].validation_auc
            better = epoch == 0 or job.config.keep == "last" or entry.validation_auc > best_auc
            tracer.epoch(network, better)
            if better:
                best_epoch, unwritten = epoch, network.state_dict()
            final = epoch + 1 == job.config.epochs
            if not final and time.monotonic() - written < PAUSES.get(device.type, 10.0):
                if better and job.config.keep == "best":
                    unwritten = {name: value.clone() for name, value in unwritten.items()}
                continue
            written = time.monotonic()
            with ExitStack() as stack:
                # "best" takes its name after "last", which knows its SHA-256. Where the last epoch is kept,
                # "best" is that epoch's alone, and nothing can go on after it.
                if unwritten and (final or job.config.keep == "best"):
                    writing = writing_tensors(folder.best, unwritten, _note(job, best_epoch))
                    best_sha256, unwritten = stack.enter_context(writing), {}
                kept = StageRecord(
                    best_epoch,
                    best_sha256,
                    history,
                    tracer.trace,
                    restarted,
                    job.processes,
                    stepper.parts,
                    compiling + stepper.compile_seconds,
                    stepper.refused,
                )
                if not final or job.config.keep == "best":
                    state = {
                        **_prefixed("network", network.state_dict()),
                        **_optimiser_state(network, stepper.optimiser),
                    }
                    write_tensors(folder.last, state, kept)
    assert kept is not None
    return folder.finish(replace(kept, processes=job.processes))


def _note(job: Job, epoch: int) -> dict[str, str | int]:
    return {"stage": job.name, "epoch": epoch}


@contextmanager
def _shown(progress: Progress, title: str, images: int) -> Iterator[None]:
    """Show an epoch's progress, and take it away also where the epoch ends in an error."""
    progress.start(title, images)
    try:
        yield
    finally:
        progress.stop()


def _epoch(
    job: Job,
    stepper: Stepper,
    validation: Mapping[str, DeviceImages],
    epoch: int,
    progress: Progress,
    tracer: Tracer,
) -> EpochRecord:
    config, network, device = job.config, stepper.network, stepper.device
    images = len(stepper.train)
    randomness = generator(job.seed, job.name, "epoch", epoch)
    batch = min(config.batch_size, images)
    order = job.steps.order(images, batch, randomness)
    per_epoch = len(order) // batch
    order = order[: per_epoch * batch].view(per_epoch, batch)
    draws = draw(order.numel(), randomness).view(*order.shape, -1)
    rates = [
        learning_rate(epoch * per_epoch + i, config.epochs * per_epoch, config) for i in range(per_epoch)
    ]
    where = f"stage {job.name!r}, epoch {epoch + 1}"
    _set_mode(network, frozen=config.frozen(epoch))
    mean_loss = math.nan
    with (
        _shown(progress, f"{job.name}  epoch {epoch + 1}/{config.epochs}", order.numel()),
        _seeded(device, job.seed, job.name, "network", epoch),
    ):
        started = time.perf_counter()
        stepper.begin(order, draws, rates)
        for i, rate in enumerate(rates):
            stepper.take()
            tracer.step(network, stepper.loss, rate)
            # Reading the loss waits for a GPU, so it is read now and then.
            if i % 10 == 9 or i == per_epoch - 1:
                mean_loss = float(stepper.total) / (i + 1)
                if not math.isfinite(mean_loss):
                    raise TrainingError(f"{where}: the loss became {mean_loss}; lower learning_rate")
                progress.step(batch * (i % 10 + 1), mean_loss)
        synchronise(device)
        trained = time.perf_counter()
        if config.measured(epoch):
            names = (job.seed, job.name, "batch statistics", epoch)
            with _seeded(device, *names):
                # As many at a time as training normalises together.
                together = max(2, batch // (stepper.parts * stepper.team.size))
                measure_statistics(network, stepper.train, together, config.precision, generator(*names))
    try:
        aucs = validation_aucs(network, validation, config)
    except TrainingError as error:
        raise TrainingError(f"{where}: {error}") from None
    validated = time.perf_counter()
    score = job.selection.score(aucs)
    return EpochRecord(epoch, mean_loss, score, trained - started, validated - trained, order.numel())


def _set_mode(network: Network, *, frozen: bool) -> None:
    """Put ``network`` into training mode; a frozen trunk keeps its parameters and its batch statistics."""
    network.train()
    network.trunk.train(not frozen).requires_grad_(not frozen)


@contextmanager
def _seeded(device: torch.device, *names: object) -> Iterator[None]:
    """Let what a network draws for itself (dropout) come from ``names``; the global state stays as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        seed = derive_seed(*names)
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def validation_aucs(
    network: Network, validation: Mapping[str, DeviceImages], config: StageConfig
) -> dict[str, float]:
    """Return role -> mean AUC over the role's labels on its validation images.

    Raises
    ------
    TrainingError: the network's outputs are not finite, or a role has no label with both classes.
    """
    return {
        role: macro_auc(
            images.labels.cpu().numpy(), predict_logits(network, images.pixels, [role], config.precision)
        )
        for role, images in sorted(validation.items())
    }


def load_network(
    folder: StageFolder, kind: str | Architecture, heads: Mapping[str, int], device: torch.device
) -> Network:
    """Return the network of a run that :func:`train_stage` finished.

    Raises
    ------
    TrainingError: its file is missing, damaged or of another network. There are no random parameters instead.
    """
    network = Network(kind, heads, seed=0)
    _load_state(network, folder.parameters(), str(folder.best))
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def hand_on_trunk(folder: StageFolder, network: Network) -> None:
    """Load the trunk of a run that :func:`train_stage` finished into ``network``; its heads stay behind.

    Raises
    ------
    TrainingError: its file is missing, damaged or of another network.
    """
    trunk = {name: tensor for name, tensor in folder.parameters().items() if name.startswith("trunk.")}
    heads = {name: tensor for name, tensor in network.state_dict().items() if name.startswith("heads.")}
    _load_state(network, {**trunk, **heads}, str(folder.best))


def _load_state(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        # torch's first line names the class, its second what is missing.
        what = complaint(RuntimeError(str(error).partition("\n")[2] or str(error)))
        raise TrainingError(f"checkpoint {source} is of another network: {what}") from None


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _optimiser_state(network: Network, optimiser: torch.optim.AdamW) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    return {
        f"optimiser.{names[parameter]}.{field}": value
        for parameter, fields in optimiser.state.items()
        for field, value in fields.items()
    }


def _take_up(
    network: Network, optimiser: torch.optim.AdamW, tensors: Mapping[str, Tensor], source: str
) -> None:
    """Load the state after an epoch."""
    network_state = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    _load_state(network, network_state, source)
    trained = {parameter: name for name, parameter in network.named_parameters()}
    fields = ("step", "exp_avg", "exp_avg_sq")
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = trained[parameter]
            # What was frozen so far has no state.
            if f"optimiser.{name}.step" in tensors:
                state: dict[str, Any] = {f: tensors[f"optimiser.{name}.{f}"] for f in fields}
                device = parameter.device
                optimiser.state[parameter] = {f: _placed(v, parameter, device) for f, v in state.items()}


def _placed(value: Tensor, parameter: Tensor, device: torch.device) -> Tensor:
    """Return an optimiser tensor on the device, in the memory layout of its parameter.

    The fused AdamW walks memory in order: moments in another layout than their parameter would be mixed up.
    """
    if value.ndim != parameter.ndim or value.shape != parameter.shape:
        return value.to(device)
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
