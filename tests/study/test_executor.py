"""Devices and threads as they are asked for, and processes that work, fail and end as they should."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from cxrbench.errors import CohortError, CxrbenchError, RadiographError
from cxrbench.study.executor import (
    choose_devices,
    local_places,
    open_places,
    threads_each,
    torch_threads,
)
from cxrbench.study.progress import Silent

CPU = torch.device("cpu")
# Where processes start and end is no matter of torch, which takes them seconds to import.
TWO_OF_NOTHING = (["cpu"] * 2, None, Silent())


@pytest.mark.parametrize(
    ("threads", "places", "each"), [(1, 1, 1), (2, 2, 1), (3, 3, 1), (4, 4, 1), (6, 4, 1), (16, 4, 4)]
)
def test_by_default_the_processor_is_shared(monkeypatch, threads, places, each):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    devices = choose_devices()
    assert devices == (CPU,) * places
    assert local_places(devices, Silent()).description["threads"] == each


def test_a_stage_has_the_same_threads_however_many_are_trained_at_a_time(monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 8)
    asked = [{}, {"jobs": 1}, {"jobs": 3}, {"jobs": 8}, {"devices": "cpu,cpu"}]
    described = [local_places(choose_devices(**options), Silent()).description for options in asked]
    assert all(one == described[0] for one in described)
    assert threads_each() == 2


@pytest.mark.parametrize(
    ("asked", "devices"),
    [({"jobs": 3}, (CPU,) * 3), ({"devices": "cpu"}, (CPU,)), ({"devices": "cpu, cpu"}, (CPU, CPU))],
)
def test_jobs_and_devices_say_where(asked, devices):
    assert choose_devices(**asked) == devices


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"jobs": 0}, "jobs = 0: give 1 or more"),
        ({"jobs": 10**9}, "jobs = 1000000000: give 1 or more, at most 1,000"),
        ({"devices": ""}, "'' is not a device"),
        ({"jobs": 2, "devices": "cpu,cpu"}, "give one of the three"),
        ({"gpu": True, "jobs": 2}, "give one of the three"),
        ({"gpu": True, "devices": "cpu"}, "give one of the three"),
        ({"devices": "gpu0"}, "'gpu0' is not a device; write cpu, cuda or cuda:0"),
        ({"devices": "cpu,,cpu"}, "'' is not a device"),
        ({"devices": "meta"}, "trained on cpu or cuda, not on 'meta'"),
        ({"devices": "cuda:99"}, "device 'cuda:99' is not here"),
    ],
)
def test_what_is_no_device_is_refused(asked, message):
    with pytest.raises(CxrbenchError, match=message):
        choose_devices(**asked)


def test_devices_of_two_kinds_are_refused(monkeypatch):
    described = {"cuda:0": {"name": "A", "type": "cuda"}, "cuda:1": {"name": "B", "type": "cuda"}}
    monkeypatch.setattr("cxrbench.training.device.describe_device", lambda device: described[str(device)])
    with pytest.raises(CxrbenchError, match=r"cuda:0 \(A\) and cuda:1 \(B\) are not alike"):
        local_places([torch.device("cuda:0"), torch.device("cuda:1")], Silent())


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
    return importlib.import_module("called_in_processes")


def test_a_single_device_works_in_this_process_and_lets_errors_out(called):
    with open_places([CPU], 3, Silent()) as (here,):
        assert here(called.who).result()[:3] == (os.getpid(), "cpu", 3)
        with pytest.raises(CohortError, match="two patients"):
            here(called.fail)


def test_each_device_has_its_process_and_its_threads(called):
    devices = (CPU, torch.device("cpu", 1))
    with open_places(devices, 3, Silent()) as places:
        done = [place(called.who) for place in places]
        (pid, device, threads, interrupt), (other, other_device, *_) = [future.result() for future in done]
        # An error leaves the process in order, and comes out as it was.
        with pytest.raises(CohortError, match="two patients"):
            places[0](called.fail).result()
        with pytest.raises(RadiographError, match=r"a\.dcm: is not a DICOM file"):
            places[0](called.fail_on_a_file).result()
        assert places[0](called.who).result()[0] == pid
    assert len({pid, other, os.getpid()}) == 3
    assert (device, other_device) == ("cpu", "cpu:1")
    assert (threads, interrupt) == (3, signal.SIG_IGN)


def test_it_is_reported_where_processes_cannot_work_together(monkeypatch):
    def no_lock(*_):
        raise OSError("no semaphores")

    context = SimpleNamespace(**dict.fromkeys(("Lock", "Queue", "SimpleQueue"), no_lock))
    context.get_start_method = get_context("spawn").get_start_method
    monkeypatch.setattr("multiprocessing.get_context", lambda _: context)
    with pytest.raises(CxrbenchError, match=r"no semaphores.*--jobs 1"), open_places([CPU] * 2, 1, Silent()):
        pass


def test_an_error_in_the_block_ends_the_processes_where_they_are(called):
    pids = []

    def interrupted():
        with open_places(*TWO_OF_NOTHING) as places:
            pids.append(places[0](called.pid).result())
            places[0](called.wait_for_ever)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(ProcessLookupError):
        os.kill(*pids, 0)


def test_ctrl_c_while_a_process_is_started_waits_until_it_is(called, monkeypatch):
    submit = ProcessPoolExecutor.submit
    submitted = []

    def interrupted(self, *arguments):
        signal.raise_signal(signal.SIGINT)
        submitted.append(submit(self, *arguments))
        return submitted[-1]

    monkeypatch.setattr(ProcessPoolExecutor, "submit", interrupted)
    with pytest.raises(KeyboardInterrupt), open_places(*TWO_OF_NOTHING) as places:
        places[0](called.wait_for_ever)
    assert len(submitted) == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_process_that_is_killed_is_reported_in_words(called):
    with (
        pytest.raises(CxrbenchError, match=r"ended by itself.*--jobs"),
        open_places(*TWO_OF_NOTHING) as places,
    ):
        places[1](called.die).result()


# The processes share the parent's output; one waits forever, the other may still be starting. The output
# ends when all are gone.
SCRIPT = """
import os, sys, threading
from cxrbench.study.executor import open_places

def work(device, progress):
    print("working", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    from cxrbench.study.progress import Silent
    with open_places(["cpu"] * 2, None, Silent()) as (first, second):
        first(work)
        sys.stdin.readline()
        second(work)
        sys.stdin.readline()
        os.kill(os.getpid(), 9)
"""


def test_processes_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "start.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as parent:
        assert parent.stdout.readline() == "working\n"
        # Starts the other, ends the parent's reading, upon which it kills itself.
        rest, _ = parent.communicate("\n\n", timeout=60)
    assert rest == ""
    assert parent.returncode == -9
