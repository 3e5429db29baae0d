"""Being stopped from outside: Ctrl-C and SIGTERM end a study in the same way, with its processes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """The process was asked to stop, by ``number``: SIGINT or SIGTERM.

    A KeyboardInterrupt, so that what cleans up after one does so here.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__("stopped; what is finished is kept, and the same command goes on with it")

    @property
    def exit_code(self) -> int:
        """What a shell says of a command that was ended by the signal: 130 or 143."""
        return 128 + self.number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise :class:`Stopped` in the block at Ctrl-C and at SIGTERM; a second one ends the process at once.

    Only a main thread receives signals: in another one, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def stop(number: int, _frame: FrameType | None) -> None:
        for caught in before:
            signal.signal(caught, signal.SIG_DFL)
        raise Stopped(number)

    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
