"""The table of faults as text, Markdown and JSON: nothing unseen is left out."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cxrbench.faults.records import FaultRow, Measured, Sensitivity, as_json
from cxrbench.report.faults import faults_markdown, faults_text
from cxrbench.statistics.verdicts import Verdict


def row(fault, gate="pass", seen_by=(), control=False, audit=""):
    measured = Measured(
        clean=0.85,
        faulty=0.75,
        difference=-0.1,
        se=0.02,
        ci_low=-0.14,
        ci_high=-0.06,
        p_worse=0.001,
        gate=Verdict(gate, "the reason"),
        target=None,
        same_scores=False,
    )
    return FaultRow(fault, f"what {fault} does", control, "3 changed", measured, "", audit, seen_by)


@pytest.fixture
def sensitivity():
    return Sensitivity(
        profile="tiny",
        synthetic=True,
        calibrated=False,
        scheme="sequential",
        notation="init > findings > covid",
        seeds=(0, 1),
        margin=0.05,
        target=None,
        clean_verdict=Verdict("inconclusive", "no target"),
        n_images=100,
        n_positive=75,
        n_patients=40,
        device={"type": "cpu"},
        versions={"torch": "1"},
        rows=(
            row("control", control=True),
            row("caught", gate="fail", seen_by=("gate",)),
            replace(row("traced", seen_by=("trace",)), seconds=12.5, named="role covid: labels differ"),
            row("missed", gate="inconclusive"),
            row("leaked", seen_by=("leak audit",), audit="the leak audit names 5 of 5"),
            FaultRow("impossible", "what it would do", False, "", None, "the chain is too short", "", ()),
        ),
    )


def test_unseen_is_what_was_planted_and_neither_gate_nor_target_sees(sensitivity):
    assert sensitivity.unseen == ("missed", "leaked (behind the leak audit)")


def test_a_row_is_found_by_its_fault(sensitivity):
    assert sensitivity.row("missed").measured.gate.outcome == "inconclusive"
    with pytest.raises(KeyError):
        sensitivity.row("absent")


@pytest.mark.parametrize("shown", [faults_text, faults_markdown])
def test_every_fault_and_everything_unseen_is_shown(shown, sensitivity):
    text = shown(sensitivity)
    assert all(each.fault in text and each.what in text for each in sensitivity.rows)
    for part in (
        "unseen: missed; leaked (behind the leak audit)",
        "another experiment",
        "12.5",
        "unseen (the leak audit finds it)",
        "−0.100 [−0.140, −0.060]",
        "not applicable",
        "role covid: labels differ",
        "the chain is too short",
        "names 5 of 5",
        "scheme sequential (init > findings > covid), seeds 0, 1",
        "says nothing about COVID-19",
    ):
        assert part in text


def test_markdown_is_one_table_with_a_line_a_fault(sensitivity):
    lines = [line for line in faults_markdown(sensitivity).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(sensitivity.rows)
    assert len({line.count("|") for line in lines}) == 1


def test_json_has_everything_at_full_precision(sensitivity):
    content = json.loads(as_json(sensitivity))
    assert content["rows"][1]["measured"]["difference"] == -0.1
    assert content["rows"][1]["measured"]["gate"] == {"outcome": "fail", "sentence": "the reason"}
    assert content["rows"][5]["measured"] is None
    assert content["unseen"] == ["missed", "leaked (behind the leak audit)"]
