"""Run `cxrbench data check` over every tree in fixtures/; what came out is kept next to this file.

python docs/data/check.py                       # some seconds
python docs/data/check.py --data-root FOLDER    # also real data sets, each in its folder there
python docs/tables/fill.py                      # then: the tables of docs/data.md

The folder may also come from the environment variable CXRBENCH_DATA_ROOT. Only counts are kept of real films.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.datasets import dataset_names, discover
from cxrbench.errors import DatasetError

KEPT = Path(__file__).with_name("fixtures.json")
REAL = Path(__file__).with_name("real.json")
FIXTURES = Path(__file__).parents[2] / "fixtures"
OTHER = "other-layouts"
OPTIONS = {"other-layouts/openi": ("--option", "laterals=true")}
"""Which of its films are lateral is not known, so they are read all."""


def trees() -> dict[str, str]:
    """Return tree -> the name of its data set."""
    found = {name: name for name in dataset_names() if (FIXTURES / name).is_dir()}
    return {**found, **{f"{OTHER}/{name}": name for name in found if (FIXTURES / OTHER / name).is_dir()}}


def real_folders(root: Path) -> dict[str, Path]:
    """Return data set -> its folder in ``root``, for those of which there is exactly one."""
    found = {}
    for name in dataset_names():
        try:
            found[name] = discover(root, name)
        except DatasetError:
            continue
    return found


def counted(name: str, folder: Path, *options: str) -> tuple[dict[str, Any], int]:
    """Return what `data check` prints of ``folder`` as JSON, and its exit code."""
    done = CliRunner().invoke(main, ["data", "check", name, str(folder), "--json", *options])
    counts: dict[str, Any] = json.loads(done.stdout)
    return counts, done.exit_code


def outcome(tree: str) -> dict[str, Any]:
    """Return what `data check` counts in ``tree``, and how it ends."""
    return kept(*counted(trees()[tree], FIXTURES / tree, *OPTIONS.get(tree, ())))


def kept(counts: dict[str, Any], exit_code: int) -> dict[str, Any]:
    """Return the counts that are kept: no path, no name, no identifier."""
    return {
        "listed": counts["listed"],
        "left_out": counts["left_out"],
        "images": counts["images"],
        "patients": counts["patients"],
        "read": counts["read"],
        "odd": len(counts["odd_pictures"]),
        "missing": len(counts["missing"]),
        "exit_code": exit_code,
    }


def real_outcome(name: str, folder: Path) -> dict[str, Any]:
    """Return the counts of a real folder, with its labels, and the kinds of its files that are odd."""
    started = sum(os.times()[:4])
    counts, exit_code = counted(name, folder)
    seconds = sum(os.times()[:4]) - started
    return {
        **kept(counts, exit_code),
        "unlisted": len(counts["unlisted"]),
        "faults": Counter(fault for picture in counts["odd_pictures"] for fault in picture["faults"]),
        "refused": Counter(broken["reason"] for broken in counts["broken"]),
        "labels": counts["labels"],
        "seconds": round(seconds, 1),
    }


def timed(tree: str) -> dict[str, Any]:
    """Return the outcome with its seconds of processor time; what is imported once is imported before."""
    outcome(tree)
    started = time.process_time()
    found = outcome(tree)
    return {**found, "seconds": round(time.process_time() - started, 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, default=os.environ.get("CXRBENCH_DATA_ROOT"))
    root = parser.parse_args().data_root
    kept_files = {KEPT: {tree: timed(tree) for tree in trees()}}
    if root is not None:
        folders = real_folders(Path(root))
        kept_files[REAL] = {name: real_outcome(name, folder) for name, folder in folders.items()}
    for file, found in kept_files.items():
        file.write_text(json.dumps(found, indent=1) + "\n")
