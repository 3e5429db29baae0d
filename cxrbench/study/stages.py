"""Train the plan: every distinct stage run once, each from the run before it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from cxrbench.cohort.storage import source_digest
from cxrbench.schemes import Plan, StageRun
from cxrbench.study.prepare import Prepared
from cxrbench.study.profile import InitSettings, Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.training.checkpoints import StageFolder, TrainedStage
from cxrbench.training.device import describe_device
from cxrbench.training.initial import Initial
from cxrbench.training.loop import Job, hand_on_trunk, train_stage
from cxrbench.training.network import Network
from cxrbench.training.selection import BestValidationAuc

FORMAT = 1


def initial(settings: InitSettings) -> Initial:
    """Return the initial parameters that a profile names."""
    return Initial(settings.kind, Path(settings.path) if settings.path else None)


def train_plan(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    store: Path,
    seed: int,
    device: torch.device,
    progress: StudyProgress,
) -> dict[StageRun, TrainedStage]:
    """Train the plan's runs with one seed, or take from ``store`` those that are there already.

    In a cross-validation this is called once a fold. A run that has not seen the target depends on no fold:
    its key is the same in all, so the first fold trains it and the others take it from ``store``.

    Raises
    ------
    TrainingError: a stage cannot be trained, or the initial parameters cannot be had.
    """
    start = initial(profile.init)
    identity = start.identity()
    trained: dict[StageRun, TrainedStage] = {}
    for run in plan.runs:
        parent = trained[run.parent] if run.parent else None
        depends_on = _depends_on(profile, run, prepared, seed, device, parent.key if parent else identity)
        folder = StageFolder.of(store, depends_on)
        kept = folder.finished()
        if kept is None:
            # The images are copied out of the memory map only for a run that is really trained.
            job = stage_job(profile, run, prepared, seed)
            network = _starter(heads(run, prepared), start, parent, seed)
            trained[run] = train_stage(job, network, folder, device, progress)
        else:
            trained[run] = kept
        how = "kept from an earlier run" if kept else f"{trained[run].seconds:.0f} s"
        turn = ""
        if prepared.fold and profile.target in run.roles:
            turn = f"fold {prepared.fold}  "
        elif prepared.fold and prepared.fold > 1:
            # Told in the first fold.
            continue
        auc = trained[run].validation_auc
        progress.say(f"seed {seed}  {turn}{run}  validation AUC {auc:.3f}  ({how})")
    return trained


def heads(run: StageRun, prepared: Prepared) -> dict[str, int]:
    """Return role -> number of labels for the roles that ``run`` trains, in alphabetical order."""
    return {role: len(prepared.roles[role].pack.labels) for role in sorted(run.stage.roles)}


def _starter(
    outputs: Mapping[str, int], start: Initial, parent: TrainedStage | None, seed: int
) -> Callable[[], Network]:
    def network() -> Network:
        made = Network(outputs, seed)
        if parent is None:
            start.load(made)
        else:
            hand_on_trunk(parent.path, made)
        return made

    return network


def stage_job(profile: Profile, run: StageRun, prepared: Prepared, seed: int) -> Job:
    """Return the job of ``run``: its roles' training and validation images and the profile's settings."""
    roles = run.stage.roles
    return Job(
        name=run.canonical,
        train={role: prepared.roles[role].images("train") for role in roles},
        validation={role: prepared.roles[role].images("validation") for role in roles},
        config=profile.stage_config(run.stage),
        selection=BestValidationAuc(profile.target),
        seed=seed,
    )


def _depends_on(
    profile: Profile,
    run: StageRun,
    prepared: Prepared,
    seed: int,
    device: torch.device,
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
        "device": describe_device(device),
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
