"""The statistics stand alone: no torch, and nothing heavy before it is needed."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import cxrbench.statistics


def _modules_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has loaded after running ``code``."""
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(result.stdout.split())


def test_using_the_statistics_imports_no_torch_and_no_image_library():
    loaded = _modules_after(
        "from cxrbench.statistics import *\n"
        "labels = [0, 0, 1, 1, 0, 1]\n"
        "curves = {'a': [1, 3, 2, 4, 5, 6], 'b': [2, 1, 3, 4, 6, 5], 'c': range(6)}\n"
        "compare_all(labels, curves, range(6), margin=0.1)\n"
        "average_precision(labels, curves['a'])\n"
        "operating_points(labels, curves['a'], labels, curves['b'])\n"
    )
    assert "cxrbench.statistics.comparisons" in loaded
    assert not loaded & {"torch", "torchvision", "pydicom", "PIL", "matplotlib"}


def test_importing_the_statistics_loads_neither_statsmodels_nor_scikit_learn():
    assert not _modules_after("import cxrbench.statistics") & {"statsmodels", "sklearn", "torch"}


@pytest.mark.parametrize("name", ["evaluate", "compare"])
def test_importing_a_command_loads_nothing_heavy(name):
    loaded = _modules_after(f"from cxrbench.commands.{name} import command")
    assert not loaded & {"numpy", "pandas", "scipy", "statsmodels", "sklearn", "torch", "tabulate"}


def test_every_public_name_is_there_and_has_a_docstring():
    for name in cxrbench.statistics.__all__:
        public = getattr(cxrbench.statistics, name)
        if inspect.isclass(public) or inspect.isfunction(public):
            assert public.__doc__, name
    assert sorted(cxrbench.statistics.__all__) == cxrbench.statistics.__all__
