"""A tenth of what docs/reliability.md shows, and the programs that measure it.

Kills and damage are tried in forks of a process of their own, which has no threads.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks into Linux's /proc"),
]


def program(name, *arguments):
    """Run one of the programs and return what it found."""
    paths = [FOLDER.parents[1], FOLDER, FOLDER.parent / "helpers"]
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        # One thread: a fork loses the others.
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_killed_study_goes_on_to_the_same_predictions(tmp_path):
    rows = program("kills", tmp_path, 3, 20, 24, 7)["rows"]
    assert len(rows) == 7
    assert sum(row["killed"] for row in rows) >= 5
    for row in rows:
        assert (row["went_on"], row["identical"], row["left_at_the_end"]) == (True, True, []), row


CASES = (
    *("network: a bit of a parameter", "done.json: an AUC", "predictions: a digit", "pixels: a byte"),
    *(
        "prediction record: names another file, sealed again",
        "split: its seed",
        "trace.json: cut",
        "stages: a file",
    ),
)


def test_a_damaged_study_is_refused_or_made_again_and_says_so(tmp_path):
    rows = program("damage", tmp_path, *CASES)["rows"]
    assert [row["case"] for row in rows] == list(CASES)
    for row in rows:
        assert row["outcome"] in ("refused in one line", "made again and said, identical"), row
        assert row["said"], row
        assert row["left"] == []


def test_the_cases_of_the_tests_are_some_of_all():
    # It imports much, which only slow tests should.
    import damage

    assert len(damage.CASES) > 55
    assert set(CASES) < set(damage.CASES)


@pytest.mark.parametrize("kind", ["full", "read-only"])
def test_a_write_that_fails_is_one_line_and_the_study_goes_on(tmp_path, kind):
    rows = program("disk", tmp_path, kind, 12, 15)["rows"]
    assert len(rows) == 3
    assert any(row["code"] == 2 for row in rows)
    for row in rows:
        # A folder that is there already need not be made.
        finished = kind == "read-only" and row["code"] == 0
        assert finished or ((row["code"], row["in_one_line"]) == (2, True) and "OUT" in row["said"]), row
        assert (row["went_on"], row["identical"], row["left"], row["left_by_the_failure"]) == (
            True,
            True,
            [],
            [],
        )


def test_a_bomb_takes_little_memory(tmp_path):
    rows = program(
        "bombs", tmp_path, "20,000 px, JPEG 2000.dcm", "9,400 px, rgba.png", "60,000 px, 1 bit.png"
    )["rows"]
    assert {row["outcome"] for row in rows} == {"refused"}
    assert max(row["mebibytes"] for row in rows) < 512
