"""Stages on the workers of a Dask cluster: the same bytes as here, also where a worker dies."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from distributed import LocalCluster

from cxrbench.errors import CxrbenchError
from cxrbench.study.cluster import cluster_places
from cxrbench.study.executor import torch_threads
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.where import Where

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cluster():
    # Two threads each: what keeps a worker to one stage at a time is not its number of threads.
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None, memory_limit=0
    ) as cluster:
        yield cluster


def scores(study):
    return {
        path.relative_to(study).as_posix(): path.read_bytes()
        for path in sorted(study.glob("predictions/seed-*/**/*.csv"))
    }


def kill_once(out, cluster, stop):
    """Kill a worker as soon as a stage has a finished epoch; return how many were killed."""
    while not stop.wait(0.01):
        if any(out.glob("stages/*/last.safetensors")):
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
            return 1
    return 0


@pytest.mark.slow
def test_a_study_on_two_workers_of_which_one_is_killed_gives_the_same_bytes(tmp_path, tiny_text, cluster):
    profile = parse_profile(tiny_text.replace("epochs = 1", "epochs = 6"), "tiny.toml")
    schemes = ("control", "findings")
    with torch_threads(1):
        here = run_study(
            profile,
            tmp_path / "here",
            schemes=schemes,
            where=Where(devices=(CPU,)),
            progress=Silent(),
        )
    there, stop = tmp_path / "there", threading.Event()
    with ThreadPoolExecutor(1) as pool:
        killed = pool.submit(kill_once, there, cluster, stop)
        try:
            with torch_threads(1):
                results = run_study(
                    profile,
                    there,
                    schemes=schemes,
                    where=Where(cluster=cluster.scheduler_address),
                    progress=Silent(),
                ).results
        finally:
            stop.set()
    assert killed.result() == 1
    assert len(scores(there)) == 4
    assert scores(there) == scores(tmp_path / "here")
    assert {stage.processes for stage in results.stages} == {2}
    assert [stage.key for stage in results.stages] == [stage.key for stage in here.results.stages]


def test_a_scheduler_that_does_not_answer_is_reported(tmp_path):
    with pytest.raises(CxrbenchError, match=r"no scheduler file .*scheduler\.json"):
        cluster_places(str(tmp_path / "scheduler.json"), None)
    with pytest.raises(CxrbenchError, match="no Dask scheduler answers at nonsense://"):
        cluster_places("nonsense://x", None)


def test_on_a_cluster_one_device_is_named():
    with pytest.raises(CxrbenchError, match="on a cluster every worker uses one device"):
        cluster_places("tcp://127.0.0.1:1", (CPU, CPU))
