"""The fault table of docs/phantom.md is the one that the benchmark wrote for the default profile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from cxrbench.faults.catalogue import FAULTS, PLAIN
from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def measured():
    return json.loads((DOCS / "phantom" / "sensitivity.json").read_text())


@pytest.fixture(scope="module")
def page():
    return (DOCS / "phantom.md").read_text()


def test_the_evidence_is_of_the_default_profile_as_it_is(measured):
    profile = load_profile("phantom")
    assert measured["profile"] == "phantom"
    assert measured["seeds"] == list(profile.seeds)
    assert measured["target"] == str(profile.targets[measured["scheme"]].as_target())
    assert [row["fault"] for row in measured["rows"]] == [fault.name for fault in FAULTS]


def test_every_row_of_the_page_is_the_evidences(measured, page):
    table = {
        name.strip(): [cell.strip() for cell in cells.split("|")]
        for name, cells in re.findall(r"^\| ([^|]+)\|(.+)\|$", page.partition("AUC clean")[2], re.MULTILINE)
    }
    table = {name: cells for name, cells in table.items() if not name.startswith("-")}
    assert set(table) == {row["fault"] for row in measured["rows"]}
    for row in measured["rows"]:
        m = row["measured"]
        clean, faulty, difference, gate, target, seen = table[row["fault"]]
        assert (clean, faulty) == (f"{m['clean']:.3f}", f"{m['faulty']:.3f}")
        assert difference == f"{m['difference']:+.3f} [{m['ci_low']:+.3f}, {m['ci_high']:+.3f}]"
        assert (gate, target) == (m["gate"]["outcome"], m["target"]["outcome"])
        by = [who for who in ("gate", "target") if who in row["seen_by"]]
        assert seen.startswith(f"seen ({', '.join(by)})" if by else "unseen")


def test_the_plain_faults_are_seen_and_the_page_names_what_is_not(measured, page):
    rows = {row["fault"]: row for row in measured["rows"]}
    assert all(rows[fault.name]["seen_by"] for fault in PLAIN)
    sentence = " ".join(page.split()).partition("Unseen are ")[2].partition("behind the audit.")[0]
    for unseen, words in {
        "labels shuffled, 5%": "5% and 10% of labels shuffled",
        "labels shuffled, 10%": "5% and 10% of labels shuffled",
        "head not reset": "the head that is not reset",
        "wrong parent: grandparent": "the grandparent for a parent",
        "augmentation twice": "augmentation twice",
        "leak, 5% (behind the leak audit)": "the leak",
    }.items():
        assert unseen in measured["unseen"]
        assert words in sentence
    assert len(measured["unseen"]) == 6
