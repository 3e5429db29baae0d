"""Whatever stands in a prediction file or a profile: it is used, or refused in one line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import fuzz_texts
import pytest

SECONDS = 5
MEBIBYTES = 1024
FOLDER = Path(__file__).parent


def sound(result):
    assert result["wrong"] == []
    assert result["slowest"] < SECONDS, result["slowest_file"]
    return result["tally"]


def test_a_hundred_mutations(tmp_path):
    tally = sound(fuzz_texts.run(1, 100, tmp_path))
    assert sum(tally.values()) == 100
    assert all(tally[f"{kind} refused"] > 0 for kind in ("csv", "parquet", "toml"))
    assert tally["toml used"] > 0


@pytest.mark.slow
def test_some_hundred_mutations(tmp_path):
    sound(fuzz_texts.run(8, 300, tmp_path))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 4))
def test_a_thousand_mutations(seed, tmp_path):
    path = os.pathsep.join([str(FOLDER.parent / "helpers"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(FOLDER / "fuzz_texts.py"), str(seed), "1000", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": path}
    child = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert child.returncode == 0, child.stderr[-3000:]
    result = json.loads(child.stdout.splitlines()[-1])
    sound(result)
    assert result["largest"] < MEBIBYTES
