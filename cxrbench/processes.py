"""Processes that start as fresh interpreters, leave Ctrl-C to the one that started them, and end with it.

A process that is started imports this module first, so nothing heavy is imported here: it
can be stopped while it imports what it works with.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Thread, current_thread, main_thread
from types import ModuleType
from typing import Any

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What glibc's malloc.h calls M_TRIM_THRESHOLD and M_MMAP_THRESHOLD."""
_LARGEST_MMAP_THRESHOLD = 2**25


class Apart(SpawnContext):
    """Starts processes that do not run the caller's script again, so that it needs no guarded main module.

    What they are handed must lie in modules that can be imported.
    """

    def __init__(self) -> None:
        super().__init__()
        self._started: list[SpawnProcess] = []

    def Process(self, *arguments: Any, **named: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802
        process = _Apart(*arguments, **named)
        self._started.append(process)
        return process

    def kill(self) -> None:
        """End all that were started, wherever they are."""
        for process in self._started:
            if process.pid is not None:
                process.kill()


class _Apart(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802
        # Multiprocessing names the main module's file to every new process, and has no switch for that.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


def start_tracker() -> None:
    """Start the process that removes shared semaphores, and have it do so without a warning.

    It warns where all of a study's processes were killed before they could remove their own.
    """
    if os.name != "posix":
        return
    quiet = "ignore::UserWarning:multiprocessing.resource_tracker"
    # A process of multiprocessing's is started with the options of this one.
    sys.warnoptions.append(quiet)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(quiet)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until a process is started: half started, it would end in a traceback.

    They are blocked for the process, which inherits that, and kept here: another thread may receive them.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)
    if not hasattr(signal, "pthread_sigmask") or current_thread() is not main_thread():
        yield
        return
    received: list[int] = []
    handlers = {
        number: signal.signal(number, lambda number, _: received.append(number)) for number in numbers
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


def begin() -> None:
    """Prepare a process that was started: it ends with its parent, and leaves Ctrl-C to it."""
    # Ctrl-C goes to all processes of a terminal; the one that started this one decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()


def keep_memory(most: int = 2**28) -> None:
    """Have this process keep up to ``most`` bytes that it has freed, for the next array of that size.

    The C library of Linux gives the end of its heap back at once. A process that reads one film after the
    other got it back from the system page by page, which took it a third as long as reading PNG. Elsewhere,
    nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_TRIM_THRESHOLD, most)
    mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
