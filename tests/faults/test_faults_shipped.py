"""The fault table of docs/phantom.md is the one that the benchmark wrote for the default profile."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cxrbench.faults.catalogue import FAULTS, PLAIN
from cxrbench.faults.records import FaultRow, Measured, Sensitivity, as_table
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


@pytest.fixture(scope="module")
def page():
    return (DOCS / "phantom.md").read_text()


def test_the_evidence_is_of_the_default_profile_as_it_is(measured):
    profile = load_profile("phantom")
    assert (measured.profile, list(measured.seeds)) == ("phantom", list(profile.seeds))
    assert measured.target == str(profile.targets[measured.scheme].as_target())
    assert [row.fault for row in measured.rows] == [fault.name for fault in FAULTS]


def test_the_table_of_the_page_is_the_evidences(measured, page):
    assert as_table(measured, "github") in page


def test_the_plain_faults_are_seen_and_the_page_names_what_is_not(measured, page):
    assert all(measured.row(fault.name).seen for fault in PLAIN)
    sentence = " ".join(page.split()).partition("Unseen are ")[2].partition("behind the audit.")[0]
    for unseen, words in {
        "labels shuffled, 5%": "5% and 10% of labels shuffled",
        "labels shuffled, 10%": "5% and 10% of labels shuffled",
        "head not reset": "the head that is not reset",
        "wrong parent: grandparent": "the grandparent for a parent",
        "augmentation twice": "augmentation twice",
        "leak, 5% (behind the leak audit)": "the leak",
    }.items():
        assert unseen in measured.unseen
        assert words in sentence
    assert len(measured.unseen) == 6
