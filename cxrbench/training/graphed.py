"""Record a step once, replay it: with a CUDA graph a GPU gets all of a step's work in one call.

A network of many small layers is otherwise bound by what it costs the host to start each of them. A step that
can be recorded takes no arguments and returns nothing: it reads and writes tensors that stay where they are,
and asks nothing of the device. What differs from step to step is found with a counter on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from cxrbench.text import complaint

Step = Callable[[], None]

WARM_UP = 3
"""Steps before the one that is recorded: libraries choose their algorithms then, and memory is laid out.

As PyTorch's notes on CUDA graphs have it. They count: they are steps of the training like any other.
"""


class Recorder(Protocol):
    """How a device records."""

    def plainly(self, step: Step) -> None:
        """Take ``step`` as one that comes before a recording."""

    def record(self, step: Step) -> Step:
        """Take ``step``, and return what takes it again."""


class CudaGraphs:
    """Records on a GPU, on a stream of its own, as recording demands."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def plainly(self, step: Step) -> None:
        """Take ``step`` on the stream that it is recorded on later."""
        usual = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            step()
        usual.wait_stream(self._stream)

    def record(self, step: Step) -> Step:
        """Record ``step``, which computes nothing yet, and replay it once."""
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as a progress bar's, may go on with what they do.
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"),
        ):
            step()
        graph.replay()
        return graph.replay


def recorder(device: torch.device) -> Recorder | None:
    """Return how steps are recorded on ``device``; on a CPU they are not, which gains nothing there."""
    return CudaGraphs(device) if device.type == "cuda" else None


class Replay:
    """A step that is taken plainly a few times, then recorded, and from then on replayed.

    It is given anew each time, and must be the same. Kept here, a method would keep its object, which keeps
    this, and with them a GPU's memory until Python looks for such circles.

    by: how it is recorded; with None every step is taken plainly.
    refused: why it could not be recorded, where that is so; it is then taken plainly. A network of a user's
    own may ask the device for a number on the way.
    """

    def __init__(self, by: Recorder | None) -> None:
        self._by = by
        self._taken = 0
        self._again: Step | None = None
        self.refused = ""

    def __call__(self, step: Step) -> None:
        """Take ``step``."""
        if self._again is not None:
            self._again()
        elif self._by is None or self.refused:
            step()
        elif self._taken < WARM_UP:
            self._by.plainly(step)
            self._taken += 1
        else:
            try:
                self._again = self._by.record(step)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                self.refused = complaint(error)
                step()

    def forget(self) -> None:
        """Begin anew, since the step does something else from now on, or in other places."""
        self._again = None
        self._taken = 0
