"""Measure what digests cost a study, `phantom-small` from nothing and again; digests.json keeps it.

    python docs/reliability/digests.py      # some minutes of one core
    python docs/tables/fill.py              # then: the table

Every hash is counted, that of keys and of source files too, with what is read for it and written into it.
Seconds are processor time, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import functools
import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT = Path(__file__).with_name("digests.json")
PROFILE = "phantom-small"

spent = {"seconds": 0.0, "calls": 0}
_within = False


def counted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with its processor time added to what was spent, once where one calls another."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        global _within
        if _within:
            return function(*args, **kwargs)
        _within, started = True, time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            _within = False
            spent["seconds"] += time.thread_time() - started
            spent["calls"] += 1

    return call


class Hash:
    """A SHA-256 whose time is counted."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self.update = counted(made.update)
        self.digest, self.hexdigest = counted(made.digest), counted(made.hexdigest)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)


def watch() -> None:
    """Count every digest from here on; called before the modules are imported that take them by name."""
    plain, of_file = counted(hashlib.sha256), counted(hashlib.file_digest)
    hashlib.sha256 = lambda *args, **kwargs: Hash(plain(*args, **kwargs))  # type: ignore[assignment]
    hashlib.file_digest = of_file  # type: ignore[assignment]
    from cxrbench import files

    for name in ("digest", "file_sha256", "source_digest"):
        setattr(files, name, counted(getattr(files, name)))
    from cxrbench.cohort import pack
    from cxrbench.training import checkpoints

    pack._intact = counted(pack._intact)
    checkpoints._content = counted(checkpoints._content)


def study(out: Path) -> dict[str, float]:
    """Return the processor seconds of a study in ``out``, and of its digests."""
    import torch

    from cxrbench.study.profile import load_profile
    from cxrbench.study.progress import Silent
    from cxrbench.study.run import run_study
    from cxrbench.study.where import Where

    spent.update(seconds=0.0, calls=0)
    started = time.process_time()
    run_study(load_profile(PROFILE), out, where=Where(devices=(torch.device("cpu"),)), progress=Silent())
    return {
        "seconds": round(time.process_time() - started, 3),
        "digests": round(spent["seconds"], 4),
        "calls": spent["calls"],
    }


def main() -> None:
    watch()
    with tempfile.TemporaryDirectory() as temporary:
        found = {"from nothing": study(Path(temporary)), "again": study(Path(temporary))}
        size = sum(path.stat().st_size for path in Path(temporary).rglob("*") if path.is_file())
    made = {
        "day": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "profile": PROFILE,
        "mebibytes": round(size / 2**20),
    }
    KEPT.write_text(json.dumps({"made": made, "studies": found}, indent=1) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
