"""Run `cxrbench data check` over every tree in fixtures/; what came out is kept next to this file.

python docs/data/check.py      # some seconds
python docs/tables/fill.py     # then: the table of docs/data.md
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.datasets import dataset_names

KEPT = Path(__file__).with_name("fixtures.json")
FIXTURES = Path(__file__).parents[2] / "fixtures"
OTHER = "other-layouts"
OPTIONS = {"other-layouts/openi": ("--option", "laterals=true")}
"""Which of its films are lateral is not known, so they are read all."""


def trees() -> dict[str, str]:
    """Return tree -> the name of its data set."""
    found = {name: name for name in dataset_names() if (FIXTURES / name).is_dir()}
    return {**found, **{f"{OTHER}/{name}": name for name in found if (FIXTURES / OTHER / name).is_dir()}}


def outcome(tree: str) -> dict[str, Any]:
    """Return what `data check` counts in ``tree``, and how it ends."""
    command = ["data", "check", trees()[tree], str(FIXTURES / tree), "--json", *OPTIONS.get(tree, ())]
    done = CliRunner().invoke(main, command)
    counts = json.loads(done.stdout)
    return {
        "listed": counts["listed"],
        "left_out": counts["left_out"],
        "images": counts["images"],
        "patients": counts["patients"],
        "read": counts["read"],
        "odd": len(counts["odd_pictures"]),
        "missing": len(counts["missing"]),
        "exit_code": done.exit_code,
    }


def timed(tree: str) -> dict[str, Any]:
    """Return the outcome with its seconds of processor time; what is imported once is imported before."""
    outcome(tree)
    started = time.process_time()
    found = outcome(tree)
    return {**found, "seconds": round(time.process_time() - started, 3)}


if __name__ == "__main__":
    KEPT.write_text(json.dumps({tree: timed(tree) for tree in trees()}, indent=1) + "\n")
