"""What a stage run is trained from and on, and where it lies: every distinct run once."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cxrbench.files import source_digest, write_text_atomic
from cxrbench.schemes import Plan, StageRun
from cxrbench.study.prepare import PackedImages, Prepared
from cxrbench.study.profile import InitSettings, Profile
from cxrbench.training.checkpoints import StageFolder, TrainedStage
from cxrbench.training.config import StageConfig
from cxrbench.training.initial import Initial
from cxrbench.training.loop import Job, Progress, hand_on_trunk, train_stage
from cxrbench.training.network import Network
from cxrbench.training.selection import BestValidationAuc

FORMAT = 1
BESIDE = "beside.json"


def initial(settings: InitSettings) -> Initial:
    """Return the initial parameters that a profile names."""
    return Initial(settings.kind, Path(settings.path) if settings.path else None)


@dataclass(frozen=True)
class Start:
    """The network that a stage run starts from: called, it makes it.

    outputs: role -> number of labels. parent: the checkpoint whose trunk is taken; the initial parameters
    where there is none.
    """

    outputs: Mapping[str, int]
    initial: Initial
    parent: Path | None
    seed: int

    def __call__(self) -> Network:
        """Return a new network; its heads are random."""
        made = Network(self.outputs, self.seed)
        if self.parent is None:
            self.initial.load(made)
        else:
            hand_on_trunk(self.parent, made)
        return made


Trained = Sequence[Mapping[StageRun, TrainedStage]]
"""The trained runs of one seed: one mapping, or one a fold."""

Folders = Mapping[StageRun, StageFolder]
"""Where each run of a plan lies in the store."""


def plan_folders(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    store: Path,
    seed: int,
    described: Mapping[str, str | int],
) -> Folders:
    """Return the folder of each of the plan's runs with one seed, named by all that the run depends on.

    In a cross-validation this is called once a fold. A run that has not seen the target depends on no fold:
    its folder is the same in all.

    Parameters
    ----------
    described: the device, by what bits depend on (:func:`~cxrbench.training.device.describe_device`).

    Raises
    ------
    TrainingError: the initial parameters cannot be had.
    """
    identity = initial(profile.init).identity()
    folders: dict[StageRun, StageFolder] = {}
    for run in plan.runs:
        parent = folders[run.parent].key if run.parent else identity
        folders[run] = StageFolder.of(store, _depends_on(profile, run, prepared, seed, described, parent))
    return folders


def stage_start(profile: Profile, run: StageRun, prepared: Prepared, seed: int, folders: Folders) -> Start:
    """Return the network that ``run`` starts from."""
    parent = folders[run.parent].best if run.parent else None
    return Start(heads(run, prepared), initial(profile.init), parent, seed)


def heads(run: StageRun, prepared: Prepared) -> dict[str, int]:
    """Return role -> number of labels for the roles that ``run`` trains, in alphabetical order."""
    return {role: len(prepared.roles[role].pack.labels) for role in sorted(run.stage.roles)}


@dataclass(frozen=True)
class StageWork:
    """A run's job before its images are read, small enough to be handed to another process."""

    name: str
    train: Mapping[str, PackedImages]
    validation: Mapping[str, PackedImages]
    config: StageConfig
    selection: BestValidationAuc
    seed: int

    def job(self) -> Job:
        """Read the images and return the job."""
        return Job(
            name=self.name,
            train={role: images.load() for role, images in self.train.items()},
            validation={role: images.load() for role, images in self.validation.items()},
            config=self.config,
            selection=self.selection,
            seed=self.seed,
        )


def stage_work(profile: Profile, run: StageRun, prepared: Prepared, seed: int) -> StageWork:
    """Return the work of ``run``: its roles' training and validation images and the profile's settings."""
    roles = run.stage.roles
    return StageWork(
        name=run.canonical,
        train={role: prepared.roles[role].packed("train") for role in roles},
        validation={role: prepared.roles[role].packed("validation") for role in roles},
        config=profile.stage_config(run.stage),
        selection=BestValidationAuc(profile.target),
        seed=seed,
    )


def train_run(
    work: StageWork, start: Start, folder: StageFolder, device: torch.device, progress: Progress
) -> TrainedStage:
    """Read the images and train: :func:`~cxrbench.training.loop.train_stage`, wherever this is called."""
    return train_stage(work.job(), start, folder, device, progress)


def note_beside(folder: StageFolder, processes: int) -> None:
    """Write down how many stages were trained at a time when this one was: its speed depends on it."""
    write_text_atomic(folder.path / BESIDE, json.dumps({"processes": processes}))


def trained_beside(stage: TrainedStage) -> int:
    """Return what :func:`note_beside` wrote down; 1 where it did not."""
    noted = stage.path.with_name(BESIDE)
    return int(json.loads(noted.read_text())["processes"]) if noted.exists() else 1


def _depends_on(
    profile: Profile,
    run: StageRun,
    prepared: Prepared,
    seed: int,
    described: Mapping[str, str | int],
    parent: str,
) -> Mapping[str, Any]:
    """Return everything that the run's result depends on, as it goes into its key."""
    return {
        "format": FORMAT,
        "run": run.canonical,
        "parent": parent,
        "seed": seed,
        "size": profile.image_size,
        "config": asdict(profile.stage_config(run.stage)),
        "target": profile.target,
        "data": {
            role: {part: prepared.roles[role].identity(part) for part in ("train", "validation")}
            for role in sorted(run.stage.roles)
        },
        "code": training_source(),
        "versions": {name: versions()[name] for name in ("torch", "torchvision")},
        "device": dict(described),
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
