"""What the documentation says of the fixture trees is what ``cxrbench data check`` finds in them today."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[2] / "docs" / "data"


def script():
    spec = importlib.util.spec_from_file_location("docs_data_check", DATA / "check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = script()
KEPT = json.loads((DATA / "fixtures.json").read_text())


def test_every_tree_is_there_and_nothing_else():
    assert list(KEPT) == list(CHECK.trees())
    folders = {path.name for path in CHECK.FIXTURES.iterdir() if path.is_dir()}
    others = {f"{CHECK.OTHER}/{path.name}" for path in (CHECK.FIXTURES / CHECK.OTHER).iterdir()}
    assert set(KEPT) == (folders - {"reference", CHECK.OTHER, "__pycache__"}) | others


@pytest.mark.parametrize("tree", KEPT)
def test_the_outcome_of_a_tree_is_the_documented_one(tree):
    found = CHECK.outcome(tree)
    assert found == {name: value for name, value in KEPT[tree].items() if name != "seconds"}
    assert found["read"] == found["images"] > 0
    assert found["exit_code"] == (1 if found["missing"] else 0)
    assert found["listed"] == found["images"] + sum(found["left_out"].values())
