"""The numbers of docs/pooling.md are those of the two calibrations' evidence."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"
EVIDENCE = (DOCS / "pooling" / "three-passes.csv", DOCS / "calibration" / "evidence.csv")
PROFILES = (str(DOCS / "pooling" / "three-passes.toml"), "phantom")


@pytest.fixture(scope="module")
def table():
    """Return row's name -> its two cells."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", (DOCS / "pooling.md").read_text(), re.MULTILINE)
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
    assert float(severity) == profile.phantom["covid"]["severity_median"]
