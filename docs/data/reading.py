"""Measure how fast films of real size are read on one core and on two; reading.json, next to this, keeps it.

    python docs/data/reading.py      # some four minutes of two cores that nothing else uses
    python docs/tables/fill.py       # then: the table of docs/data.md

Ours is what a study does: a cohort packed at 224 px. The second half of its films is timed, when processes
have taken over. Torchxrayvision's way to read the same files is given its best: a torch DataLoader with a
process per core, started already.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from torch.utils.data import DataLoader, Dataset

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from films import FORMS, SIDE, peer_read, write_films

from cxrbench.cohort.pack import pack
from cxrbench.datasets import load

KEPT = Path(__file__).with_name("reading.json")
ROUNDS = 2
CORES = (1, 2)
FILMS = {"PNG": 2500, "JPEG": 5000, "DICOM native": 400, "DICOM JPEG Lossless": 140, "DICOM JPEG 2000": 120}
"""As many as one core reads in twenty seconds and more."""
PEER_FILMS = {"PNG": 48, "JPEG": 48, "DICOM native": 10, "DICOM JPEG Lossless": 4, "DICOM JPEG 2000": 2}


class Peer(Dataset):
    """One film, again and again, as torchxrayvision's data sets read it."""

    def __init__(self, form: str, path: Path) -> None:
        self.form, self.path = form, path

    def __len__(self) -> int:
        return PEER_FILMS[self.form]

    def __getitem__(self, index: int):
        return peer_read(self.form, self.path)


def listed(path: Path, folder: Path, count: int) -> None:
    """Make ``folder`` a data set of ``count`` films of their own, all like ``path``."""
    folder.mkdir()
    rows = ["path,patient_id,Edema"]
    for number in range(count):
        os.link(path, folder / f"{number}{path.suffix}")
        rows.append(f"{number}{path.suffix},{number},{number % 2}")
    (folder / "manifest.csv").write_text("\n".join(rows))


def packing(folder: Path) -> float:
    """Return films per second of a folder that is packed once, in its second half."""
    cohort = load("manifest", folder)
    times: list[float] = []
    with tempfile.TemporaryDirectory() as packs:
        pack(cohort, SIDE, packs, progress=lambda _: times.append(time.perf_counter()))
    half = len(times) // 2
    return (len(times) - half) / (times[-1] - times[half - 1])


def loading(form: str, path: Path, cores: int) -> Callable[[], None]:
    # With one process there is no other, as with one core there is nothing to share.
    workers = {} if cores == 1 else {"num_workers": cores, "persistent_workers": True}
    loader = DataLoader(Peer(form, path), batch_size=None, **workers)

    def once() -> None:
        for _ in loader:
            pass

    return once


def rate(call: Callable[[], None], films: int, rounds: int = ROUNDS) -> float:
    """Return films per second of the fastest round, after one that is not counted."""
    call()
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return films / min(taken)


def processor() -> str:
    """Return what the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), platform.machine())


def main() -> None:
    every = sorted(os.sched_getaffinity(0))[: max(CORES)]
    if len(every) < max(CORES):
        raise SystemExit(f"{max(CORES)} cores are needed, and {len(every)} may be used here")
    found = {form: {"ours": {}, "peer": {}} for form in FORMS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for form, path in write_films(folder).items():
            listed(path, folder / form, FILMS[form])
            for cores in CORES:
                os.sched_setaffinity(0, every[:cores])
                ours = packing(folder / form)
                peer = rate(loading(form, path, cores), PEER_FILMS[form])
                found[form]["ours"][str(cores)] = round(ours, 2)
                found[form]["peer"][str(cores)] = round(peer, 2)
                print(f"{form}, cores {cores}: {ours:.1f} films/s, torchxrayvision {peer:.1f}", flush=True)
            os.sched_setaffinity(0, every)
    made = {
        "day": datetime.now(UTC).date().isoformat(),
        "machine": f"{processor()}, {platform.system()}, Python {platform.python_version()}",
        "torchxrayvision": version("torchxrayvision"),
        "size": SIDE,
    }
    KEPT.write_text(json.dumps({"made": made, "films": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
