"""Kill a study (kill -9) at random moments and at its writes, let it go on, and see what it ends with.

python kills.py FOLDER MOMENTS FIRST LAST SEED

MOMENTS random ones, and the writes FIRST to LAST: each flush to the disk, just before it happens, is one.
Prints one JSON object: how many writes a study has, and one row per kill.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from forks import Ended, left, predictions, study, write_profile


def at_write(number: int) -> Callable[[], None]:
    """Return what has a process kill itself at its write of that number."""

    def prepare() -> None:
        real, count = os.fsync, [0]

        def fsync(handle: int) -> None:
            if count[0] == number:
                os.kill(os.getpid(), 9)
            count[0] += 1
            real(handle)

        os.fsync = fsync

    return prepare


def written_files(profile: Path, out: Path, names: Path) -> list[str]:
    """Run a study and return what each of its writes flushes, relative to ``out``."""

    def prepare() -> None:
        real = os.fsync

        def fsync(handle: int) -> None:
            with names.open("a") as file:
                file.write(str(Path(f"/proc/self/fd/{handle}").readlink()) + "\n")
            real(handle)

        os.fsync = fsync

    assert study(profile, out, prepare).code == 0
    return [
        line.removeprefix(f"{out.resolve()}/") or "the study's folder"
        for line in names.read_text().splitlines()
    ]


def went_on(profile: Path, out: Path, whole: dict[str, str], killed: Ended) -> dict[str, object]:
    """Give the command again and return what came of it."""
    swept = left(out) if out.exists() else []
    again = study(profile, out)
    row = {
        "killed": killed.code == -9,
        "left": len(swept),
        "went_on": again.code == 0,
        "identical": predictions(out) == whole,
        "left_at_the_end": left(out),
        "said": "" if again.code == 0 else again.said[-1],
    }
    shutil.rmtree(out, ignore_errors=True)
    return row


def main(folder: Path, moments: int, first: int, last: int, seed: int) -> None:
    profile = write_profile(folder)
    names = written_files(profile, folder / "writes", folder / "names.txt")
    undisturbed = study(profile, folder / "undisturbed")
    whole = predictions(folder / "undisturbed")
    assert undisturbed.code == 0, undisturbed.said
    assert predictions(folder / "writes") == whole, "two undisturbed studies differ"
    rng = random.Random(seed)
    rows: list[dict[str, object]] = []
    for _ in range(moments):
        after = rng.uniform(0, undisturbed.seconds)
        killed = study(profile, folder / "killed", kill_after=after)
        rows.append({"at": f"{after:.2f} s", **went_on(profile, folder / "killed", whole, killed)})
    for number in range(first, min(last, len(names))):
        killed = study(profile, folder / "killed", at_write(number))
        rows.append({"at": names[number], **went_on(profile, folder / "killed", whole, killed)})
    print(json.dumps({"writes": len(names), "seconds": undisturbed.seconds, "rows": rows}))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:6]))
