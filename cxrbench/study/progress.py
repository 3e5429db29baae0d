"""How a study shows how far it is: bars on a terminal, nothing where there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

from tqdm import tqdm


class StudyProgress(Protocol):
    """Receives every step of a study; the training loop reports to it too."""

    @contextmanager
    def task(self, title: str, total: int = 0) -> Iterator[Callable[[int], None]]:
        """Announce a task and yield what is called with the number of images done since the last call.

        Where several processes work, that is called in another thread.
        """
        ...

    def say(self, line: str) -> None:
        """Print one line."""
        ...

    def start(self, title: str, images: int) -> None: ...
    def step(self, images: int, loss: float) -> None: ...
    def stop(self) -> None: ...


class Bars:
    """tqdm's bars: images per second and time left, with the loss in training; a line for what is finished.

    Where the stream is no terminal the bars are left out and the lines stay, so that a log can be read.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._bar: tqdm[Any] | None = None

    @contextmanager
    def task(self, title: str, total: int = 0) -> Iterator[Callable[[int], None]]:
        """Show a bar for ``total`` images."""
        with self._new(title, total) as bar:

            def step(images: int) -> None:
                bar.update(images)

            yield step

    def say(self, line: str) -> None:
        """Print ``line`` above the bars."""
        tqdm.write(line, file=self._stream)

    def start(self, title: str, images: int) -> None:
        """Show a bar for one epoch."""
        self._bar = self._new(title, images)

    def step(self, images: int, loss: float) -> None:
        """Move the epoch's bar and show the mean loss so far."""
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {loss:.4f}", refresh=False)
            self._bar.update(images)

    def stop(self) -> None:
        """Remove the epoch's bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _new(self, title: str, total: int) -> tqdm[Any]:
        return tqdm(
            total=total or None,
            desc=title,
            unit="image",
            unit_scale=True,
            leave=False,
            disable=None,
            file=self._stream,
            dynamic_ncols=True,
        )


class Silent:
    """No output at all."""

    @contextmanager
    def task(self, title: str, total: int = 0) -> Iterator[Callable[[int], None]]:  # noqa: ARG002
        """Yield a function that does nothing."""
        yield lambda _images: None

    def say(self, line: str) -> None:
        """Do nothing."""

    def start(self, title: str, images: int) -> None:
        """Do nothing."""

    def step(self, images: int, loss: float) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class Lines(Silent):
    """A line for what is finished and no bars: for several studies at once on one stream."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr

    def say(self, line: str) -> None:
        """Print ``line`` in one piece."""
        self._stream.write(f"{line}\n")
        self._stream.flush()
