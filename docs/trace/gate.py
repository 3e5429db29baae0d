"""Time the gate of a pull request on two cores, and keep it next to this file.

    python docs/trace/gate.py              # some three minutes
    python docs/tables/fill.py             # then: the table

What else runs on the machine makes the seconds more; the processor seconds say how much work it is.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_suffix(".json")
REPOSITORY = Path(__file__).parents[2]
CORES = 2


def timed(arguments: list[str]) -> dict[str, Any]:
    """Run ``arguments`` with this interpreter on two cores; return seconds, processor seconds, exit code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": str(CORES)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(seconds, 1),
        "processor seconds": round(spent, 1),
        "exit code": done.returncode,
    }


def main() -> int:
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    cxrbench = ["-c", "import sys; from cxrbench.cli import main; main(sys.argv[1:])"]
    profile = ["--profile", "phantom-small"]
    with tempfile.TemporaryDirectory() as folder:
        study, again, baseline = (f"{folder}/{name}" for name in ("study", "again", "baseline"))
        found = {"cxrbench study": timed([*cxrbench, "study", *profile, "--quiet", "--out", study])}
        timed([*cxrbench, "baseline", "save", baseline, "--study", study])
        found["cxrbench gate"] = timed([*cxrbench, "gate", study, "--baseline", baseline, "--no-speed"])
        found["pytest benchmarks"] = timed(
            ["-m", "pytest", "benchmarks", *profile, "--baseline", baseline, "--study-dir", again]
        )
    KEPT.write_text(json.dumps({"cores": CORES, "commands": found}, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
