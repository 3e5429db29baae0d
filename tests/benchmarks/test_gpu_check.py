"""``benchmarks/gpu_check.sh`` in small, on the CPU: every part runs and writes what it found."""

from __future__ import annotations

import json
import math
import os
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_check.sh"


def test_every_part_writes_its_result(tmp_path):
    done = subprocess.run(
        ["bash", str(SCRIPT), "--cpu"],
        env={**os.environ, "OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.stem: json.loads(path.read_text())["result"] for path in tmp_path.glob("*.json")}
    assert set(found) == {
        "device",
        "correctness",
        "training-speed",
        "inference-speed",
        "phantom",
        "calibration",
    }
    assert not any("error" in result for result in found.values())
    # What is held against the CPU here is the CPU.
    logits = found["correctness"]["logits"]
    assert logits["float32"]["largest difference"] < 1e-5 < logits["bfloat16"]["largest difference"]
    assert found["correctness"]["largest difference of a loss"]["here float32"] == 0
    assert found["phantom"]["difference"]["largest"] == 0
    for part in ("training-speed", "inference-speed"):
        for speed in found[part].values():
            low, high = speed["images_per_second_quartiles"]
            assert 0 < low <= speed["images_per_second"] <= high < math.inf
    assert found["calibration"]["finished"]
    assert [scheme["scheme"] for scheme in found["calibration"]["schemes"]] == ["control", "sequential"]
