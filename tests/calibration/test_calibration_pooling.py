"""The numbers of docs/pooling.md are those of the calibrations' evidence."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from cxrbench.calibration.records import SchemeSummary
from cxrbench.calibration.statements import difference_interval
from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"
EVIDENCE = (DOCS / "pooling" / "three-passes.csv", DOCS / "calibration" / "evidence.csv")
LAST_STAGE = DOCS / "pooling" / "then-target.csv"
PROFILES = (str(DOCS / "pooling" / "three-passes.toml"), "phantom")


@pytest.fixture(scope="module")
def table():
    """Return row's name -> its two cells."""
    rows = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", (DOCS / "pooling.md").read_text(), re.MULTILINE
    )
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize("column", [0, 1])
def test_the_table_is_the_evidences(table, column):
    evidence = pd.read_csv(EVIDENCE[column])
    aucs = evidence[evidence["stage"] == "confirm"].pivot_table(index="seed", columns="scheme", values="auc")
    assert len(aucs) == 5
    for row, scheme in (
        ("control, mean of five seeds", "control"),
        *((name, name) for name in ("pooled-all", "pooled-supplement", "sequential")),
    ):
        assert table[row][column] == f"{aucs[scheme].mean():.3f}"
    for row, (a, b) in {
        "pooled-all minus control, mean (least of five seeds)": ("pooled-all", "control"),
        "sequential minus pooled-all, mean (least)": ("sequential", "pooled-all"),
    }.items():
        difference = aucs[a] - aucs[b]
        assert table[row][column] == f"{difference.mean():+.3f} ({difference.min():+.3f})"


@pytest.mark.parametrize("column", [0, 1])
def test_the_settings_are_the_profiles(table, column):
    profile = load_profile(PROFILES[column])
    stages = {
        str(stage): profile.stage_config(stage) for scheme in profile.select(()) for stage in scheme.stages
    }
    own, pooled = stages["covid"], stages["findings + pneumonia + covid"]
    for row, config in (
        ("passes over the target in its own stage; learning rate", own),
        ("passes of `pooled-all` over its three roles; learning rate", pooled),
    ):
        passes, rate = table[row][column].split("; ")
        assert (int(passes), float(rate)) == (config.epochs, config.learning_rate)
    assert int(table["passes of `findings + pneumonia`"][column]) == stages["findings + pneumonia"].epochs
    severity = table["severity of the target's positives (less is harder)"][column]
    assert float(severity) == profile.roles["covid"].options["severity_median"]
    assert (
        int(table["test images"][column].replace(",", "")) == profile.roles["covid"].options["n_test_images"]
    )


@pytest.fixture(scope="module")
def last_stage():
    """Return scheme -> its AUCs in the order of the seeds, of the calibration with one more stage."""
    evidence = pd.read_csv(LAST_STAGE)
    aucs = evidence[evidence["stage"] == "confirm"].pivot_table(index="seed", columns="scheme", values="auc")
    assert aucs.index.tolist() == [0, 1, 2, 3, 4]
    return {str(scheme): aucs[scheme] for scheme in aucs}


def test_the_last_stages_are_the_evidences(last_stage):
    pattern = r"^\| (control|sequential|pooled-all) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$"
    rows = re.findall(pattern, (DOCS / "pooling.md").read_text(), re.MULTILINE)
    assert len(rows) == 3
    for scheme, without, with_it, difference in rows:
        more = last_stage[f"{scheme}-then-target"]
        gain = more - last_stage[scheme]
        assert without == f"{last_stage[scheme].mean():.3f}"
        assert with_it == f"{more.mean():.3f}"
        assert difference == f"{gain.mean():+.3f} ({gain.min():+.3f})"


def test_the_differences_after_the_last_stages_are_the_evidences(last_stage):
    rows = re.findall(
        r"^\| (\S+) minus (\S+) \| ([^|]+) \|$", (DOCS / "pooling.md").read_text(), re.MULTILINE
    )
    assert len(rows) == 4
    for a, b, told in rows:
        of = [SchemeSummary(name, tuple(last_stage[name]), 0, 0, 0, 0, "") for name in (a, b)]
        mean, low, high = difference_interval(*of)
        assert told == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def test_the_schemes_that_stand_in_both_calibrations_of_the_profile_have_the_same_aucs(last_stage):
    evidence = pd.read_csv(EVIDENCE[1])
    confirmed = evidence[evidence["stage"] == "confirm"]
    for scheme in ("control", "sequential", "pooled-all"):
        aucs = confirmed[confirmed["scheme"] == scheme].sort_values("seed")["auc"]
        assert aucs.tolist() == last_stage[scheme].tolist()
