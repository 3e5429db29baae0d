"""The evidence on pooling is whole, and of the same supplemental cohorts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cxrbench.study.profile import load_profile

DOCS = Path(__file__).parents[2] / "docs"
FOUR_PASSES = DOCS / "pooling" / "four-passes.csv"
THREE_PASSES = DOCS / "pooling" / "three-passes.csv"
LAST_STAGE = DOCS / "pooling" / "then-target.csv"


def aucs(evidence):
    """Return a table: one row per seed, one column per scheme."""
    table = pd.read_csv(evidence)
    return table[table["stage"] == "confirm"].pivot_table(index="seed", columns="scheme", values="auc")


@pytest.mark.parametrize("evidence", [FOUR_PASSES, THREE_PASSES, LAST_STAGE], ids=lambda path: path.name)
def test_every_scheme_was_run_with_the_same_five_seeds(evidence):
    table = aucs(evidence)
    assert table.index.tolist() == [0, 1, 2, 3, 4]
    assert not table.isna().any(axis=None)
    assert len(table.columns) == 6


def test_the_schemes_with_one_stage_more_are_otherwise_those_of_the_profile():
    confirmed, more = aucs(FOUR_PASSES), aucs(LAST_STAGE)
    for scheme in ("control", "sequential", "pooled-all"):
        assert more[scheme].tolist() == confirmed[scheme].tolist()
        assert f"{scheme}-then-target" in more


def test_both_profiles_have_the_same_supplemental_cohorts():
    before, now = (load_profile(str(DOCS / "pooling" / f"{name}-passes.toml")) for name in ("three", "four"))
    for role in ("findings", "pneumonia"):
        assert before.roles[role] == now.roles[role]
