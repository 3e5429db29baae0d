"""The evidence on planted faults is what ``cxrbench faults`` measured on two profiles."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cxrbench.faults.catalogue import FAULTS
from cxrbench.faults.records import PLAIN, TRACE, FaultRow, Measured, Sensitivity
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.profile import load_profile

EVIDENCE = Path(__file__).parents[2] / "docs" / "trace"
FILES = {"phantom-small": "faults.json", "phantom": "faults-phantom.json"}


def read(profile):
    """Return what was measured on ``profile``, from its file."""
    content = json.loads((EVIDENCE / FILES[profile]).read_text())
    unseen = content.pop("unseen")
    rows = tuple(FaultRow(**{**row, "measured": _measured(row["measured"])}) for row in content.pop("rows"))
    made = Sensitivity(**content, rows=rows)
    assert list(made.unseen) == unseen
    return made


@pytest.fixture(scope="module", params=FILES)
def measured(request):
    return read(request.param)


def _measured(numbers):
    if numbers is None:
        return None
    verdicts = {part: Verdict(**numbers[part]) if numbers[part] else None for part in ("gate", "target")}
    return Measured(**{**numbers, **verdicts})


def test_the_evidence_is_of_its_profile_and_of_every_fault(measured):
    profile = load_profile(measured.profile)
    assert list(measured.seeds) == list(profile.seeds)
    assert [row.fault for row in measured.rows] == [fault.name for fault in FAULTS]


def test_the_trace_sees_every_fault_and_no_control(measured):
    assert {row.fault for row in measured.rows if TRACE not in row.seen_by} == {
        row.fault for row in measured.rows if row.control
    }
    assert not any(row.seen for row in measured.rows if row.control)


def test_a_fault_is_named_at_the_same_place_on_both_profiles():
    def place(row):
        return re.sub(r"[\d.e-]+", "#", row.named.split(" now, ")[0].rsplit(": ", 1)[0])

    one, other = (read(profile) for profile in FILES)
    assert [place(row) for row in one.rows] == [place(row) for row in other.rows]


@pytest.mark.parametrize("fault", PLAIN)
def test_the_gate_or_the_target_sees_what_the_nightly_asks_of_them(fault):
    assert {"gate", "target"} & set(read("phantom").row(fault).seen_by)
