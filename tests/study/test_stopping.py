"""Ctrl-C and SIGTERM end a study with its processes, say that it goes on, and it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from cxrbench.files import TEMPORARY, sweep
from cxrbench.study.stopping import Stopped, stoppable

SAYS = "stopped; what is finished is kept, and the same command goes on with it"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_the_block_and_what_heard_it_before_hears_it_again(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as raised, stoppable():
        signal.raise_signal(number)
    assert raised.value.exit_code == code
    assert signal.getsignal(number) is before


def test_a_second_signal_ends_the_process_at_once():
    code = (
        "import os, signal, threading\n"
        "from cxrbench.study.stopping import stoppable\n"
        "with stoppable():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        threading.Event().wait(60)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        threading.Event().wait(60)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGTERM


def children(pid):
    """The numbers of a process's children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def starting(study, _out):
    # One is multiprocessing's own; the other has yet to import torch.
    return len(children(study.pid)) >= 2


def working(_study, out):
    return any(out.glob("stages/*/last.safetensors"))


@contextmanager
def long_study(folder, text, by):
    """Start a study of many epochs in two processes, as a command or by pytest; yield it and its folder."""
    profile, out = folder / "tiny.toml", folder / "study"
    profile.write_text(text.replace("epochs = 1", "epochs = 200"))
    options = {"profile": profile, "devices": "cpu,cpu", "scheme": "control"}
    if by == "command":
        command = ["-c", "from cxrbench.cli import main; main()", "study"]
        command += [f"--{name}={value}" for name, value in {**options, "out": out}.items()]
    else:
        (folder / "test_it.py").write_text("def test_it(cxr_study): pass\n")
        command = ["-m", "pytest", "-p", "no:cacheprovider", "test_it.py"]
        command += [f"--cxr-{name}={value}" for name, value in {**options, "study-dir": out}.items()]
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as study:
        yield study, out


def wait_for(phase, study, out):
    while not phase(study, out):
        assert study.poll() is None, study.stdout.read()
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are looked up in Linux's /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("phase", [starting, working])
@pytest.mark.parametrize("by", ["command", "pytest"])
def test_a_study_ends_with_its_processes(tmp_path, tiny_text, phase, by, number, code):
    with long_study(tmp_path, tiny_text, by) as (study, out):
        wait_for(phase, study, out)
        # Ctrl-C goes to all processes of a terminal, SIGTERM to the one that is named.
        (os.killpg if number == signal.SIGINT else os.kill)(study.pid, number)
        # Its processes have its output open: it ends when the last one has ended.
        said, _ = study.communicate(timeout=60)
    assert study.returncode == code
    assert SAYS in said
    assert "Traceback" not in said
    assert "leaked" not in said
    # What a process was writing when it ended is what the next run sweeps.
    sweep(out)
    assert not list(out.rglob(f"{TEMPORARY}*"))


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a killed process is looked at as POSIX has it")
def test_the_processes_of_a_killed_study_end_without_a_word(tmp_path, tiny_text):
    with long_study(tmp_path, tiny_text, "command") as (study, out):
        wait_for(working, study, out)
        study.kill()
        said, _ = study.communicate(timeout=60)
    assert "leaked" not in said
    assert "Traceback" not in said
