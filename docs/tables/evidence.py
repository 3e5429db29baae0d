"""The evidence files of the documentation, read, and tables laid out in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tabulate import tabulate

from cxrbench.calibration.records import Row

DOCS = Path(__file__).parents[1]
CALIBRATION = DOCS / "calibration" / "evidence.csv"
MOVING = DOCS / "calibration" / "moving.csv"
STATISTICS = DOCS / "calibration" / "statistics.csv"
EXPLORED = DOCS / "calibration" / "exploration.csv"
CONTROL = DOCS / "calibration" / "control.csv"
BFLOAT16 = DOCS / "calibration" / "bfloat16.csv"
MACHINES = DOCS / "calibration" / "machines.csv"
PUBLIC = DOCS / "public" / "evidence.csv"
THREE_PASSES = DOCS / "pooling" / "three-passes.csv"
FOUR_PASSES = DOCS / "pooling" / "four-passes.csv"
LAST_STAGE = DOCS / "pooling" / "then-target.csv"


def rows(evidence: Path, stage: str = "confirm") -> list[Row]:
    """Return the rows of one stage of a calibration, as ``cxrbench calibrate`` wrote them."""
    table = pd.read_csv(evidence)
    # Evidence that is older than the column says nothing of which test images they were.
    table["sample"] = table.get("sample", "")
    found = table[table["stage"] == stage].to_dict("records")
    knobs = [name for name in table if "." in name]
    return [
        Row(knobs={name: row[name] for name in knobs}, **{k: v for k, v in row.items() if k not in knobs})
        for row in found
    ]


def markdown(headers: Sequence[str], body: Sequence[Sequence[str]], cells: str = "right") -> str:
    """Return a Markdown table: its first column on the left, the others on the ``cells`` side."""
    align = ("left", *[cells] * (len(headers) - 1))
    return tabulate(body, headers=headers, tablefmt="pipe", disable_numparse=True, colalign=align)
