"""What the import-linter contracts in pyproject.toml cannot say: which libraries a part may need."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import importlib, sys
for name in {names!r}:
    importlib.import_module(name)
    for heavy in {heavy!r}:
        assert heavy not in sys.modules, f"{{name}} imports {{heavy}}"
"""


@pytest.mark.parametrize(
    ("names", "heavy"),
    [
        (
            (
                "cxrbench",
                "cxrbench.statistics",
                "cxrbench.datasets",
                "cxrbench.schemes",
                "cxrbench.cohort.table",
                "cxrbench.radiograph",
                "cxrbench.training.config",
                "cxrbench.cli",
            ),
            ("torch", "torchvision", "safetensors", "matplotlib"),
        ),
        (("cxrbench.plugin",), ("torch", "numpy", "pandas", "sklearn", "statsmodels")),
        (("cxrbench.statistics",), ("pydicom", "PIL", "tomlkit", "jinja2")),
    ],
)
def test_a_part_imports_nothing_that_it_does_not_need(names: tuple[str, ...], heavy: tuple[str, ...]) -> None:
    program = PROGRAM.format(names=names, heavy=heavy)
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr
