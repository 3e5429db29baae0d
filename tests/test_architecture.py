"""The way of the data: nothing further right is imported by anything further left.

    folder -> cohort -> pack -> split -> plan -> train -> checkpoints -> predictions -> statistics -> verdict

The imports are read from the sources, so one inside a function or under ``TYPE_CHECKING`` counts as well.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import cxrbench

PACKAGE = Path(cxrbench.__file__).parent

# From left to right. "x.*" is the package x and all below it; a name without a star is that module alone, and
# goes before a star. The package cohort itself stands with its table: importing the table runs its __init__.
LAYERS = (
    ("cxrbench", "cxrbench.errors"),
    ("cxrbench.settings",),
    ("cxrbench.radiograph.*",),
    ("cxrbench.cohort", "cxrbench.cohort.table", "cxrbench.cohort.storage"),
    ("cxrbench.datasets.*",),
    ("cxrbench.cohort.*",),
    ("cxrbench.schemes.*",),
    ("cxrbench.training.*",),
    ("cxrbench.statistics.*",),
    ("cxrbench.study.*",),
    ("cxrbench.gate.*",),
    ("cxrbench.faults.*",),
    ("cxrbench.report.*",),
    ("cxrbench.calibration.*",),
    ("cxrbench.commands.*", "cxrbench.cli", "cxrbench.plugin", "cxrbench.__main__"),
)
STATISTICS_MAY_USE = {"numpy", "pandas", "scipy", "sklearn", "statsmodels"}


def layer(module: str) -> int:
    """Return the position of ``module`` in :data:`LAYERS`."""
    for position, names in enumerate(LAYERS):
        if module in names:
            return position
    parts = module.split(".")
    for length in range(len(parts), 1, -1):
        pattern = ".".join(parts[:length]) + ".*"
        for position, names in enumerate(LAYERS):
            if pattern in names:
                return position
    raise LookupError(f"{module} has no place in LAYERS; give it one")


def sources() -> dict[str, Path]:
    """Return module -> file for everything in the package."""
    found = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(source: str, module: str, is_package: bool) -> Iterator[str]:
    """Yield the full names that ``source`` imports: modules, and module.name for what is taken from one."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                parents = parts[: len(parts) - node.level + (1 if is_package else 0)]
                base = ".".join([*parents, *([base] if base else [])])
            for alias in node.names:
                yield f"{base}.{alias.name}"
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def module_of(name: str, modules: dict[str, Path]) -> str:
    """Return the module that a full name stands for or lies in."""
    while name not in modules and "." in name:
        name = name.rpartition(".")[0]
    return name


MODULES = sources()


def below(*packages: str) -> list[str]:
    """Return the modules of ``packages``."""
    return [name for name in MODULES if any(f"{name}.".startswith(f"{package}.") for package in packages)]


def own_imports(module: str) -> set[str]:
    file = MODULES[module]
    names = imports(file.read_text(encoding="utf-8"), module, file.name == "__init__.py")
    return {module_of(name, MODULES) for name in names if name.split(".")[0] == "cxrbench"}


def foreign_imports(module: str) -> set[str]:
    file = MODULES[module]
    names = imports(file.read_text(encoding="utf-8"), module, file.name == "__init__.py")
    return {name.split(".")[0] for name in names} - {"cxrbench"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_nothing_to_its_right(module: str) -> None:
    to_the_right = {name for name in own_imports(module) if layer(name) > layer(module)}
    assert to_the_right == set()


@pytest.mark.parametrize("module", below("cxrbench.statistics"))
def test_statistics_stand_alone(module: str) -> None:
    others = {name for name in own_imports(module) if not f"{name}.".startswith("cxrbench.statistics.")}
    assert others <= {"cxrbench.errors"}
    assert foreign_imports(module) <= STATISTICS_MAY_USE


@pytest.mark.parametrize("module", below("cxrbench.radiograph", "cxrbench.datasets"))
def test_reading_a_data_set_needs_torch_only_for_the_phantom(module: str) -> None:
    if not module.startswith("cxrbench.datasets.phantom"):
        assert not foreign_imports(module) & {"torch", "torchvision", "safetensors"}


def test_importing_what_needs_no_training_imports_no_torch() -> None:
    program = """
import importlib, importlib.util, sys
for name in ("cxrbench", "cxrbench.statistics", "cxrbench.datasets", "cxrbench.schemes", "cxrbench.cohort",
             "cxrbench.cohort.table", "cxrbench.radiograph", "cxrbench.training.config", "cxrbench.cli",
             "cxrbench.plugin"):
    if importlib.util.find_spec(name) is not None:
        importlib.import_module(name)
        assert "torch" not in sys.modules, f"{name} imports torch"
"""
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr


# -- the reader of imports itself


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import cxrbench.study.run as r", {"cxrbench.study.run"}),
        ("from cxrbench.study import run", {"cxrbench.study.run"}),
        ("def f():\n    from cxrbench.study.run import g", {"cxrbench.study.run.g"}),
        ("if TYPE_CHECKING:\n    import cxrbench.study", {"cxrbench.study"}),
        ("from . import table", {"cxrbench.cohort.table"}),
        ("from .table import Cohort", {"cxrbench.cohort.table.Cohort"}),
        ("from ..study import run", {"cxrbench.study.run"}),
        ("importlib.import_module('cxrbench.study')", {"cxrbench.study"}),
        ("text = 'import cxrbench.study'", set()),
    ],
)
def test_imports_are_found_wherever_they_stand(source: str, found: set[str]) -> None:
    assert set(imports(source, "cxrbench.cohort.split", is_package=False)) == found


def test_a_relative_import_in_a_package_is_relative_to_itself() -> None:
    assert set(imports("from .table import Cohort", "cxrbench.cohort", is_package=True)) == {
        "cxrbench.cohort.table.Cohort"
    }


def test_a_name_is_brought_back_to_its_module() -> None:
    modules = {"cxrbench": Path(), "cxrbench.cohort": Path(), "cxrbench.cohort.table": Path()}
    assert module_of("cxrbench.cohort.table.Cohort", modules) == "cxrbench.cohort.table"
    assert module_of("cxrbench.cohort.Cohort", modules) == "cxrbench.cohort"
    assert module_of("cxrbench.__version__", modules) == "cxrbench"


def test_the_layers_are_told_apart() -> None:
    order = [
        "cxrbench.errors",
        "cxrbench.radiograph.dicom",
        "cxrbench.cohort",
        "cxrbench.datasets.phantom.latents",
    ]
    order += [
        "cxrbench.cohort.split",
        "cxrbench.schemes",
        "cxrbench.training.loop",
        "cxrbench.statistics.delong",
    ]
    order += ["cxrbench.study.run", "cxrbench.report.terminal", "cxrbench.commands.study"]
    found = [layer(name) for name in order]
    assert found == sorted(set(found))
    with pytest.raises(LookupError, match=r"cxrbench.elsewhere has no place"):
        layer("cxrbench.elsewhere")
