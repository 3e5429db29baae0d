"""The table of faults of docs/phantom.md, and how ``traces`` reads what was measured of them."""

from __future__ import annotations

import json
from pathlib import Path

from evidence import markdown

from cxrbench.faults.catalogue import FAULTS
from cxrbench.faults.records import FaultRow, Measured, Sensitivity
from cxrbench.statistics.verdicts import Verdict


def catalogue() -> str:
    """Every fault and what it does."""
    rows = [(fault.name, fault.what) for fault in FAULTS]
    return markdown(("fault", "what is done to the target stage"), rows, cells="left")


def read(evidence: Path) -> Sensitivity:
    """Return what ``cxrbench faults`` measured, from its file."""
    content = json.loads(evidence.read_text(encoding="utf-8"))
    del content["unseen"]
    rows = tuple(FaultRow(**{**row, "measured": _measured(row["measured"])}) for row in content.pop("rows"))
    return Sensitivity(**content, rows=rows)


def _measured(numbers: dict | None) -> Measured | None:
    if numbers is None:
        return None
    verdicts = {part: Verdict(**numbers[part]) if numbers[part] else None for part in ("gate", "target")}
    return Measured(**{**numbers, **verdicts})
