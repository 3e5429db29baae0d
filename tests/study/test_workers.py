"""Shares of the threads, and processes that work, tell, fail and end as they should."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cxrbench.errors import CohortError, CxrbenchError
from cxrbench.study.progress import Silent
from cxrbench.study.workers import Share, ThisProcess, share, torch_threads, worker_processes

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("threads", "jobs", "expected"),
    [
        (1, None, Share(1, 1)),
        (2, None, Share(2, 1)),
        (4, None, Share(4, 1)),
        (6, None, Share(4, 1)),
        (16, None, Share(4, 4)),
        (8, 1, Share(1, 8)),
        (8, 3, Share(3, 2)),
        (2, 5, Share(5, 1)),
    ],
)
def test_processes_share_the_threads(monkeypatch, threads, jobs, expected):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert share(jobs, CPU) == expected


@pytest.mark.parametrize("jobs", [None, 1])
def test_a_gpu_is_not_shared(jobs):
    assert share(jobs, GPU) == Share(1, None)


@pytest.mark.parametrize(
    ("jobs", "device", "message"), [(0, CPU, "give 1 or more"), (2, GPU, "a GPU trains one stage at a time")]
)
def test_what_cannot_be_shared_is_refused(jobs, device, message):
    with pytest.raises(CxrbenchError, match=message):
        share(jobs, device)


def test_threads_are_given_back_after_an_error():
    before = torch.get_num_threads()

    def fail_with_one_more():
        with torch_threads(before + 1):
            assert torch.get_num_threads() == before + 1
            raise KeyError

    with pytest.raises(KeyError):
        fail_with_one_more()
    assert torch.get_num_threads() == before
    with torch_threads(None):
        assert torch.get_num_threads() == before


@pytest.fixture
def called(monkeypatch):
    # A process that is started takes over where modules are looked for; it would not find this one, which
    # pytest imports by its path.
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("called_in_workers")


def test_this_process_calls_at_once_and_lets_errors_out(called):
    here = ThisProcess(Silent())
    assert here.submit(called.add, 2, 3).result() == 5
    with pytest.raises(CohortError, match="two patients"):
        here.submit(called.fail)


def test_processes_work_with_their_threads_and_tell_what_they_did(called):
    heard = []
    with worker_processes(1, 3, heard.append) as processes:
        pid, threads, interrupt = processes.submit(called.who).result()
        # An error leaves the process in order.
        with pytest.raises(CohortError, match="two patients"):
            processes.submit(called.fail).result()
        with pytest.raises(CxrbenchError, match=r"a\.dcm: is no DICOM file"):
            processes.submit(called.fail_on_a_file).result()
        assert processes.submit(called.add, 2, 3).result() == 5
    assert pid != os.getpid()
    assert (threads, interrupt) == (3, signal.SIG_IGN)
    assert heard == [7]


def test_an_error_in_who_listens_comes_out_and_holds_nobody_up(called):
    def heard(_images):
        raise ZeroDivisionError

    def listened():
        with worker_processes(1, 1, heard) as processes:
            processes.submit(called.tell_much).result(timeout=60)

    with pytest.raises(ZeroDivisionError):
        listened()


def test_where_processes_cannot_work_together_it_is_said(monkeypatch):
    def no_lock():
        raise OSError("no semaphores")

    context = SimpleNamespace(Pipe=get_context("spawn").Pipe, Lock=no_lock)
    monkeypatch.setattr("cxrbench.study.workers.get_context", lambda _: context)
    with pytest.raises(CxrbenchError, match=r"no semaphores.*--jobs 1"), worker_processes(1, 1, print):
        pass


def test_an_error_in_the_block_ends_the_processes_where_they_are(called):
    pids = []

    def interrupted():
        with worker_processes(1, 1, print) as processes:
            pids.append(processes.submit(called.who).result()[0])
            processes.submit(called.wait_for_ever)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(*pids, 0)


def test_a_process_that_is_killed_is_told_of_in_words(called):
    with (
        pytest.raises(CxrbenchError, match=r"ended by itself.*--jobs"),
        worker_processes(1, 1, print) as processes,
    ):
        processes.submit(called.die).result()


# The worker shares the parent's output and waits for ever; the output ends when both are gone.
SCRIPT = """
import os, sys, threading
from cxrbench.study.workers import worker_processes

def work(progress):
    print("working", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    with worker_processes(1, 1, print) as processes:
        processes.submit(work)
        sys.stdin.read()
        os.kill(os.getpid(), 9)
"""


def test_a_worker_ends_when_its_parent_is_killed(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout.readline() == "working\n"
        # Ends the parent's reading, upon which it kills itself.
        rest, _ = parent.communicate(timeout=60)
    assert rest == ""
    assert parent.returncode == -9
