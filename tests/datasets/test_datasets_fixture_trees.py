"""What the documentation says of the fixture trees is what ``cxrbench data check`` finds in them today."""

from __future__ import annotations

import importlib.util
import json
import shutil
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


def test_of_a_real_folder_counts_are_kept_and_no_name(tmp_path):
    shutil.copytree(CHECK.FIXTURES / "kermany", tmp_path / "downloads")
    films = sorted((tmp_path / "downloads").rglob("*.jpeg"))
    films[0].write_bytes(films[0].read_bytes()[:-40])
    [(name, folder)] = CHECK.real_folders(tmp_path).items()
    found = CHECK.real_outcome(name, folder)
    assert (name, found["images"], found["read"], found["exit_code"]) == ("kermany", 14, 13, 1)
    assert sum(found["refused"].values()) == 1
    assert sum(found["labels"]["Pneumonia"].values()) == 14
    said = json.dumps(found)
    assert films[0].name not in said
    assert tmp_path.name not in said
