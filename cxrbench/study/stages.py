"""One stage run of a study: what it is trained from and on, where it lies, and its key."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from cxrbench.files import source_digest
from cxrbench.schemes import StageRun
from cxrbench.study.prepare import PackedImages, Prepared
from cxrbench.study.profile import Profile
from cxrbench.training.checkpoints import StageFolder, TrainedStage
from cxrbench.training.config import StageConfig
from cxrbench.training.device import deterministic
from cxrbench.training.initial import Initial
from cxrbench.training.loop import Job, Progress, hand_on_trunk, train_stage
from cxrbench.training.network import Network
from cxrbench.training.networks import architecture
from cxrbench.training.selection import BestValidationAuc

FORMAT = 2


@dataclass(frozen=True)
class Stage:
    """A stage run that can be trained anywhere: small enough to be handed to another process.

    name: the run in the notation. network: the network's name. outputs: role -> number of labels. parent:
    the run whose trunk is taken; the ``initial`` parameters where there is none. train, validation: role ->
    images, unread. processes: how many stages are trained at a time, which speed depends on. deterministic:
    whether a GPU gives the same bits every time.
    """

    name: str
    folder: StageFolder
    network: str
    outputs: Mapping[str, int]
    initial: Initial
    parent: StageFolder | None
    train: Mapping[str, PackedImages]
    validation: Mapping[str, PackedImages]
    config: StageConfig
    selection: BestValidationAuc
    seed: int
    processes: int = 1
    deterministic: bool = False

    def start(self) -> Network:
        """Return the network that the stage starts from; its heads are random."""
        made = Network(self.network, self.outputs, self.seed)
        if self.parent is None:
            self.initial.load(made)
        else:
            hand_on_trunk(self.parent, made)
        return made

    def job(self) -> Job:
        """Read the images and return the training's job."""
        return Job(
            name=self.name,
            train={role: images.load() for role, images in self.train.items()},
            validation={role: images.load() for role, images in self.validation.items()},
            config=self.config,
            selection=self.selection,
            seed=self.seed,
            processes=self.processes,
        )

    def work(self, device: torch.device, progress: Progress) -> TrainedStage:
        """Train the stage on ``device``, or go on with it; raises what ``train_stage`` does.

        Where another study trains it at the same time, wait for it and take what it has made.
        """
        with (
            deterministic(device, self.deterministic),
            only_one(self.folder.path / ".lock", self.name, progress),
        ):
            trained = self.folder.finished()
            return trained or train_stage(self.job(), self.start, self.folder, device, progress)


@contextmanager
def only_one(lock: Path, name: str, progress: Progress) -> Iterator[None]:
    """Wait until no other process holds ``lock``, and hold it; one that is killed lets go of it."""
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        progress.start(f"{name}: waiting for another study that works on it", 0)
        try:
            held.acquire()
        finally:
            progress.stop()
    try:
        yield
    finally:
        held.release()


def make_ready(device: torch.device, progress: Progress) -> None:  # noqa: ARG001
    """Import what a process trains a stage with: seconds that need not pass when there is one to be trained.

    This module imports all but the compiler, which an optimiser asks for when it is made.
    """
    import_module("torch._dynamo")


def initial(profile: Profile) -> Initial:
    """Return the initial parameters that the profile names, where no stage of its own makes them."""
    init = profile.init
    assert init.kind != "formula"
    return Initial(init.kind, Path(init.path) if init.path else None, init.seed)


def heads(run: StageRun, prepared: Prepared) -> dict[str, int]:
    """Return role -> number of labels for the roles that ``run`` trains, in alphabetical order."""
    return {role: len(prepared.roles[role].pack.labels) for role in sorted(run.stage.roles)}


def make_stage(
    profile: Profile,
    run: StageRun,
    prepared: Prepared,
    seed: int,
    folder: StageFolder,
    parent: StageFolder | None,
) -> Stage:
    """Return ``run`` with one seed: its roles' training and validation images and the profile's settings.

    parent: the run whose trunk is taken, or the stage that makes the initial parameters; else None.
    """
    roles = run.stage.roles
    return Stage(
        name=run.canonical,
        folder=folder,
        network=profile.network,
        outputs=heads(run, prepared),
        initial=Initial("random") if parent else initial(profile),
        parent=parent,
        train={role: prepared.roles[role].packed("train") for role in roles},
        validation={role: prepared.roles[role].packed("validation") for role in roles},
        config=profile.stage_config(run.stage),
        selection=BestValidationAuc(profile.target),
        seed=seed,
        deterministic=profile.deterministic,
    )


def depends_on(
    profile: Profile,
    run: StageRun,
    prepared: Prepared,
    seed: int,
    device: Mapping[str, str | int],
    parent: str,
) -> dict[str, Any]:
    """Return everything that the result of ``run`` depends on, as it goes into its key.

    Parameters
    ----------
    device: what the last bits depend on (:func:`~cxrbench.training.device.describe_device`).
    parent: the key of the run that this one starts from, or the identity of the initial parameters.
    """
    return {
        "format": FORMAT,
        "run": run.canonical,
        "parent": parent,
        "seed": seed,
        "network": architecture(profile.network).identity,
        "size": profile.image_size,
        "config": asdict(profile.stage_config(run.stage)),
        "target": profile.target,
        "data": {
            role: {part: prepared.roles[role].identity(part) for part in ("train", "validation")}
            for role in sorted(run.stage.roles)
        },
        "code": training_source(),
        "versions": {name: versions()[name] for name in ("torch", "torchvision")},
        "device": dict(device),
    }


@cache
def training_source() -> str:
    """Return the digest of the training package's sources: changed code trains again."""
    return source_digest("cxrbench.training")


@cache
def versions() -> dict[str, str]:
    """Return the versions that a number may depend on."""
    names = ("cxrbench", "torch", "torchvision", "numpy", "pandas", "scikit-learn", "scipy", "statsmodels")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
