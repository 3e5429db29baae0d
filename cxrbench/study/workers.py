"""Who does the work: this process, or several beside each other that share the processor's threads.

DenseNet121 on small images gains little from a second thread: two processes of one thread each train half as
much again as one of two.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from threading import Thread
from typing import Any, Protocol

import torch

from cxrbench.errors import CxrbenchError
from cxrbench.training.loop import Progress

AT_MOST = 6
"""Processes where nobody says how many: each holds torch and a network, about a gigabyte."""


@dataclass(frozen=True)
class Share:
    """How many processes work at a time, and how many threads each of them has (None on a GPU).

    It follows from the machine and from what a person asks for, never from what there is to do: the number of
    threads is part of a checkpoint's key, and the checkpoints of six schemes are to be those of one scheme.
    """

    processes: int
    threads: int | None


def share(jobs: int | None, device: torch.device) -> Share:
    """Return how ``device`` is shared among ``jobs`` processes; None is one a thread, up to :data:`AT_MOST`.

    Raises
    ------
    CxrbenchError: ``jobs`` is below 1, or above 1 on a GPU.
    """
    if jobs is not None and jobs < 1:
        raise CxrbenchError(f"jobs = {jobs}: give 1 or more")
    if device.type != "cpu":
        if jobs is not None and jobs > 1:
            raise CxrbenchError(f"jobs = {jobs}: a GPU trains one stage at a time; leave jobs away")
        return Share(1, None)
    threads = torch.get_num_threads()
    processes = min(AT_MOST, threads) if jobs is None else jobs
    return Share(processes, max(1, threads // processes))


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch use ``count`` threads in this process for a while; None leaves them as they are."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Workers(Protocol):
    """Where functions are called: ``function(*arguments, progress)``, ``at_once`` of them at a time."""

    @property
    def at_once(self) -> int: ...

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]: ...


class ThisProcess:
    """One at a time, here; what a function raises comes out of ``submit``."""

    at_once = 1

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call ``function`` and return what it returned."""
        done: Future[Any] = Future()
        done.set_result(function(*arguments, self._progress))
        return done


@dataclass(frozen=True)
class Processes:
    """Several at a time, each in a process of its own; made by :func:`worker_processes`."""

    at_once: int
    _pool: ProcessPoolExecutor

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Have ``function`` called; it and its arguments must be picklable."""
        return self._pool.submit(_call, function, arguments)


@contextmanager
def worker_processes(count: int, threads: int, heard: Callable[[int], None]) -> Iterator[Processes]:
    """Yield ``count`` processes of ``threads`` torch threads each, which end with the block.

    They are started as they are needed. Where the block ends in an error, or this process in any way, they
    stop where they are: every file of a study is written whole or not at all.

    Parameters
    ----------
    heard: is called, in another thread, with the number of images whenever a process has trained some.

    Raises
    ------
    CxrbenchError: a process was ended from outside.
    """
    spawn = get_context("spawn")
    alive, keeps_alive = spawn.Pipe(duplex=False)
    steps = spawn.SimpleQueue()
    listener = Thread(target=_listen, args=(steps, heard), name="progress", daemon=True)
    listener.start()
    pool = ProcessPoolExecutor(count, spawn, _begin, (threads, alive, steps))
    try:
        yield Processes(count, pool)
    except BaseException as error:
        keeps_alive.close()
        pool.shutdown(cancel_futures=True)
        # Nothing is put into the queue here: a process may have ended with its lock.
        if isinstance(error, BrokenProcessPool):
            raise CxrbenchError(
                "a worker process was ended from outside, most often because memory ran out; "
                "take fewer with --jobs. What is finished is kept"
            ) from None
        raise
    else:
        pool.shutdown()
        steps.put(None)
        listener.join()
    finally:
        alive.close()
        keeps_alive.close()


def _listen(steps: SimpleQueue[int | None], heard: Callable[[int], None]) -> None:
    while (images := steps.get()) is not None:
        heard(images)


class _Steps:
    """A training's progress, told to the process that started this one."""

    def __init__(self, steps: SimpleQueue[int | None]) -> None:
        self._steps = steps

    def start(self, title: str, images: int) -> None:
        """Say nothing: the bar is that of all stages together."""

    def step(self, images: int, loss: float) -> None:  # noqa: ARG002
        """Tell how many images were trained on."""
        self._steps.put(images)

    def stop(self) -> None:
        """Say nothing."""


# A queue can be handed to a process only when it is started, so that a process must keep it.
_progress: Progress


def _begin(threads: int, alive: Connection, steps: SimpleQueue[int | None]) -> None:
    global _progress
    torch.set_num_threads(threads)
    # Ctrl-C goes to all processes of a terminal; the one that started this one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _progress = _Steps(steps)
    Thread(target=_end_with, args=(alive,), name="end-with-parent", daemon=True).start()


def _end_with(alive: Connection) -> None:
    """End this process when the other end of ``alive`` is closed, be it by the end of its process."""
    try:
        alive.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments, _progress)
    except CxrbenchError as error:
        # Of the subclasses, some are made of several arguments and do not come through to the parent.
        raise CxrbenchError(str(error)) from None
