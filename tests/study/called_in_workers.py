"""Functions that test_workers.py has called in other processes, which find this module by its name."""

from __future__ import annotations

import os
import signal
import threading

import torch

from cxrbench.errors import CohortError, RadiographError


def add(a, b, _progress):
    return a + b


def fail(_progress):
    raise CohortError("two patients have one name")


def fail_on_a_file(_progress):
    raise RadiographError("a.dcm", "is no DICOM file")


def who(progress):
    progress.start("a stage", 7)
    progress.step(7, 0.5)
    progress.stop()
    return os.getpid(), torch.get_num_threads(), signal.getsignal(signal.SIGINT)


def tell_much(progress):
    for _ in range(20_000):
        progress.step(1, 0.5)


def wait_for_ever(_progress):
    threading.Event().wait()


def die(_progress):
    os.kill(os.getpid(), signal.SIGKILL)
