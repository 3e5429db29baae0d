"""Keep the image libraries' warnings about odd files to the moment in which a file is read."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_MODULES = r"(pydicom|PIL|imagecodecs|simplejpeg|cxrbench\.radiograph)(\.|$)"

# `warnings.catch_warnings` saves and restores a process-wide list. Two threads that decode side by side would
# restore each other's copy and leave the filter behind for good, so overlapping readers share one.
_lock = threading.Lock()
_shared = ExitStack()
_readers = 0


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence warnings raised from pydicom, Pillow and the codecs while at least one file is being read.

    Real archives are full of values that break the DICOM rules and do not matter here, such as a
    ``PatientAge`` of ``77``; one warning per file would bury everything else. What does matter becomes a
    :class:`~cxrbench.errors.RadiographError`. The filters are as before when the last reader has left.
    """
    global _readers
    with _lock:
        if _readers == 0:
            _shared.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", module=_MODULES)
        _readers += 1
    try:
        yield
    finally:
        with _lock:
            _readers -= 1
            if _readers == 0:
                _shared.close()
