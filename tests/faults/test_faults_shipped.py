"""The evidence on planted faults is what ``cxrbench faults`` measured on the quick profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrbench.faults.catalogue import FAULTS
from cxrbench.faults.records import FaultRow, Measured, Sensitivity
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.profile import load_profile

EVIDENCE = Path(__file__).parents[2] / "docs" / "trace" / "faults.json"


@pytest.fixture(scope="module")
def measured():
    """Return what was measured, from its file."""
    content = json.loads(EVIDENCE.read_text())
    unseen = content.pop("unseen")
    rows = tuple(FaultRow(**{**row, "measured": _measured(row["measured"])}) for row in content.pop("rows"))
    made = Sensitivity(**content, rows=rows)
    assert list(made.unseen) == unseen
    return made


def _measured(numbers):
    if numbers is None:
        return None
    verdicts = {part: Verdict(**numbers[part]) if numbers[part] else None for part in ("gate", "target")}
    return Measured(**{**numbers, **verdicts})


def test_the_evidence_is_of_the_quick_profile_and_of_every_fault(measured):
    profile = load_profile("phantom-small")
    assert (measured.profile, list(measured.seeds)) == ("phantom-small", list(profile.seeds))
    assert [row.fault for row in measured.rows] == [fault.name for fault in FAULTS]


def test_every_fault_is_seen_and_no_control_is(measured):
    assert {row.fault for row in measured.rows if not row.seen} == {
        row.fault for row in measured.rows if row.control
    }
