"""The same work on many items, such as reading films, on all cores and in order.

It begins with threads, which start at once. Some decoders never let go of the interpreter's lock, so that two
threads read no more than one. Where much is left to do, processes are started meanwhile, and then take over.
"""

from __future__ import annotations

import os
import pickle
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

from cxrbench.processes import Apart, begin, keep_memory, signals_held, start_tracker

T = TypeVar("T")
R = TypeVar("R")

SAMPLE = 1.0
"""Seconds of work by which the rest is reckoned."""
WORTH = 5.0
"""Seconds that threads would still take from which processes are started."""
LOST = "the process that read it ended by itself: its decoder crashed, or memory ran out"

_AT_ONCE = 4
"""Items that a process is handed at a time: handing over has a price."""
_AHEAD = 4
"""Handfuls a core that are begun, or done and not asked for yet."""


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[T], R], items: Sequence[T], lost: Callable[[T], R], workers: int | None = None
) -> Generator[R, None, None]:
    """Yield ``work(item)`` of each item, in order, with a few items a core in memory at a time.

    Close the generator where it is not read to its end: threads and processes end with it.

    Parameters
    ----------
    work: what cannot be pickled is done by threads alone.
    items: such as the paths of files.
    lost: gives the result of an item at which its process ends by itself.
    workers: how many work at a time; by default one per core. A single one is the caller's thread.

    Raises
    ------
    Whatever ``work`` raises.
    """
    cores = usable_cores() if workers is None else max(1, workers)
    if cores == 1:
        yield from map(work, items)
        return
    waiting: deque[tuple[Sequence[T], Future[list[R]]]] = deque()
    given = done = 0
    with _Crew(work, lost, cores) as crew:
        while done < len(items):
            while given < len(items) and len(waiting) < _AHEAD * cores:
                some = items[given : given + crew.at_once]
                waiting.append((some, crew.begin(some)))
                given += len(some)
            for result in crew.results(*waiting.popleft()):
                yield result
                done += 1
            crew.look_ahead(done, len(items) - given)


class _Crew(Generic[T, R]):
    """Threads, and later processes, that do ``work``."""

    def __init__(self, work: Callable[[T], R], lost: Callable[[T], R], cores: int) -> None:
        self._work, self._lost, self._cores = work, lost, cores
        self._threads = ThreadPoolExecutor(cores, thread_name_prefix="cores")
        self._processes: _Processes | None = None
        self._alone: _Processes | None = None
        """A single process, for what may have ended another."""
        self._asked, self._ready = False, False
        """Whether processes were thought of, and whether they are at work."""
        self._started = time.monotonic()

    def __enter__(self) -> _Crew[T, R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for processes in (self._processes, self._alone):
            if processes is not None:
                processes.end(at_once=error is not None)
        self._threads.shutdown(cancel_futures=True)

    @property
    def at_once(self) -> int:
        return _AT_ONCE if self._ready else 1

    def begin(self, some: Sequence[T]) -> Future[list[R]]:
        """Have ``some`` done."""
        if self._processes is None or not self._ready:
            return self._threads.submit(_done, self._work, some)
        try:
            return self._processes.do(some)
        except BrokenProcessPool:
            self._processes = self._processes.again()
            return self._processes.do(some)

    def results(self, some: Sequence[T], future: Future[list[R]]) -> Iterable[R]:
        """Return what became of ``some``."""
        try:
            return future.result()
        except BrokenProcessPool:
            # An item ended its process, and all that were in hand with it: each of them once more, alone.
            return map(self._once_more, some)

    def look_ahead(self, done: int, left: int) -> None:
        """Start processes where the ``left`` items are worth it, and use them as soon as they are there."""
        if self._processes is not None and not self._ready:
            begun = self._processes.begun()
            if begun is False:
                self._processes.end(at_once=True)
                self._processes = None
            self._ready = bool(begun)
        elapsed = time.monotonic() - self._started
        if not self._asked and elapsed >= SAMPLE and elapsed / done * left >= WORTH:
            self._asked = True
            self._processes = _Processes.started(self._work, self._cores)

    def _once_more(self, item: T) -> R:
        assert self._processes is not None
        if self._alone is None:
            self._alone = self._processes.again(count=1)
        try:
            result: R = self._alone.do([item]).result()[0]
        except BrokenProcessPool:
            self._alone.end(at_once=True)
            self._alone = None
            result = self._lost(item)
        return result


class _Processes:
    """Processes that do the work that was ``pickled``."""

    def __init__(self, pickled: bytes, count: int) -> None:
        start_tracker()
        self._pickled, self._count = pickled, count
        self._apart = Apart()
        self._pool = ProcessPoolExecutor(count, self._apart, _prepare, (pickled,))
        # With nothing to do, one for each: all start now.
        self._first = [self.do([]) for _ in range(count)]

    @classmethod
    def started(cls, work: Callable[[Any], Any], count: int) -> _Processes | None:
        """Return processes for ``work``; None where it cannot be pickled, or none can be started here."""
        try:
            return cls(pickle.dumps(work), count)
        except Exception:  # Pickling runs the code of whoever wrote the data set.
            return None

    def again(self, count: int | None = None) -> _Processes:
        """Return new processes for the same work."""
        if count is None:
            self.end(at_once=True)
        return _Processes(self._pickled, count or self._count)

    def begun(self) -> bool | None:
        """Return whether the processes can do the work; None while they are starting."""
        if not all(first.done() for first in self._first):
            return None
        return all(first.exception() is None for first in self._first)

    def do(self, some: Sequence[Any]) -> Future[list[Any]]:
        """Have ``some`` done.

        Raises
        ------
        BrokenProcessPool: a process has ended by itself.
        """
        # A process may be started here, and takes the blocked signals with it: see begin.
        with signals_held():
            return self._pool.submit(_done_there, some)

    def end(self, at_once: bool) -> None:
        """End the processes; ``at_once`` wherever they are."""
        if at_once:
            self._apart.kill()
        self._pool.shutdown(cancel_futures=True)


def _done(work: Callable[[T], R], some: Sequence[T]) -> list[R]:
    return [work(item) for item in some]


_pickled = b""
_work: Callable[[Any], Any] | None = None
"""In a process that was started: the work that it does."""


def _prepare(pickled: bytes) -> None:
    global _pickled
    begin()
    keep_memory()
    _pickled = pickled


def _done_there(some: Sequence[Any]) -> list[Any]:
    global _work
    if _work is None:
        # Here and not in _prepare: what cannot be imported then is an answer, and no end of the process.
        _work = pickle.loads(_pickled)
    return _done(_work, some)
