"""Whatever stands in the tables of a data set: a cohort or a refusal, in bounded time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parent / "fuzz_tables.py"
FIXTURES = Path(__file__).parents[2] / "fixtures"
SECONDS = 5
"""Of processor time, for the slowest load of a few rows."""

MEBIBYTES = 1024


def fuzz(folder, seed, count):
    command = [sys.executable, "-X", "faulthandler", str(PROGRAM), str(seed), str(count)]
    child = subprocess.run(
        [*command, str(FIXTURES), str(folder)], capture_output=True, text=True, check=False
    )
    assert child.returncode == 0, child.stderr[-3000:]
    result = json.loads(child.stdout.splitlines()[-1])
    assert result["wrong"] == []
    assert result["slowest"] < SECONDS, result["slowest_file"]
    assert result["largest"] < MEBIBYTES
    return result


def test_some_dozens_of_mutations(tmp_path):
    tally = fuzz(tmp_path, 1, 30)["tally"]
    assert sum(tally.values()) == 30
    # Both outcomes come up, or the mutations would be too gentle or too rough to show anything.
    assert {name.split()[1] for name in tally} == {"read", "refused"}


@pytest.mark.slow
def test_some_hundred_mutations(tmp_path):
    fuzz(tmp_path, 8, 200)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 8))
def test_a_thousand_mutations(seed, tmp_path):
    fuzz(tmp_path, seed, 1000)
