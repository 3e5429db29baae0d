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


def called(folder, *options):
    return subprocess.run(
        ["bash", str(SCRIPT), "--cpu", *options],
        env={**os.environ, "OUT": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def rows_of(folder):
    return {path.stem: json.loads(path.read_text())["rows"] for path in folder.glob("*.json")}


def test_every_part_writes_its_rows(tmp_path):
    done = called(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows_of(tmp_path)
    assert set(found) == {
        "device",
        "kernels",
        "correctness",
        "training-speed",
        "inference-speed",
        "phantom",
        "leak-audit",
        "first-compile",
        "batch-speed",
        "calibration",
    }
    # Kernels are a GPU's; here torchvision's blocks are held against themselves.
    for row in found["kernels"].values():
        assert row["ours, maps"] == row["torchvision, maps"]
        assert row["ours, gradients"] == row["torchvision, gradients"] > 0
    # What is held against the CPU here is the CPU.
    same = found["correctness"]
    assert (
        same["logits, float32"]["largest difference"] < 1e-5 < same["logits, bfloat16"]["largest difference"]
    )
    losses = [same[f"mean loss of the first steps, {how} float32"] for how in ("cpu", "plain", "recorded")]
    assert losses[0] == losses[1] == losses[2]
    assert found["phantom"]["difference"]["largest"] == 0
    assert [seconds > 0 for seconds in found["first-compile"]["seconds"].values()] == [True, True]
    speeds = [
        row for part in ("training-speed", "batch-speed", "inference-speed") for row in found[part].values()
    ]
    assert len(speeds) == 5 + 2 + 6
    for speed in speeds:
        low, high = speed["images_per_second_quartiles"]
        assert 0 < low <= speed["images_per_second"] <= high < math.inf
    assert [scheme["scheme"] for scheme in found["calibration"]["2 seeds"]["schemes"]] == [
        "control",
        "sequential",
    ]


def test_it_goes_on_where_it_stopped(tmp_path):
    kept = {"part": "device", "rows": {"torch": "as it was", "image size": {"error": "…"}, "bfloat16": True}}
    (tmp_path / "device.json").write_text(json.dumps(kept))
    done = called(tmp_path, "--minutes", "0")
    assert done.returncode == 0, done.stdout + done.stderr
    found = rows_of(tmp_path)
    assert found["device"] == {
        "torch": "as it was",
        "image size": {"left out": "no time was left"},
        "bfloat16": True,
    }
    assert found["correctness"]["logits, float32"] == {"left out": "no time was left"}
