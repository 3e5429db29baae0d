"""The same work on many items: in order, by threads and then by processes, and nothing is left of them."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from pathlib import Path

import pytest
from cores_work import Deadly, Elsewhere, refuse, square

from cxrbench import cores
from cxrbench.cores import in_order
from cxrbench.errors import CohortError

HELPERS = Path(__file__).parent / "helpers"


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes are worth it for anything, and are waited for."""
    monkeypatch.setattr(cores, "SAMPLE", 0.0)
    monkeypatch.setattr(cores, "WORTH", 0.0)
    begun = cores._Processes.begun

    def waited(processes: cores._Processes) -> bool | None:
        wait(processes._first)
        return begun(processes)

    monkeypatch.setattr(cores._Processes, "begun", waited)


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert multiprocessing.active_children() == []
    assert threading.active_count() <= before


def lost(number: int) -> tuple[int, int]:
    return -number, 0


def squares(count: int) -> list[int]:
    return [number * number for number in range(count)]


@pytest.mark.parametrize("workers", [1, 2, 5, None])
@pytest.mark.parametrize("count", [0, 1, 3, 200])
def test_little_is_done_in_this_process_and_in_order(workers: int | None, count: int) -> None:
    found = list(in_order(square, range(count), lost, workers))
    assert found == [(number, os.getpid()) for number in squares(count)]


@pytest.mark.usefixtures("at_once")
def test_much_is_handed_to_processes_and_comes_in_order() -> None:
    found = list(in_order(square, range(301), lost, 2))
    assert [number for number, _ in found] == squares(301)
    # So little work may all be done by the first of them.
    assert 1 <= len({process for _, process in found} - {os.getpid()}) <= 2
    # Once they are there, they do all of it.
    assert os.getpid() not in {process for _, process in found[100:]}


@pytest.mark.usefixtures("at_once")
def test_work_that_cannot_be_pickled_stays_here() -> None:
    found = list(in_order(lambda number: square(number), range(200), lost, 2))
    assert found == [(number, os.getpid()) for number in squares(200)]


@pytest.mark.usefixtures("at_once")
def test_work_that_cannot_be_read_there_stays_here(capfd: pytest.CaptureFixture[str]) -> None:
    found = list(in_order(Elsewhere(os.getpid()), range(200), lost, 2))
    assert found == [(number, os.getpid()) for number in squares(200)]
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("at_once")
def test_an_item_that_ends_its_process_is_lost_and_the_others_are_not() -> None:
    deadly = Deadly(os.getpid(), frozenset({100, 101, 250}))
    found = [number for number, _ in in_order(deadly, range(301), lost, 2)]
    assert found == [-number if number in deadly.numbers else number * number for number in range(301)]


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("workers", [1, 2])
def test_what_the_work_raises_is_raised(workers: int) -> None:
    seen = []
    with pytest.raises(CohortError, match="the hundredth is refused"):
        seen.extend(in_order(refuse, range(300), abs, workers))
    assert multiprocessing.active_children() == []


@pytest.mark.usefixtures("at_once")
def test_one_who_stops_asking_leaves_nothing_at_work() -> None:
    with closing(in_order(square, range(10_000), lost, 2)) as found:
        for _ in range(150):
            next(found)
    assert multiprocessing.active_children() == []


def test_only_a_few_items_are_in_hand() -> None:
    begun = []

    def noted(number: int) -> int:
        begun.append(number)
        return number

    with closing(in_order(noted, range(10_000), abs, 3)) as found:
        assert next(found) == 0
        assert len(begun) <= 3 * cores._AHEAD


SCRIPT = f"""
import sys, threading
sys.path.insert(0, {str(HELPERS)!r})
from cores_work import square
from cxrbench import cores
cores.SAMPLE = cores.WORTH = 0.0
print("the script runs", flush=True)
for number, (_, process) in enumerate(cores.in_order(square, range(10**9), abs, 2)):
    if cores.os.getpid() != process:
        print("processes are at work", flush=True)
        if "end" in sys.argv:
            break
"""


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start a script without a guarded main module in a group of its own, and wait for its processes."""
    script = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "the script runs\n"
    assert script.stdout.readline() == "processes are at work\n"
    return script


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_processes_end_with_a_script_that_is_stopped(number: signal.Signals) -> None:
    script = started()
    if number == signal.SIGINT:
        # As a terminal sends it: to all processes of the group.
        os.killpg(script.pid, number)
    else:
        script.send_signal(number)
    # The pipes are at their end when nobody has them any more: no process is left.
    _, complaints = script.communicate(timeout=60)
    assert script.returncode in (-number, 130)
    assert complaints.count("Traceback") == (1 if number == signal.SIGINT else 0), complaints


def test_a_script_that_breaks_off_ends_with_its_processes(tmp_path: Path) -> None:
    # A file this time: what multiprocessing would run again.
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), "end"],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "the script runs\nprocesses are at work\n"
    assert done.stderr == ""


FAULTS = """
import resource
from cxrbench.processes import keep_memory
{keep}
def films():
    for _ in range(10):
        three = [b"x" * (20 << 20) for _ in range(3)]
        del three
films()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
films()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: str) -> int:
    """Return how often the system handed out a page while freed memory was used again."""
    call = [sys.executable, "-c", FAULTS.format(keep=keep)]
    return int(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc gives the end of its heap back")
def test_memory_that_was_freed_is_kept_for_the_next_film() -> None:
    assert faults("keep_memory()") < 1000
    assert faults("") > 10_000
