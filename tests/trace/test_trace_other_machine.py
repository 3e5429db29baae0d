"""The same study on another processor, imitated, is the same experiment to the gate."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cxrbench.trace.records import find_trace

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


def cxrbench(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    program = "import sys; from cxrbench.cli import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env={**os.environ, "GITHUB_STEP_SUMMARY": "", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() in ("DEFAULT", "AVX2"),
    reason="the processor has nothing above AVX2 to part from",
)
def test_an_honest_run_with_older_instructions_passes_the_gate(tmp_path: Path) -> None:
    study = ("study", "--profile", "phantom-small", "--scheme", "findings", "--no-report", "--quiet", "--out")
    for name, variables in (("here", {}), ("elsewhere", AVX2)):
        done = cxrbench(tmp_path, *study, name, **variables)
        assert done.returncode == 0, done.stderr
    here, elsewhere = (find_trace(tmp_path / name) for name in ("here", "elsewhere"))
    assert here.environment["name"] != elsewhere.environment["name"]
    # Rounding does differ, or nothing would be shown.
    assert here.stages[-1].trace.steps != elsewhere.stages[-1].trace.steps
    assert cxrbench(tmp_path, "baseline", "save", "baseline", "--study", "here").returncode == 0
    gated = cxrbench(tmp_path, "gate", "elsewhere", "--baseline", "baseline")
    assert gated.returncode == 0, gated.stdout + gated.stderr
    assert "the same experiment: " in gated.stdout
    assert "within rounding" in gated.stdout
