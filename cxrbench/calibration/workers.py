"""Worker processes that end with the process that started them."""

from __future__ import annotations

import os
from multiprocessing import parent_process
from threading import Thread


def end_with_parent() -> None:
    """End this process as soon as its parent is gone, however that ended.

    To be called in a process that :mod:`multiprocessing` started. A worker of a killed calibration would else
    train on, beside those of the calibration that is started next. Every file of a study is written whole or
    not at all, so a worker may be ended at any moment.

    Raises
    ------
    RuntimeError: multiprocessing did not start this process.
    """
    parent = parent_process()
    if parent is None:
        raise RuntimeError("end_with_parent is for processes that multiprocessing started")

    def wait() -> None:
        parent.join()
        os._exit(1)

    Thread(target=wait, name="end-with-parent", daemon=True).start()
