"""Work for the tests of processes: a process that is started must be able to import it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from cxrbench.errors import CohortError


def square(number: int) -> tuple[int, int]:
    """Return a number's square, and which process found it."""
    return number * number, os.getpid()


@dataclass(frozen=True)
class Deadly:
    """Ends the process at some numbers, unless it is that of the tests."""

    tests: int
    numbers: frozenset[int]

    def __call__(self, number: int) -> tuple[int, int]:
        if number in self.numbers and os.getpid() != self.tests:
            os.kill(os.getpid(), signal.SIGKILL)
        return square(number)


def refuse(number: int) -> int:
    """Refuse the hundredth."""
    if number == 100:
        raise CohortError("the hundredth is refused")
    return number


@dataclass(frozen=True)
class Elsewhere:
    """Is pickled, and read again in the process of the tests alone."""

    tests: int

    def __call__(self, number: int) -> tuple[int, int]:
        return square(number)

    def __reduce__(self) -> tuple[Callable[[int], Elsewhere], tuple[int]]:
        return only_here, (self.tests,)


def only_here(tests: int) -> Elsewhere:
    if os.getpid() != tests:
        raise ImportError("no such module there")
    return Elsewhere(tests)
