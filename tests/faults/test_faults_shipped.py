"""The evidence on planted faults is what the benchmark measured on the default profile as it is shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrbench.faults.catalogue import FAULTS, PLAIN
from cxrbench.faults.records import FaultRow, Measured, Sensitivity
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def measured():
    """Return what the benchmark measured, from its file."""
    content = json.loads((DOCS / "phantom" / "sensitivity.json").read_text())
    unseen = content.pop("unseen")
    rows = tuple(FaultRow(**{**row, "measured": _measured(row["measured"])}) for row in content.pop("rows"))
    made = Sensitivity(**content, rows=rows)
    assert list(made.unseen) == unseen
    return made


def _measured(numbers):
    return Measured(**{**numbers, **{part: Verdict(**numbers[part]) for part in ("gate", "target")}})


def test_the_evidence_is_of_the_default_profile_as_it_is(measured):
    profile = load_profile("phantom")
    assert (measured.profile, list(measured.seeds)) == ("phantom", list(profile.seeds))
    assert measured.target == str(profile.targets[measured.scheme])
    # Faults that were added since are measured on the quick profile (docs/trace.md).
    rows = [row.fault for row in measured.rows]
    assert rows == [fault.name for fault in FAULTS[: len(rows)]]


def test_the_plain_faults_are_seen_and_the_controls_are_not(measured):
    assert all(measured.row(fault.name).seen for fault in PLAIN)
    assert not any(row.seen for row in measured.rows if row.control)
