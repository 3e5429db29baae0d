"""The training loop of one stage run, from a starting checkpoint to a selected epoch.

Data on the device, augmentation in a batch, one page. CPU and CUDA take the same path.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from cxrbench.errors import TrainingError
from cxrbench.training.augment import augment
from cxrbench.training.checkpoints import (
    EpochRecord,
    StageFolder,
    TrainedStage,
    load_tensors,
    save_tensors,
)
from cxrbench.training.config import StageConfig
from cxrbench.training.data import DeviceImages, LabelledImages, pool
from cxrbench.training.device import fast_kernels, synchronise
from cxrbench.training.network import Network
from cxrbench.training.predict import autocast, predict_logits, to_float
from cxrbench.training.seeds import derive_seed, generator
from cxrbench.training.selection import BestValidationAuc, macro_auc


class Progress(Protocol):
    """Hears of the training's progress; the study gives a bar, tests give a list."""

    def start(self, title: str, images: int) -> None: ...
    def step(self, images: int, loss: float) -> None: ...
    def stop(self) -> None: ...


@dataclass(frozen=True)
class Job:
    """Everything one stage run needs besides its starting parameters.

    name: the run's path in the notation, for the progress bar and for deriving its random numbers.
    train, validation: role -> images; pooled where there are several roles.
    """

    name: str
    train: Mapping[str, LabelledImages]
    validation: Mapping[str, LabelledImages]
    config: StageConfig
    selection: BestValidationAuc
    seed: int

    @property
    def roles(self) -> tuple[str, ...]:
        """The roles in alphabetical order: how a pooled stage was written must not change its result."""
        return tuple(sorted(self.train))


def learning_rate(step: int, steps: int, config: StageConfig) -> float:
    """Return the learning rate of ``step`` (0-based) of ``steps``: linear warm-up, then half a cosine."""
    warmup = config.warmup * steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1.0, steps - warmup)))


def masked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over images of each image's mean binary cross-entropy over its known labels.

    logits, labels: (n, labels); NaN marks a label that the image's source does not have. Every image weighs
    the same, whether its source knows one label or fourteen.
    """
    known = ~torch.isnan(labels)
    losses = F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(labels), reduction="none")
    per_image = (losses * known).sum(dim=1) / known.sum(dim=1).clamp(min=1)
    return per_image.sum() / known.any(dim=1).sum().clamp(min=1)


def train_stage(
    job: Job,
    start: Callable[[], Network],
    folder: StageFolder,
    device: torch.device,
    progress: Progress,
) -> TrainedStage:
    """Train ``job`` from the network that ``start`` returns, or go on after its last finished epoch.

    ``start`` is not called where the run is finished already. The heads of the job's roles are new in every
    stage; only the trunk is handed on.

    Raises
    ------
    TrainingError: the loss is not finite, or the validation part cannot rank epochs.
    """
    finished = folder.finished()
    if finished is not None:
        return finished
    network = start()
    for role in job.roles:
        network.reset_head(role, job.train[role].prevalence(), derive_seed(job.seed, job.name))
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = _optimiser(network, job, device)
    history, best_epoch = _resume(folder, network, optimiser)
    train = pool(job.train, job.roles, device)
    with fast_kernels(device):
        for epoch in range(len(history), job.config.epochs):
            record = _epoch(job, network, optimiser, train, epoch, device, progress)
            history = (*history, record)
            if best_epoch is None or record.validation_auc > history[best_epoch].validation_auc:
                best_epoch = epoch
                save_tensors(folder.best, network.state_dict(), {"stage": job.name, "epoch": epoch})
            state = {**_prefixed("network", network.state_dict()), **_optimiser_state(network, optimiser)}
            note = {"best_epoch": best_epoch, "history": [vars(entry) for entry in history]}
            save_tensors(folder.last, state, note)
    assert best_epoch is not None
    return folder.finish(best_epoch, history)


def _epoch(
    job: Job,
    network: Network,
    optimiser: torch.optim.AdamW,
    train: DeviceImages,
    epoch: int,
    device: torch.device,
    progress: Progress,
) -> EpochRecord:
    config = job.config
    randomness = generator(job.seed, job.name, "epoch", epoch)
    order = torch.randperm(len(train), generator=randomness).to(device)
    # A last, smaller batch would be normalised by other statistics; its images come again next epoch.
    batch = min(config.batch_size, len(train))
    per_epoch = len(train) // batch
    progress.start(f"{job.name}  epoch {epoch + 1}/{config.epochs}", per_epoch * batch)
    network.train()
    total = torch.zeros((), device=device)
    started = time.perf_counter()
    for i in range(per_epoch):
        rows = order[i * batch : (i + 1) * batch]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(epoch * per_epoch + i, config.epochs * per_epoch, config)
        images = augment(to_float(train.pixels[rows]), config.augmentation, randomness)
        with autocast(device, config.precision):
            features = network.features(images)
        loss = masked_loss(network.logits(features, job.roles), train.labels[rows])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach()
        # Reading the loss waits for a GPU, so it is read now and then.
        if i % 10 == 9 or i == per_epoch - 1:
            progress.step(batch * (i % 10 + 1), float(total) / (i + 1))
    synchronise(device)
    trained = time.perf_counter()
    progress.stop()
    mean_loss = float(total) / per_epoch
    if not math.isfinite(mean_loss):
        raise TrainingError(
            f"the loss of {job.name!r} became {mean_loss} in epoch {epoch + 1}; lower learning_rate"
        )
    score = job.selection.score(validation_aucs(network, job.validation, config, device))
    validated = time.perf_counter()
    return EpochRecord(epoch, mean_loss, score, trained - started, validated - trained, per_epoch * batch)


def validation_aucs(
    network: Network, validation: Mapping[str, LabelledImages], config: StageConfig, device: torch.device
) -> dict[str, float]:
    """Return role -> mean AUC over the role's labels on its validation images."""
    aucs = {}
    for role in sorted(validation):
        images = pool(validation, [role], device)
        logits = predict_logits(network, images.pixels, [role], config.precision)
        aucs[role] = macro_auc(validation[role].labels, logits)
    return aucs


def load_network(path: Path, heads: Mapping[str, int], device: torch.device) -> Network:
    """Return the network of a checkpoint that :func:`train_stage` wrote.

    Raises
    ------
    TrainingError: the file is missing, broken or of another network. There are no random parameters instead.
    """
    network = Network(heads, seed=0)
    _load_state(network, load_tensors(path)[0], str(path))
    return network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _load_state(network: Network, state: Mapping[str, Tensor], source: str) -> None:
    try:
        network.load_state_dict(dict(state), strict=True)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
        raise TrainingError(f"checkpoint {source} is of another network: {first}") from None


def _optimiser(network: Network, job: Job, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW over the trunk and the heads that the stage trains; biases and norms are not decayed."""
    heads = [network.heads[role] for role in job.roles]
    parameters = [p for module in (network.trunk, *heads) for p in module.parameters()]
    return torch.optim.AdamW(
        [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": job.config.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=job.config.learning_rate,
        fused=device.type in ("cpu", "cuda"),
    )


def _prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _optimiser_state(network: Network, optimiser: torch.optim.AdamW) -> dict[str, Tensor]:
    names: dict[Tensor, str] = {parameter: name for name, parameter in network.named_parameters()}
    return {
        f"optimiser.{names[parameter]}.{field}": value
        for parameter, fields in optimiser.state.items()
        for field, value in fields.items()
    }


def _resume(
    folder: StageFolder, network: Network, optimiser: torch.optim.AdamW
) -> tuple[tuple[EpochRecord, ...], int | None]:
    """Load the state after the last finished epoch, where there is one; return its history and best epoch."""
    if not folder.last.exists():
        return (), None
    tensors, note = load_tensors(folder.last)
    network_state = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    _load_state(network, network_state, str(folder.last))
    trained = {parameter: name for name, parameter in network.named_parameters()}
    fields = ("step", "exp_avg", "exp_avg_sq")
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            name = trained[parameter]
            state: dict[str, Any] = {f: tensors[f"optimiser.{name}.{f}"] for f in fields}
            device = parameter.device
            optimiser.state[parameter] = {f: _placed(v, parameter, device) for f, v in state.items()}
    history = tuple(EpochRecord(**entry) for entry in note["history"])
    return history, note["best_epoch"]


def _placed(value: Tensor, parameter: Tensor, device: torch.device) -> Tensor:
    """Return an optimiser tensor on the device, in the memory layout of its parameter.

    The fused AdamW walks memory in order: moments in another layout than their parameter would be mixed up.
    """
    if value.ndim != parameter.ndim or value.shape != parameter.shape:
        return value.to(device)
    return torch.empty_like(parameter, memory_format=torch.preserve_format).copy_(value)
