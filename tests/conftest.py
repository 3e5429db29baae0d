"""Shared by all tests: pytest's own fixtures for plugins, and one tiny study, run once.

The study is of phantoms at 32 px, one epoch, two schemes: everything is there, and nothing means anything.
"""

from __future__ import annotations

import gc
import os
import signal

# Where modules are loaded there is no garbage, and looking for it takes a third of the time.
if gc.isenabled():
    gc.disable()

# What a shell starts in the background ignores Ctrl-C, and so would all that is tested here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Of pytest-xdist's workers each has a core, so a thread more would only be in the others' way. Before torch.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
import tiny_study
import torch
from hypothesis import settings
from made_up import study as made_up_study

from cxrbench.study.finished import FinishedStudy
from cxrbench.study.profile import Profile
from cxrbench.study.progress import Silent
from cxrbench.study.results import (
    Results,
)
from cxrbench.study.run import run_study
from cxrbench.study.where import Where

pytest_plugins = ["pytester"]

# A slow machine is no failure, and a change is tried on the same examples as what it changes. New ones are
# looked for every night: --hypothesis-profile=new-examples.
settings.register_profile("same-examples", deadline=None, derandomize=True)
settings.register_profile("new-examples", deadline=None, print_blob=True)
settings.load_profile("same-examples")


ONCE = (
    "cxrbench.study.run",
    "cxrbench.gate.rules",
    "cxrbench.report.write",
    "sklearn.metrics",
    "torch._dynamo",
)
"""What brings in numpy and torch with its compiler, which abort the process where they are imported twice."""


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Import what pytest's runs within a test need: pytester forgets what each of them has imported."""
    if "pytester" in getattr(item, "fixturenames", ()):
        for name in ONCE:
            import_module(name)


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but not among what was loaded: that stays."""
    gc.freeze()
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@dataclass(frozen=True)
class Ran:
    """A finished study and where it lies."""

    profile: Profile
    results: Results
    out: Path

    @property
    def study(self) -> FinishedStudy:
        return FinishedStudy(self.out, self.results)


class Log(Silent):
    """Keeps the lines that a study says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


def run(profile: Profile, out: Path, schemes: tuple[str, ...] = (), log: Log | None = None) -> Results:
    """Run ``profile`` on the CPU."""
    return run_study(
        profile,
        out,
        schemes=schemes,
        where=Where(devices=(torch.device("cpu"),)),
        progress=log or Silent(),
    ).results


@pytest.fixture(scope="session")
def tiny_profile() -> Profile:
    return tiny_study.profile()


@pytest.fixture(scope="session")
def tiny(tiny_profile, tmp_path_factory) -> Ran:
    out = tmp_path_factory.mktemp("tiny")
    return Ran(tiny_profile, run(tiny_profile, out, ("control", "findings")), out)


@pytest.fixture(scope="session")
def made_up():
    return made_up_study


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture(scope="session")
def tiny_text() -> str:
    return tiny_study.profile_text()


@pytest.fixture(scope="session")
def run_tiny():
    return run
