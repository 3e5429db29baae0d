"""Let a study's disk be full or read-only, at every write, and see what it says and whether it goes on.

python disk.py FOLDER full|read-only FIRST LAST     simulated: one write after the other fails
python disk.py FOLDER tmpfs                         a real file system in memory (Linux, root)

Simulated, a full disk is an ``fsync`` that fails with ENOSPC, as where a file system allocates late; a
read-only one is a ``mkdir`` that fails with EROFS: each write makes a temporary folder first. Prints one JSON
object.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from forks import Ended, left, predictions, study, write_profile

FAULTS = {"full": ("fsync", errno.ENOSPC), "read-only": ("mkdir", errno.EROFS)}


def failing(kind: str, number: int, count: Path | None = None) -> Callable[[], None]:
    """Return what has the call of that number fail; all are written to ``count``."""
    name, code = FAULTS[kind]

    def prepare() -> None:
        real, calls = getattr(os, name), [0]

        def call(target: object, *rest: object, **more: object) -> object:
            calls[0] += 1
            if count is not None:
                count.write_text(str(calls[0]))
            if calls[0] - 1 == number:
                raise OSError(code, os.strerror(code))
            return real(target, *rest, **more)

        setattr(os, name, call)

    return prepare


def row(what: str, ended: Ended, out: Path, again: Ended, whole: dict[str, str]) -> dict[str, object]:
    return {
        "what": what,
        "code": ended.code,
        "in_one_line": ended.in_one_line,
        "said": ended.error.replace(str(out), "OUT"),
        "went_on": again.code == 0,
        "identical": again.code == 0 and predictions(out) == whole,
        "left": left(out),
    }


def simulated(kind: str, folder: Path, first: int, last: int) -> dict[str, object]:
    profile = write_profile(folder)
    counted = folder / "count.txt"
    assert study(profile, folder / "whole", failing(kind, -1, counted)).code == 0
    whole, calls = predictions(folder / "whole"), int(counted.read_text())
    rows, out = [], folder / "failing"
    for number in range(first, min(last, calls)):
        ended = study(profile, out, failing(kind, number))
        before = left(out) if out.exists() else []
        rows.append(
            {**row(f"write {number}", ended, out, study(profile, out), whole), "left_by_the_failure": before}
        )
        shutil.rmtree(out)
    return {"calls": calls, "rows": rows}


def mounted(place: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def real(folder: Path) -> dict[str, object]:
    profile = write_profile(folder)
    whole_folder, place = folder / "whole", folder / "disk"
    place.mkdir()
    assert study(profile, whole_folder).code == 0
    whole = predictions(whole_folder)
    size = sum(file.stat().st_size for file in whole_folder.rglob("*") if file.is_file()) // 1024
    rows, out = [], place / "study"
    for part in (0.02, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9):
        mounted(place, f"size={max(16, int(part * size))}k")
        try:
            ended = study(profile, out)
            remount(place, "size=600m")
            again = study(profile, out)
            rows.append(row(f"full at {part:.0%} of what a study takes", ended, out, again, whole))
        finally:
            subprocess.run(["umount", str(place)], check=True)
    for missing in ("", "packs", "splits", "audits", "stages", "predictions", "results.json", "trace.json"):
        mounted(place, "size=600m")
        try:
            shutil.copytree(whole_folder, out)
            if missing:
                (shutil.rmtree if (out / missing).is_dir() else os.unlink)(out / missing)
            remount(place, "ro")
            ended = study(profile, out)
            remount(place, "rw")
            again = study(profile, out)
            what = f"read-only, {missing} missing" if missing else "read-only, a finished study"
            rows.append(row(what, ended, out, again, whole))
        finally:
            subprocess.run(["umount", str(place)], check=True)
    return {"calls": len(rows), "rows": rows}


if __name__ == "__main__":
    folder, kind = Path(sys.argv[1]).resolve(), sys.argv[2]
    found = real(folder) if kind == "tmpfs" else simulated(kind, folder, int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps(found))
