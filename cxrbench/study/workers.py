"""Who does the work: this process, or several beside each other that share the processor's threads.

DenseNet121 on small images gains little from a second thread, so that two processes of one thread each are
faster together than one of two.
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
from multiprocessing.synchronize import Lock
from threading import Thread
from typing import Any, Protocol

import torch

from cxrbench.errors import CxrbenchError
from cxrbench.training.loop import Progress

AT_MOST = 4
"""Processes where nobody says how many: each holds torch, a network and its images, one to two gigabytes."""


@dataclass(frozen=True)
class Share:
    """How many processes work at a time, and how many threads each of them has (None on a GPU).

    It follows from the machine and from what a person asks for, never from what there is to do: the number of
    threads is part of a checkpoint's key, and the checkpoints of six schemes are to be those of one scheme.
    """

    processes: int
    threads: int | None


def threads_each(processes: int) -> int:
    """Return how many of torch's threads each of ``processes`` has: its share, at least one."""
    return max(1, torch.get_num_threads() // processes)


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
    processes = min(AT_MOST, torch.get_num_threads()) if jobs is None else jobs
    return Share(processes, threads_each(processes))


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
        # The process may be started here, and takes the blocked signal with it: see _begin.
        with _no_interrupt():
            return self._pool.submit(_call, function, arguments)


@contextmanager
def worker_processes(count: int, threads: int, heard: Callable[[int], None]) -> Iterator[Processes]:
    """Yield ``count`` processes of ``threads`` torch threads each, which end with the block.

    They are started as they are needed. Where the block ends in an error, or this process in any way, they
    stop where they are: every file of a study is written whole or not at all.

    Parameters
    ----------
    heard: is called, in another thread, with the number of images whenever a process has trained some. What
        it raises is raised at the end of the block.

    Raises
    ------
    CxrbenchError: no process can be started here, or one was ended from outside.
    """
    spawn = get_context("spawn")
    alive, keeps_alive = spawn.Pipe(duplex=False)
    steps, tell = spawn.Pipe(duplex=False)
    try:
        lock = spawn.Lock()
        pool = ProcessPoolExecutor(count, spawn, _begin, (threads, alive, tell, lock))
    except (OSError, ImportError, NotImplementedError) as error:
        raise CxrbenchError(
            f"this system does not let processes work together ({error}): give --jobs 1"
        ) from None
    listener = _Listener(steps, heard)
    try:
        yield Processes(count, pool)
    except BaseException as error:
        keeps_alive.close()
        if isinstance(error, BrokenProcessPool):
            raise CxrbenchError(
                "a worker process ended by itself. Memory may have run out: fewer --jobs need less. Or a "
                "script that calls run_study does not guard its main module (if __name__ == '__main__'). "
                "What is finished is kept"
            ) from error
        raise
    finally:
        pool.shutdown(cancel_futures=True)
        # The processes' ends are closed by now, and with this one the listener comes to the end.
        tell.close()
        listener.join()
        for end in (alive, keeps_alive, steps):
            end.close()
    if listener.error is not None:
        raise listener.error


@contextmanager
def _no_interrupt() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Listener(Thread):
    """Hears what the processes tell, to the end: one that nobody listens to would wait for ever."""

    def __init__(self, steps: Connection, heard: Callable[[int], None]) -> None:
        super().__init__(name="progress", daemon=True)
        self.error: Exception | None = None
        self._steps = steps
        self._heard = heard
        self.start()

    def run(self) -> None:
        while True:
            try:
                images = self._steps.recv()
            except (EOFError, OSError):
                return
            if self.error is None:
                try:
                    self._heard(images)
                except Exception as error:
                    self.error = error


class _Steps:
    """A training's progress, told to the process that started this one."""

    def __init__(self, tell: Connection, lock: Lock) -> None:
        self._tell = tell
        self._lock = lock

    def start(self, title: str, images: int) -> None:
        """Say nothing: the bar is that of all stages together."""

    def step(self, images: int, loss: float) -> None:  # noqa: ARG002
        """Tell how many images were trained on."""
        with self._lock:
            self._tell.send(images)

    def stop(self) -> None:
        """Say nothing."""


# What is handed to a process when it is started must be kept there.
_progress: Progress


def _begin(threads: int, alive: Connection, tell: Connection, lock: Lock) -> None:
    global _progress
    torch.set_num_threads(threads)
    # Ctrl-C goes to all processes of a terminal; the one that started this one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _progress = _Steps(tell, lock)
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
        raise _portable(error) from None


def _portable(error: CxrbenchError) -> CxrbenchError:
    """Return ``error`` as one that comes through to another process: made of its message alone."""
    try:
        return type(error)(str(error))
    except TypeError:
        return CxrbenchError(str(error))
