"""What a CPU has in the place of a CUDA graph: a step's operations, written down and done again in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Step = Callable[[], None]


class Tape(TorchDispatchMode):
    """Records as a CUDA graph does: operations and where their operands lie, and nothing of Python.

    What a step takes from Python instead of a tensor is the same in every replay, and so is found.
    recorded, plain: how often it was asked for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.recorded = self.plain = 0
        self._done: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self._done.append((func, args, kwargs or {}, out))
        return out

    def plainly(self, step: Step) -> None:
        self.plain += 1
        step()

    def record(self, step: Step) -> Step:
        self.recorded += 1
        self._done = []
        with self:
            step()
        done = self._done

        @torch.no_grad()
        def replay() -> None:
            for func, args, kwargs, kept in done:
                made = func(*args, **kwargs)
                own = [returned.alias_info is None for returned in func._schema.returns]
                whole = zip(own, made if isinstance(made, tuple) else [made], _several(kept), strict=False)
                for is_new, now, before in whole:
                    if is_new:
                        for one, other in zip(tree_leaves(now), tree_leaves(before), strict=True):
                            if isinstance(one, torch.Tensor):
                                other.copy_(one)

        return replay


def _several(kept: Any) -> Any:
    return kept if isinstance(kept, tuple) else [kept]
