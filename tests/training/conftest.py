"""Shared by the tests of training."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from cxrbench.training.checkpoints import TrainedStage


def loaded(name: str) -> Iterator[ModuleType]:
    """Yield the file ``name`` here as a module; it is loaded by its path because tests are no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


@pytest.fixture(scope="session")
def easy() -> Iterator[ModuleType]:
    """Return ``easy_stage.py`` as a module."""
    yield from loaded("easy_stage")


@pytest.fixture(scope="session")
def team_stage() -> Iterator[ModuleType]:
    """Return ``team_stage.py`` as a module."""
    yield from loaded("team_stage")


@pytest.fixture(scope="session")
def _tape_module() -> Iterator[ModuleType]:
    yield from loaded("tape")


@pytest.fixture
def tape(_tape_module: ModuleType) -> Any:
    """Return what records steps on a CPU: see ``tape.py``."""
    return _tape_module.Tape()


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: at 32 px a second one gains little, and waits where the machine is shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def unbroken(easy: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainedStage]:
    """Return a function that gives the easy stage of a precision and network, trained without a break."""

    @cache
    def trained(precision: str, network: str = "densenet121") -> TrainedStage:
        job = easy.job(easy.config(precision=precision))
        return easy.train(tmp_path_factory.mktemp(precision), job, network=network)

    return trained
