"""Where the work of a study is done: in this process, or in one process per device.

What is to be done are tasks (:mod:`cxrbench.study.graph`). A place does one task at a time; a study has one
place per device, or one per worker of a cluster (:mod:`cxrbench.study.cluster`). A process that is started
imports this module first, so nothing heavy is imported at its top: it can be stopped while it imports torch.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from cxrbench.errors import CxrbenchError
from cxrbench.processes import begin, signals_held, start_tracker

if TYPE_CHECKING:
    import torch

    from cxrbench.training.config import Precision, PrecisionChoice
    from cxrbench.training.loop import Progress

MOST_JOBS = 1000
"""More processes than any machine has threads are a slip of the pen."""

AT_MOST = 4
"""The most processes by default: each holds torch, a network and its images, one to two gigabytes."""

Work = Callable[["torch.device", "Progress"], Any]
"""A piece of work, called where it is done; it and what it returns must be picklable."""

Place = Callable[[Work], "Future[Any]"]
"""Takes one piece of work at a time."""


@dataclass(frozen=True)
class Places:
    """Where a study is done.

    description: what the last bits depend on: the device and its threads. fast: the precision that is
    fast there. count: how many places there are. opened: opens them for a block.
    """

    description: Mapping[str, str | int]
    fast: Precision
    count: int
    opened: Callable[[], AbstractContextManager[Sequence[Place]]]

    def precise(self, wanted: PrecisionChoice) -> Precision:
        """Return ``wanted``, or for "auto" the fast one."""
        return self.fast if wanted == "auto" else wanted


@dataclass(frozen=True)
class Task:
    """One piece of work in its order.

    key: its name; no two tasks have the same.
    after: the key of the task that must be done before; one that is not among the tasks is done already.
    cost: how long it takes, in any unit.
    group: tasks of a lower group go first, so that a study that is killed has whole seeds.
    """

    key: str
    after: str | None
    cost: float
    group: int
    work: Work


def completed(tasks: Sequence[Task], places: Sequence[Place]) -> Iterator[tuple[Task, Any]]:
    """Do ``tasks``, each listed after the one that it depends on.

    A single place does a group's tasks in their order. Several begin with the task that most work waits for
    (list scheduling by the critical path; Graham 1969), so that at the end none is left with a long chain.

    Yields
    ------
    Each task that is done, with what its work returned.

    Raises
    ------
    Whatever a task raises, as soon as it does; tasks that have not begun are left.
    """
    remaining = _remaining(tasks) if len(places) > 1 else {}
    waiting = sorted(tasks, key=lambda task: (task.group, -remaining.get(task.key, 0.0)))
    unfinished = {task.key for task in tasks}
    free = list(places)
    running: dict[Future[Any], tuple[Task, Place]] = {}
    while waiting or running:
        ready = [task for task in waiting if task.after not in unfinished]
        assert ready or running, f"no task can begin: {[task.key for task in waiting]}"
        for task in ready[: len(free)]:
            waiting.remove(task)
            place = free.pop(0)
            running[place(task.work)] = task, place
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in finished:
            task, place = running.pop(future)
            free.append(place)
            yield task, future.result()
            unfinished.remove(task.key)


def _remaining(tasks: Sequence[Task]) -> Mapping[str, float]:
    """Return each task's cost with that of the dearest chain of tasks behind it."""
    remaining: dict[str, float] = {}
    behind: dict[str | None, float] = {}
    for task in reversed(tasks):
        remaining[task.key] = task.cost + behind.get(task.key, 0.0)
        behind[task.after] = max(behind.get(task.after, 0.0), remaining[task.key])
    return remaining


def choose_devices(
    gpu: bool = False, jobs: int | None = None, devices: str | None = None
) -> tuple[torch.device, ...]:
    """Return the devices that ``--gpu``, ``--jobs`` and ``--devices`` name: one place for each.

    ``devices`` lists them ("cuda:0,cuda:1"; "cpu,cpu" for two processes). ``gpu`` is short for the current
    CUDA device and ``jobs`` for as many times the CPU. Without any of them it is the CPU once per thread, up
    to :data:`AT_MOST`.

    Raises
    ------
    CxrbenchError: two of them are given, a name is not a device, or a device is not here.
    """
    import torch

    from cxrbench.training.device import choose_device

    if sum((gpu, jobs is not None, devices is not None)) > 1 and not (gpu and jobs == 1):
        raise CxrbenchError(
            "--devices lists every place where a stage is trained; --gpu is short for one GPU and --jobs N "
            "for N times the CPU: give one of the three"
        )
    if devices is not None:
        return tuple(_device(name.strip()) for name in devices.split(","))
    if gpu:
        return (choose_device(gpu),)
    if jobs is not None and not 1 <= jobs <= MOST_JOBS:
        raise CxrbenchError(f"jobs = {jobs}: give 1 or more, at most {MOST_JOBS:,}")
    return (torch.device("cpu"),) * (default_places() if jobs is None else jobs)


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError:
        raise CxrbenchError(
            f"{name!r} is not a device; write cpu, cuda or cuda:0, separated by commas"
        ) from None
    if device.type not in ("cpu", "cuda"):
        raise CxrbenchError(f"stages are trained on cpu or cuda, not on {name!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CxrbenchError(f"device {name!r} is not here; torch finds {torch.cuda.device_count()} GPUs")
    return device


def default_places() -> int:
    """Return how many stages are trained on the CPU at a time by default."""
    import torch

    return min(AT_MOST, torch.get_num_threads())


def threads_each() -> int:
    """Return how many of torch's threads each stage gets on the CPU.

    It follows from the machine (or ``OMP_NUM_THREADS``) alone. The number of threads is part of a
    checkpoint's key, since the last bits depend on it: however many stages are trained at a time, the
    checkpoints are the same.
    """
    import torch

    return torch.get_num_threads() // default_places()


def local_places(devices: Sequence[torch.device], progress: Progress) -> Places:
    """Return a place for each of ``devices``: see :func:`open_places`.

    Raises
    ------
    CxrbenchError: the devices are not alike, so that a stage's bits would depend on where it was trained.
    """
    from cxrbench.training.device import choose_precision, describe_device

    described = {str(device): describe_device(device) for device in devices}
    description = alike(described)
    threads = threads_each() if "threads" in description else None
    return Places(
        description if threads is None else {**description, "threads": threads},
        choose_precision("auto", devices[0]),
        len(devices),
        partial(open_places, devices, threads, progress),
    )


def alike(described: Mapping[str, dict[str, str | int]]) -> dict[str, str | int]:
    """Return the one description of all devices or workers.

    Raises
    ------
    CxrbenchError: they are not alike, so that a stage's bits would depend on where it was trained.
    """
    (first, description), *others = described.items()
    for other, unlike in others:
        if unlike != description:
            raise CxrbenchError(
                f"{first} ({description['name']}) and {other} ({unlike['name']}) are not alike: use "
                "devices of one kind, so that a stage is the same wherever it is trained"
            )
    return description


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads in this process for a while; None leaves them as they are."""
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def open_places(
    devices: Sequence[torch.device], threads: int | None, progress: Progress
) -> Iterator[Sequence[Place]]:
    """Yield a place for each of ``devices``: this process for a single one, else a process for each.

    Processes are started as they are needed and end with the block. Where the block ends in an error, or this
    process in any way, they stop where they are: every file of a study is written whole or not at all.

    Parameters
    ----------
    threads: how many of torch's threads each place has; None leaves that as it is.
    progress: shows the work that is done in this process; other processes report nothing.

    Raises
    ------
    CxrbenchError: no process can be started here, or one was ended from outside.
    """
    if len(devices) == 1:
        yield [partial(_here, devices[0], threads, progress)]
        return
    start_tracker()
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    try:
        # One pool per device: a process keeps to its device, and no GPU holds the context of another's work.
        pools = [ProcessPoolExecutor(1, spawn, begin) for _ in devices]
    except (OSError, ImportError, NotImplementedError) as error:
        raise CxrbenchError(
            f"this system does not let processes work together ({error}): give --jobs 1"
        ) from None
    try:
        yield [
            partial(_elsewhere, pool, device, threads) for pool, device in zip(pools, devices, strict=True)
        ]
    except BaseException as error:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        if isinstance(error, BrokenProcessPool):
            raise CxrbenchError(
                "a worker process ended by itself. Memory may have run out: fewer --jobs need less. Or a "
                "script that calls run_study does not guard its main module (if __name__ == '__main__'). "
                "What is finished is kept"
            ) from error
        raise
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def _here(device: torch.device, threads: int | None, progress: Progress, work: Work) -> Future[Any]:
    done: Future[Any] = Future()
    with torch_threads(threads):
        done.set_result(work(device, progress))
    return done


def _elsewhere(
    pool: ProcessPoolExecutor, device: torch.device, threads: int | None, work: Work
) -> Future[Any]:
    # The process may be started here, and takes the blocked signals with it: see begin.
    with signals_held():
        return pool.submit(call, work, device, threads)


def call(work: Work, device: torch.device, threads: int | None) -> Any:
    """Do ``work`` on ``device`` in another process than the study's, without a progress bar."""
    from cxrbench.study.progress import Silent

    with torch_threads(threads):
        return work(device, Silent())
