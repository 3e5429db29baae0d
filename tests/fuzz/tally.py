"""What came of many damaged files: counts, what was wrong, the slowest and the largest memory."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cxrbench.errors import CxrbenchError


def outcome(use: Callable[[], object], fine: str = "read") -> str:
    """Return ``fine``, "refused", or what was neither a result nor a refusal in one line."""
    try:
        use()
    except CxrbenchError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"several lines: {error!s}"[:300]
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    return fine


class Tally:
    """Collects outcomes; those that are not in ``fine`` are wrong."""

    def __init__(self, *fine: str) -> None:
        self.fine = fine
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.slowest = (0.0, "")

    def add(self, name: str, kind: str, use: Callable[[], str], *, counted: bool = True) -> None:
        """Call ``use``, which returns an outcome, and count it under ``kind`` unless it is wrong."""
        start = time.process_time()
        came = use()
        self.slowest = max(self.slowest, (time.process_time() - start, name))
        if came not in self.fine:
            self.wrong.append(f"{name}: {came}")
        elif counted:
            self.counts[f"{kind} {came}"] += 1

    def result(self) -> dict[str, Any]:
        """Return what the tests and the docs' evidence hold: seconds of the slowest, MiB of memory."""
        seconds, name = self.slowest
        return {
            "tally": self.counts,
            "slowest": seconds,
            "slowest_file": name,
            "largest": largest_memory(),
            "wrong": self.wrong,
        }


def largest_memory() -> int:
    """Return the largest memory of this process in MiB (Linux)."""
    # What `resource` says goes on from the process that started this one.
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
