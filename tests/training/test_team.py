"""One stage trained by several processes, started by torchrun, against the same stage in one."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cxrbench.errors import TrainingError
from cxrbench.study.progress import Silent
from cxrbench.training import loop
from cxrbench.training.team import ALONE, Team, this_team, torchrun_size

CPU = torch.device("cpu")


def test_a_process_of_its_own_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert this_team() == ALONE == Team(0, 1)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert torchrun_size() == 1
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert torchrun_size() == 8


def test_more_processes_than_pairs_of_images_are_refused(
    easy: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "this_team", lambda: Team(0, 5))
    with pytest.raises(TrainingError, match="5 processes need two images each of every batch"):
        easy.train(tmp_path, easy.job(easy.config()))


@pytest.mark.slow
@pytest.mark.parametrize("processes", [2, 3])
def test_a_stage_of_several_processes_is_that_of_one(
    team_stage: ModuleType, tmp_path: Path, processes: int
) -> None:
    (tmp_path / "team").mkdir()
    (tmp_path / "alone").mkdir()
    script = Path(__file__).with_name("team_stage.py")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    done = subprocess.run(
        [*torchrun, str(processes), str(script), str(tmp_path / "team")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(script.parent), *sys.path]),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    together = team_stage.stage(tmp_path / "team").folder.finished()
    alone = team_stage.stage(tmp_path / "alone").work(CPU, Silent())
    assert together is not None
    # Whole batches of the same images, whatever the number of processes.
    assert (
        [epoch.images for epoch in together.history] == [epoch.images for epoch in alone.history] == [24, 24]
    )
    for one, other in zip(together.history, alone.history, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.validation_auc == pytest.approx(other.validation_auc, abs=0.01)
    for one, other in zip(together.trace.steps, alone.trace.steps, strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-5)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
    one, other = (stage.folder.parameters() for stage in (together, replace(alone)))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], rtol=1e-3, atol=1e-5)
