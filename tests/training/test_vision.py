"""torchvision without the compiler: a classifier misses nothing, and the rest comes when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASKED = """
import sys
from importlib import import_module
from cxrbench.training.network import Network
assert "torch._dynamo" not in sys.modules
Network("shufflenet_v2_x0_5", {{"covid": 1}}, seed=0)
assert "torch._dynamo" not in sys.modules
assert "torch._dynamo.utils" not in sys.modules
{then}
assert import_module("torch._dynamo.utils").__file__
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "then",
    [
        "assert import_module('torchvision.ops.roi_align').is_compile_supported('cpu') in (True, False)",
        "import torch; torch.compiler.disable(print); import torch._dynamo",
        "from torch._dynamo.utils import counters",
    ],
)
def test_the_compiler_is_imported_when_it_is_asked_and_not_before(then: str) -> None:
    child = subprocess.run(
        [sys.executable, "-c", ASKED.format(then=then)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr


STAND_IN = """
import sys
from cxrbench.training import vision
with vision._without_compiler():
    from torch._dynamo.utils import is_compile_supported, counters
assert is_compile_supported("cpu") in (True, False)
assert counters is sys.modules["torch._dynamo.utils"].counters
"""


@pytest.mark.slow
def test_whoever_asks_for_more_meanwhile_gets_the_compiler_itself() -> None:
    child = subprocess.run([sys.executable, "-c", STAND_IN], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
