"""A worker does not outlive the process that started it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cxrbench.calibration.workers import end_with_parent

# The worker shares the parent's output and waits for ever; the output ends when both are gone.
SCRIPT = """
import os, sys, threading
from multiprocessing import get_context
from cxrbench.calibration.workers import end_with_parent

def work():
    end_with_parent()
    print("working", flush=True)
    threading.Event().wait()

if __name__ == "__main__":
    worker = get_context("spawn").Process(target=work, daemon=False)
    worker.start()
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


def test_only_a_process_with_a_parent_can_end_with_it():
    with pytest.raises(RuntimeError, match="for processes that multiprocessing started"):
        end_with_parent()
