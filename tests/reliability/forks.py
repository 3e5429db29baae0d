"""Run studies in forks of this process, which has imported everything: each costs its own seconds alone.

For programs of their own (a process that runs tests has threads, which a fork loses).
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import timm  # noqa: F401
import tiny_study

import cxrbench.commands.study
import cxrbench.report.terminal
import cxrbench.study.run  # noqa: F401
from cxrbench.cli import main
from cxrbench.files import TEMPORARY

TRACEBACK = 70
SCHEME = "findings"


@dataclass(frozen=True)
class Ended:
    """How a study ended: its exit code (minus a signal's number), its last line, and its seconds."""

    code: int
    said: tuple[str, ...]
    seconds: float
    mebibytes: int

    @property
    def error(self) -> str:
        """The line that says what is wrong; empty where nothing is."""
        return next((line for line in self.said if line.startswith("Error: ")), "")

    @property
    def in_one_line(self) -> bool:
        """Whether it was refused: exit code 2 and one line of error, which is the last."""
        errors = [line for line in self.said if line.startswith(("Error", "Traceback"))]
        return self.code == 2 and len(errors) == 1 and self.said[-1] == errors[0]


def write_profile(folder: Path) -> Path:
    """Write the profile of a study of two stages of two epochs each, with a tiny network."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.toml"
    path.write_text(
        tiny_study.profile_text({"study.network": "timm:test_resnet", "stages.default.epochs": 2})
    )
    return path


def study(
    profile: Path, out: Path, before: Callable[[], None] | None = None, kill_after: float | None = None
) -> Ended:
    """Run the study of ``profile`` in ``out``.

    before: called in the study's process before it begins. kill_after: seconds until it is killed.
    """
    log = profile.parent / "log.txt"
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        code = TRACEBACK
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            sys.stdout = sys.stderr = os.fdopen(1, "w", buffering=1)
            try:
                if before is not None:
                    before()
                main(
                    [
                        *("study", "--profile", str(profile), "--out", str(out)),
                        *("--scheme", SCHEME, "--jobs", "1", "--no-report"),
                    ]
                )
            except SystemExit as stop:
                code = stop.code if isinstance(stop.code, int) else 1
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
        os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, 9)
    _, status, usage = os.wait4(child, 0)
    lines = tuple(line for line in log.read_text(errors="replace").splitlines() if line.strip())
    code = os.waitstatus_to_exitcode(status)
    return Ended(code, lines, time.perf_counter() - started, usage.ru_maxrss // 1024)


def predictions(out: Path) -> dict[str, str]:
    """Return name -> SHA-256 of the prediction files."""
    files = sorted((out / "predictions").rglob("*.csv"))
    return {str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def aucs(out: Path) -> list[float]:
    return [scheme["auc"] for scheme in json.loads((out / "results.json").read_text())["schemes"]]


def left(out: Path) -> list[str]:
    """Return what a write that was stopped left in ``out``."""
    return sorted(str(p.relative_to(out)) for p in out.rglob("*") if p.name.startswith((TEMPORARY, ".tmp")))


def largest_memory() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
