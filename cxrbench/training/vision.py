"""torchvision, imported without torch's compiler: that would take as long as torch itself.

torchvision asks the compiler one question, when a detector pools its regions. No classifier does, and a
process that trains nothing needs no compiler.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

_COMPILER = "torch._dynamo"
_ASKED = f"{_COMPILER}.utils"


class _Later(ModuleType):
    """Stands for the module of its name, which is imported when it is needed."""

    def is_compile_supported(self, device: str) -> Any:
        """Answer as the module's function does."""
        return import_module(_ASKED).is_compile_supported(device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        _remove(self)
        return getattr(import_module(_ASKED), name)


@contextmanager
def _without_compiler() -> Iterator[None]:
    """Let what is imported meanwhile do without the compiler; where that is here already, nothing changes."""
    if _COMPILER in sys.modules:
        yield
        return
    stand_in = _Later(_ASKED)
    sys.modules[_ASKED] = stand_in
    try:
        yield
    finally:
        _remove(stand_in)


def _remove(stand_in: ModuleType) -> None:
    if sys.modules.get(_ASKED) is stand_in:
        del sys.modules[_ASKED]


with _without_compiler():
    import torchvision
    from torchvision.models import DenseNet
    from torchvision.models.densenet import _DenseBlock as DenseBlock

__all__ = ["DenseBlock", "DenseNet", "torchvision"]
