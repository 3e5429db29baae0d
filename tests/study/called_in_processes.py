"""Work that test_executor.py has done in other processes, which find this module by its name."""

from __future__ import annotations

import os
import signal
import threading

from cxrbench.errors import CohortError, RadiographError


def fail(_device, _progress):
    raise CohortError("two patients have one name")


def fail_on_a_file(_device, _progress):
    raise RadiographError("a.dcm", "is not a DICOM file")


def pid(_device, _progress):
    return os.getpid()


def who(device, _progress):
    # Only here: a process that needs no torch is there at once.
    import torch

    return os.getpid(), str(device), torch.get_num_threads(), signal.getsignal(signal.SIGINT)


def wait_for_ever(_device, _progress):
    threading.Event().wait()


def die(_device, _progress):
    os.kill(os.getpid(), signal.SIGKILL)
