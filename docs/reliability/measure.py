"""Measure what docs/reliability.md says, a part at a time, and keep it next to this file.

    python docs/reliability/measure.py                  # what there is to measure, and what is there
    python docs/reliability/measure.py kills-moments-1  # one part: up to some minutes on one core
    python docs/tables/fill.py                          # then: the tables

The programs are those of tests/fuzz and tests/reliability; the tests run a part of each.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parents[1] / "tests"
FUZZ, HARD = TESTS / "fuzz", TESTS / "reliability"

WRITES = 8
"""Writes per part."""

PARTS: dict[str, list[str]] = {
    **{f"own-{n}": [f"{FUZZ}/fuzz_own.py", str(n), "500", "STUDY", "FOLDER"] for n in range(11, 15)},
    **{f"images-{n}": [f"{FUZZ}/fuzz_images.py", str(n), "2000", "WHOLE"] for n in range(2, 8)},
    **{f"tables-{n}": [f"{FUZZ}/fuzz_tables.py", str(n), "1000", "FIXTURES", "FOLDER"] for n in range(2, 8)},
    **{f"texts-{n}": [f"{FUZZ}/fuzz_texts.py", str(n), "1000", "FOLDER"] for n in range(2, 4)},
    **{f"kills-moments-{n}": [f"{HARD}/kills.py", "FOLDER", "10", "0", "0", str(n)] for n in range(1, 4)},
    **{
        f"kills-writes-{n}": [f"{HARD}/kills.py", "FOLDER", "0", str(WRITES * n), str(WRITES * (n + 1)), "1"]
        for n in range(8)
    },
    **{f"damage-{n}": [f"{HARD}/damage.py", "FOLDER", f"{15 * n}:{15 * n + 15}"] for n in range(5)},
    **{
        f"disk-{kind}-{n}": [f"{HARD}/disk.py", "FOLDER", kind, str(WRITES * n), str(WRITES * (n + 1))]
        # A study makes more folders, where a read-only disk shows, than it finishes writes.
        for kind, parts in (("full", 8), ("read-only", 9))
        for n in range(parts)
    },
    "disk-tmpfs": [f"{HARD}/disk.py", "FOLDER", "tmpfs"],
    "bombs": [f"{HARD}/bombs.py", "FOLDER"],
}


def kept(part: str) -> Path:
    return HERE / f"{part.partition('-')[0]}.json"


def prepared(argument: str, folder: Path) -> str:
    """Return an argument with the place that it stands for."""
    if argument == "FOLDER":
        return str(folder)
    if argument == "FIXTURES":
        return str(TESTS.parent / "fixtures")
    if argument in ("STUDY", "WHOLE"):
        made = folder.with_name(argument.lower())
        code = {
            "STUDY": "from conftest import run; import tiny_study; from pathlib import Path; import sys; "
            "run(tiny_study.profile(), Path(sys.argv[1]), ('control', 'findings'))",
            "WHOLE": "import test_fuzz_images, sys; from pathlib import Path; "
            "test_fuzz_images.write_whole(Path(sys.argv[1]))",
        }[argument]
        subprocess.run([sys.executable, "-c", code, str(made)], check=True, env=environment())
        return str(made)
    return argument


def environment() -> dict[str, str]:
    paths = [TESTS.parent, TESTS, TESTS / "helpers", FUZZ, HARD]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"}


def main(parts: list[str]) -> None:
    if not parts:
        for part in PARTS:
            there = kept(part).exists() and part in json.loads(kept(part).read_text())
            print(f"{part:20} {'there' if there else '-'}")
    for part in (found for part in parts for found in PARTS if found == part or found.startswith(f"{part}-")):
        if kept(part).exists() and part in json.loads(kept(part).read_text()):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "folder"
            folder.mkdir()
            command = [prepared(argument, folder) for argument in PARTS[part]]
            done = subprocess.run(
                [sys.executable, *command], stdout=subprocess.PIPE, text=True, check=True, env=environment()
            )
        found = json.loads(done.stdout.splitlines()[-1])
        found["seconds_in_all"] = round(time.perf_counter() - started)
        found["made"] = {
            "day": datetime.now(UTC).date().isoformat(),
            "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        }
        path = kept(part)
        there = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps({**there, part: found}, indent=1, sort_keys=True) + "\n")
        print(f"{part}: {found['seconds_in_all']} s, wrong: {found.get('wrong', '-')}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
