"""The studies of a calibration: one job per seed, several at a time, one store of packs and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import torch

from cxrbench.calibration.knobs import knobs_text, with_knobs
from cxrbench.calibration.records import Knobs, Request, Row, Stage
from cxrbench.study.executor import Task, completed, open_places
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Bars, Lines, StudyProgress
from cxrbench.study.results import RESULTS, Results
from cxrbench.study.run import run_study
from cxrbench.training.loop import Progress


@dataclass(frozen=True)
class Job:
    """One seed at several points, one after the other; nothing of it after ``end``, in seconds since 1970.

    The stages that a knob does not touch are the same at every point. So no two jobs may share a seed: they
    would train the same checkpoint at once.
    """

    request: Request
    stage: Stage
    seed: int
    points: tuple[Knobs, ...]
    schemes: tuple[str, ...]
    end: float = inf

    def run(self, device: torch.device, _progress: Progress) -> tuple[Row, ...]:
        """Run the studies on ``device``; where several processes do so, their lines are enough."""
        if time.time() > self.end and not all(
            self.folder(knobs).joinpath(RESULTS).exists() for knobs in self.points
        ):
            return ()
        return tuple(_run(self, Bars() if len(self.request.devices) == 1 else Lines(), device))

    def folder(self, knobs: Knobs) -> Path:
        """Return where the study at ``knobs`` lies."""
        return self.request.out / "runs" / knobs_text(knobs) / f"seed-{self.seed}"


def run_jobs(request: Request, jobs: Sequence[Job]) -> tuple[Row, ...]:
    """Run ``jobs``, one at a time on each of the devices, and return their rows in the order of the jobs.

    What is in the store already is not done again, so a killed calibration goes on.

    Raises
    ------
    CxrbenchError: a study cannot be run; jobs that have not begun are left.
    """
    progress = Bars() if len(request.devices) == 1 else Lines()
    devices = request.devices[: len(jobs)]
    tasks = [Task(f"{job.stage} {job.seed}", None, 1, number, job.run) for number, job in enumerate(jobs)]
    # The studies see to their threads themselves.
    with open_places(devices, None, progress) as places:
        rows = {task.key: rows for task, rows in completed(tasks, places)}
    return tuple(row for task in tasks for row in rows[task.key])


def _run(job: Job, progress: StudyProgress, device: torch.device) -> Iterator[Row]:
    request = job.request
    profile = parse_profile(request.text, request.profile).with_seeds((job.seed,))
    for number, knobs in enumerate(job.points, start=1):
        name = knobs_text(knobs)
        results = run_study(
            with_knobs(profile, knobs),
            job.folder(knobs),
            schemes=job.schemes,
            where=replace(request.where, store=request.where.store or request.out, devices=(device,)),
            progress=progress,
        ).results
        aucs = ", ".join(f"{scheme.name} {scheme.auc:.3f}" for scheme in results.schemes)
        progress.say(f"{job.stage} {number} of {len(job.points)}  seed {job.seed}  {name}  {aucs}")
        yield from _rows(job, knobs, results)


def _rows(job: Job, knobs: Knobs, results: Results) -> Iterator[Row]:
    threads = results.device.get("threads")
    asked = {definition.partition("=")[0].strip() for definition in job.schemes}
    for scheme in (scheme for scheme in results.schemes if scheme.name in asked):
        (seed,) = scheme.seeds
        yield Row(
            stage=job.stage,
            knobs=knobs,
            seed=seed.seed,
            scheme=scheme.name,
            auc=seed.curve.auc,
            se_image=seed.image_se,
            se_clustered=seed.curve.se,
            sample=results.sample,
            cxrbench=results.versions["cxrbench"],
            torch=results.versions["torch"],
            torchvision=results.versions["torchvision"],
            threads=None if threads is None else int(threads),
            device=str(results.device["name"]),
            precision=str(results.training[results.target]["precision"]),
        )
