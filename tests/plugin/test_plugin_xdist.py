"""The benchmarks under pytest-xdist: one worker runs the study, the others wait, the controller shows it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("xdist")
# Each worker imports torch anew.
pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
QUIET = ("-p", "no:cacheprovider", "-p", "xdist", "-n", "2", "--cxr-jobs", "1")

# One line per run of the study, whoever runs it.
COUNTED = """
import os
import pytest
from cxrbench.study import run as module

@pytest.fixture(scope="session", autouse=True)
def counted():
    real = module.run_study
    def counting(*args, **kwargs):
        with open({path!r}, "a") as file:
            file.write(f"{{os.getpid()}}\\n")
        {instead}
        return real(*args, **kwargs)
    module.run_study = counting
    yield
    module.run_study = real
"""


@pytest.fixture
def project(pytester, tiny_text):
    pytester.makefile(".toml", tiny=tiny_text)
    return pytester


def counted(project, instead="pass"):
    project.makeconftest(COUNTED.format(path=str(project.path / "runs"), instead=instead))


def test_one_worker_runs_the_study_and_the_controller_shows_its_table(project):
    counted(project)
    project.makepyfile(
        test_a="def test_a(cxr_study, worker_id): assert cxr_study.results.names == ('control',)",
        test_b="def test_b(cxr_study, worker_id): assert cxr_study.results.names == ('control',)",
    )
    options = ("--cxr-profile", "tiny.toml", "--cxr-scheme", "control", "--cxr-report-dir", "page", "-v")
    result = project.runpytest_subprocess(*QUIET, "--dist", "each", *options)
    assert result.parseoutcomes()["passed"] == 4
    assert len((project.path / "runs").read_text().splitlines()) == 1
    shown = result.stdout.str()
    assert shown.count("= cxrbench =") == shown.count("report: ") == 1
    result.stdout.fnmatch_lines(["*= cxrbench =*", "control *", "report: *index.html"])


def test_a_study_that_fails_is_not_tried_by_every_worker(project):
    counted(project, "from cxrbench.errors import CxrbenchError; raise CxrbenchError('no such luck')")
    project.makepyfile("def test_a(cxr_study): pass")
    result = project.runpytest_subprocess(*QUIET, "--dist", "each", "--cxr-profile", "tiny.toml")
    assert result.parseoutcomes()["errors"] == 2
    assert len((project.path / "runs").read_text().splitlines()) == 1
    assert result.stdout.str().count("CxrbenchError: no such luck") >= 2


@pytest.mark.parametrize("arguments", [("-p", "xdist", "-n", "2"), ("--benchmark-disable",)], ids=" ".join)
def test_every_benchmark_runs_without_timing_and_at_the_smallest_size(project, arguments):
    shutil.copytree(BENCHMARKS, project.path / "benchmarks", ignore=shutil.ignore_patterns("__pycache__"))
    options = ("--profile", "tiny.toml", "--scheme", "control", "--scheme", "findings", "--jobs", "1")
    result = project.runpytest_subprocess(
        "-p", "no:cacheprovider", "-m", "not slow and not nightly", *arguments, "benchmarks", *options
    )
    outcomes = result.parseoutcomes()
    assert outcomes["passed"] > 10
    assert not {"failed", "errors"} & set(outcomes)
    result.stdout.fnmatch_lines(["*= cxrbench =*", "control *"])
