"""The studies of a calibration: one job a seed, several at a time, one store of packs and checkpoints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass

from cxrbench.calibration.knobs import knobs_text, with_knobs
from cxrbench.calibration.records import Knobs, Request, Row, Stage
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Bars, Lines, StudyProgress
from cxrbench.study.results import Results
from cxrbench.study.run import run_study
from cxrbench.study.workers import threads_each, worker_processes
from cxrbench.training.device import choose_device
from cxrbench.training.loop import Progress


@dataclass(frozen=True)
class Job:
    """One seed at several points, one after the other.

    The stages that a knob does not touch are the same at every point. So no two jobs may share a seed: they
    would train the same checkpoint at once.
    """

    request: Request
    stage: Stage
    seed: int
    points: tuple[Knobs, ...]
    schemes: tuple[str, ...]


def run_jobs(request: Request, jobs: Sequence[Job]) -> tuple[Row, ...]:
    """Run ``jobs``, ``request.jobs`` at a time, and return their rows in the order of the jobs.

    What is in the store already is not done again, so a killed calibration goes on.

    Raises
    ------
    CxrbenchError: a study cannot be run; jobs that have not begun are left.
    """
    workers = min(request.jobs, len(jobs))
    if request.jobs == 1:
        return tuple(row for job in jobs for row in _run(job, Bars()))
    # Counted by what was asked for and not by what there is to do: the number of threads is part of a
    # checkpoint's key, and the sweep's checkpoints are to be the confirmation's as well.
    threads = threads_each(request.jobs)
    # Nobody listens to how far each is: the lines of several studies are enough.
    with worker_processes(workers, threads, lambda _images: None) as processes:
        futures = [processes.submit(_run_in_worker, job) for job in jobs]
        _wait(futures)
    return tuple(row for future in futures for row in future.result())


def _wait(futures: Sequence[Future[tuple[Row, ...]]]) -> None:
    """Return when all are done; raise as soon as one fails."""
    for future in as_completed(futures):
        future.result()


def _run_in_worker(job: Job, progress: Progress) -> tuple[Row, ...]:  # noqa: ARG001
    return tuple(_run(job, Lines()))


def _run(job: Job, progress: StudyProgress) -> Iterator[Row]:
    request = job.request
    profile = parse_profile(request.text, request.profile).with_seeds((job.seed,))
    device = choose_device(request.gpu)
    for number, knobs in enumerate(job.points, start=1):
        name = knobs_text(knobs)
        results = run_study(
            with_knobs(profile, knobs),
            request.out / "runs" / name / f"seed-{job.seed}",
            store=request.out,
            data_root=request.data_root,
            schemes=job.schemes,
            device=device,
            progress=progress,
        ).results
        aucs = ", ".join(f"{scheme.name} {scheme.auc:.3f}" for scheme in results.schemes)
        progress.say(f"{job.stage} {number} of {len(job.points)}  seed {job.seed}  {name}  {aucs}")
        yield from _rows(job, knobs, results)


def _rows(job: Job, knobs: Knobs, results: Results) -> Iterator[Row]:
    threads = results.device.get("threads")
    for scheme in results.schemes:
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
        )
