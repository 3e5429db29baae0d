"""Train and predict what is missing from a study: all seeds, folds and schemes, several at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cxrbench.schemes import Plan, StageRun
from cxrbench.study.predictions import Files, SchemePredictions, join_folds, predict_parts
from cxrbench.study.prepare import Prepared
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.stages import Folders, Trained, plan_folders, stage_job, stage_start
from cxrbench.study.tasks import Task, do_all
from cxrbench.study.workers import Share, ThisProcess, Workers, torch_threads, worker_processes
from cxrbench.training.checkpoints import TrainedStage
from cxrbench.training.loop import train_stage

PREDICTING = 1 / 3
"""What an image costs in prediction of what it costs in training, where the gradient takes two thirds."""


@dataclass(frozen=True)
class Turn:
    """The plan with one seed, on all images or in one fold. ``number`` counts the seeds."""

    number: int
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
    turns = [
        _turn(profile, plan, fold, store, out, number, seed, described)
        for number, seed in enumerate(profile.seeds)
        for fold in prepared
    ]
    done: dict[str, TrainedStage] = {}
    stages = _stage_tasks(profile, turns, device, progress, done)
    predictions = [
        _prediction_task(wanted, turn.number, device)
        for turn in turns
        for wanted in turn.predictions
        if wanted.missing()
    ]
    if stages or predictions:
        images = int(sum(task.cost for task in stages))
        with _workers(shared, images, progress) as workers:
            do_all([*stages, *predictions], workers)
    trained: dict[int, list[dict[StageRun, TrainedStage]]] = {seed: [] for seed in profile.seeds}
    files: dict[int, list[Files]] = {seed: [] for seed in profile.seeds}
    for turn in turns:
        trained[turn.seed].append({run: done[folder.key] for run, folder in turn.folders.items()})
        files[turn.seed].append({wanted.scheme: wanted.kept() for wanted in turn.predictions})
    return trained, {
        seed: join_folds(folds, out, seed) if len(folds) > 1 else folds[0] for seed, folds in files.items()
    }


def _turn(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    store: Path,
    out: Path,
    number: int,
    seed: int,
    described: Mapping[str, str | int],
) -> Turn:
    folders = plan_folders(profile, plan, prepared, store, seed, described)
    predictions = tuple(
        SchemePredictions(profile, prepared, scheme, run, folders[run], seed, out)
        for scheme, run in plan.final.items()
    )
    return Turn(number, seed, prepared, folders, predictions)


def _stage_tasks(
    profile: Profile,
    turns: Sequence[Turn],
    device: torch.device,
    progress: StudyProgress,
    done: dict[str, TrainedStage],
) -> list[Task]:
    """Return a task for each distinct run that is not in the store; put those that are into ``done``.

    The tasks put theirs into ``done`` as well.
    """
    tasks: dict[str, Task] = {}
    for turn in turns:
        for run, folder in turn.folders.items():
            # Folds share the runs that have not seen the target.
            if folder.key in done or folder.key in tasks:
                continue
            kept = folder.finished()
            if kept is not None:
                done[folder.key] = kept
                progress.say(_told(profile, turn, run, kept, "kept from an earlier run"))
            else:
                tasks[folder.key] = _stage_task(profile, turn, run, device, progress, done)
    return list(tasks.values())


def _stage_task(
    profile: Profile,
    turn: Turn,
    run: StageRun,
    device: torch.device,
    progress: StudyProgress,
    done: dict[str, TrainedStage],
) -> Task:
    folder = turn.folders[run]

    def begin() -> tuple[Any, tuple[Any, ...]]:
        start = stage_start(profile, run, turn.prepared, turn.seed, turn.folders)
        return train_stage, (stage_job(profile, run, turn.prepared, turn.seed), start, folder, device)

    def end(trained: TrainedStage) -> None:
        done[folder.key] = trained
        progress.say(_told(profile, turn, run, trained, f"{trained.seconds:.0f} s"))

    images = sum(len(turn.prepared.roles[role].rows("train")) for role in run.stage.roles)
    return Task(
        key=folder.key,
        after=turn.folders[run.parent].key if run.parent else None,
        cost=images * profile.stage_config(run.stage).epochs,
        turn=turn.number,
        begin=begin,
        end=end,
    )


def _told(profile: Profile, turn: Turn, run: StageRun, trained: TrainedStage, how: str) -> str:
    fold = turn.prepared.fold
    where = f"fold {fold}  " if fold and profile.target in run.roles else ""
    return f"seed {turn.seed}  {where}{run}  validation AUC {trained.validation_auc:.3f}  ({how})"


def _prediction_task(wanted: SchemePredictions, turn: int, device: torch.device) -> Task:
    return Task(
        key=f"{wanted.seed} {wanted.prepared.fold} {wanted.scheme}",
        after=wanted.folder.key,
        cost=PREDICTING * sum(wanted.images(part) for part in wanted.missing()),
        turn=turn,
        begin=lambda: (predict_parts, wanted.arguments(device)),
        end=wanted.write,
    )


@contextmanager
def _workers(shared: Share, images: int, progress: StudyProgress) -> Iterator[Workers]:
    """Yield who does the work: this process with a bar an epoch, or several with a bar for all ``images``."""
    if shared.processes == 1:
        with torch_threads(shared.threads):
            yield ThisProcess(progress)
        return
    assert shared.threads is not None
    title = f"training, {shared.processes} stages at a time"
    with (
        progress.task(title, images) as step,
        worker_processes(shared.processes, shared.threads, step) as workers,
    ):
        yield workers
