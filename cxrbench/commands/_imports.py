"""Imports of a command that takes its time."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_from_the_collector() -> Iterator[None]:
    """Keep what is imported meanwhile from Python's garbage collector, which would find nothing in it.

    It would look through hundreds of thousands of objects while they are imported, and again and again later.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
