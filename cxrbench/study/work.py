"""Train and predict what is missing from a study: all seeds, folds and schemes, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cxrbench.files import TEMPORARY
from cxrbench.schemes import Plan, StageRun
from cxrbench.study.predictions import Files, SchemePredictions, join_folds, predict_parts
from cxrbench.study.prepare import Prepared
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.stages import (
    Folders,
    Trained,
    note_beside,
    plan_folders,
    stage_start,
    stage_work,
    train_run,
)
from cxrbench.study.tasks import Task, do_all
from cxrbench.study.workers import Share, ThisProcess, Workers, torch_threads, worker_processes
from cxrbench.training.checkpoints import TrainedStage

PREDICTING = 1 / 3
"""What an image costs in prediction of what it costs in training, where the gradient takes two thirds."""


@dataclass(frozen=True)
class PlanRun:
    """The plan with one seed, on all images or in one fold. ``group`` counts the seeds."""

    group: int
    seed: int
    prepared: Prepared
    folders: Folders
    predictions: tuple[SchemePredictions, ...]


def train_and_predict(
    profile: Profile,
    plan: Plan,
    prepared: Sequence[Prepared],
    store: Path,
    out: Path,
    *,
    device: torch.device,
    described: Mapping[str, str | int],
    shared: Share,
    progress: StudyProgress,
) -> tuple[Mapping[int, Trained], dict[int, Files]]:
    """Train what is missing from ``store`` and predict what is missing from ``out``.

    Parameters
    ----------
    prepared: one, or one a fold.
    described: the device, as it goes into the runs' keys.

    Returns
    -------
    seed -> trained runs, and seed -> prediction files.

    Raises
    ------
    CxrbenchError: a stage cannot be trained, the initial parameters cannot be had, or a process was ended.
    """
    plan_runs = [
        _plan_run(profile, plan, fold, store, out, group, seed, described)
        for group, seed in enumerate(profile.seeds)
        for fold in prepared
    ]
    done: dict[str, TrainedStage] = {}
    stages = _stage_tasks(profile, plan_runs, device, shared.processes, progress, done)
    predictions = [
        _prediction_task(wanted, plan_run.group, shared.processes, device)
        for plan_run in plan_runs
        for wanted in plan_run.predictions
        if wanted.missing()
    ]
    if stages or predictions:
        images = int(sum(task.cost for task in stages))
        with _workers(shared, images, progress) as workers:
            do_all([*stages, *predictions], workers)
    trained: dict[int, list[dict[StageRun, TrainedStage]]] = {seed: [] for seed in profile.seeds}
    files: dict[int, list[Files]] = {seed: [] for seed in profile.seeds}
    for plan_run in plan_runs:
        trained[plan_run.seed].append({run: done[folder.key] for run, folder in plan_run.folders.items()})
        files[plan_run.seed].append({wanted.scheme: wanted.kept() for wanted in plan_run.predictions})
    return trained, {
        seed: join_folds(folds, out, seed) if len(folds) > 1 else folds[0] for seed, folds in files.items()
    }


def _plan_run(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    store: Path,
    out: Path,
    group: int,
    seed: int,
    described: Mapping[str, str | int],
) -> PlanRun:
    folders = plan_folders(profile, plan, prepared, store, seed, described)
    predictions = tuple(
        SchemePredictions(profile, prepared, scheme, run, folders[run], seed, out)
        for scheme, run in plan.final.items()
    )
    return PlanRun(group, seed, prepared, folders, predictions)


def _stage_tasks(
    profile: Profile,
    plan_runs: Sequence[PlanRun],
    device: torch.device,
    processes: int,
    progress: StudyProgress,
    done: dict[str, TrainedStage],
) -> list[Task]:
    """Return a task for each distinct run that is not in the store; put those that are into ``done``.

    The tasks put theirs into ``done`` as well.
    """
    tasks: dict[str, Task] = {}
    for plan_run in plan_runs:
        for run, folder in plan_run.folders.items():
            # Folds share the runs that have not seen the target.
            if folder.key in done or folder.key in tasks:
                continue
            kept = folder.finished()
            if kept is not None:
                done[folder.key] = kept
                progress.say(_told(profile, plan_run, run, kept, "kept from an earlier run"))
            else:
                tasks[folder.key] = _stage_task(profile, plan_run, run, device, processes, progress, done)
    return list(tasks.values())


def _stage_task(
    profile: Profile,
    plan_run: PlanRun,
    run: StageRun,
    device: torch.device,
    processes: int,
    progress: StudyProgress,
    done: dict[str, TrainedStage],
) -> Task:
    folder = plan_run.folders[run]

    def begin() -> tuple[Any, tuple[Any, ...]]:
        # Of a process that was killed while it wrote.
        for leftover in folder.path.glob(f"{TEMPORARY}*"):
            leftover.unlink(missing_ok=True)
        work = stage_work(profile, run, plan_run.prepared, plan_run.seed)
        start = stage_start(profile, run, plan_run.prepared, plan_run.seed, plan_run.folders)
        return train_run, (work, start, folder, device)

    def end(trained: TrainedStage) -> None:
        done[folder.key] = trained
        note_beside(folder, processes)
        progress.say(_told(profile, plan_run, run, trained, f"{trained.seconds:.0f} s"))

    images = sum(len(plan_run.prepared.roles[role].rows("train")) for role in run.stage.roles)
    return Task(
        key=folder.key,
        after=plan_run.folders[run.parent].key if run.parent else None,
        cost=images * profile.stage_config(run.stage).epochs,
        group=plan_run.group,
        begin=begin,
        end=end,
    )


def _told(profile: Profile, plan_run: PlanRun, run: StageRun, trained: TrainedStage, how: str) -> str:
    fold = plan_run.prepared.fold
    where = f"fold {fold}  " if fold and profile.target in run.roles else ""
    return f"seed {plan_run.seed}  {where}{run}  validation AUC {trained.validation_auc:.3f}  ({how})"


def _prediction_task(wanted: SchemePredictions, group: int, processes: int, device: torch.device) -> Task:
    return Task(
        key=f"{wanted.seed} {wanted.prepared.fold} {wanted.scheme}",
        after=wanted.folder.key,
        cost=PREDICTING * sum(map(wanted.images, wanted.missing())),
        group=group,
        begin=lambda: (predict_parts, wanted.arguments(device)),
        end=lambda predicted: wanted.write(predicted, processes),
    )


@contextmanager
def _workers(shared: Share, images: int, progress: StudyProgress) -> Iterator[Workers]:
    """Yield who does the work: this process with a bar an epoch, or several with a bar for all ``images``."""
    if shared.processes == 1:
        with torch_threads(shared.threads):
            yield ThisProcess(progress)
        return
    assert shared.threads is not None
    title = f"training, {shared.processes} stages at a time" if images else "predicting"
    with (
        progress.task(title, images) as step,
        worker_processes(shared.processes, shared.threads, step) as workers,
    ):
        yield workers
