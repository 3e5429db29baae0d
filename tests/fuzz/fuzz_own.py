"""Damage files that cxrbench wrote, read them as a study or a gate does, and count what comes of it.

python fuzz_own.py SEED COUNT STUDY FOLDER

STUDY is a finished study of ``tiny_study``; copies of its files are damaged in FOLDER. Prints one line of
JSON: outcomes by kind of file, the slowest read in seconds, the largest memory in MiB, and what went wrong.

What may come of a damaged file: it is refused in one line; it is noticed and will be made again, which is
said; or nothing that it says was changed (other spaces or line ends).
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tiny_study
from mutations import damaged_bytes, damaged_csv, damaged_json
from tally import Tally

from cxrbench.cohort.divide import divide
from cxrbench.cohort.pack import PIXELS, TABLE, pack
from cxrbench.cohort.split import Division, load_split, save_split
from cxrbench.errors import CxrbenchError
from cxrbench.files import write_bytes_atomic
from cxrbench.gate.baseline import RECORD, load_baseline, save_baseline
from cxrbench.leaks.audit import LeakReport
from cxrbench.records import read_record
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.predictions import kept_file
from cxrbench.study.results import load_results
from cxrbench.trace.records import read_trace
from cxrbench.training.checkpoints import (
    DamagedError,
    StageFolder,
    StageRecord,
    load_tensors,
    write_tensors,
)

Damage = Callable[[bytes, random.Random], bytes]


class SilentError(Exception):
    """A damaged file was used as if it were whole."""


@dataclass(frozen=True)
class Target:
    """A kind of file: where one lies, how it is damaged, and what reads it.

    ``read`` returns what the file says, or None where it is made again; it calls its argument with each line
    that is said. ``restore``: other files that a read may write again.
    """

    name: str
    path: Path
    damage: Damage
    read: Callable[[Callable[[str], None]], Any]
    # The reason is said by what calls the reader.
    says: bool = True
    restore: tuple[Path, ...] = field(default=())


def targets(study: Path, folder: Path) -> list[Target]:
    """Return every kind of file that a study and a baseline hold."""
    out = Path(shutil.copytree(study, folder / "study"))
    baseline = folder / "baseline"
    save_baseline(FinishedStudy.open(out), baseline)
    return [
        *_packs(folder / "packs"),
        *_splits(out, folder),
        *_stages(out, folder),
        *_predictions(out),
        *_records(out),
        *_baseline(baseline),
    ]


def _packs(folder: Path) -> list[Target]:
    cohort = role_cohort(tiny_study.profile({"roles.covid.options.n_images": 12}), "covid", None)
    made = pack(cohort, 32, folder)
    whole = made.pixels.copy()

    def read(say: Callable[[str], None]) -> Any:
        # A study opens the pack, or makes it again: both are here, and the pixels must be the same.
        found = pack(cohort, 32, folder, say=say)
        if not np.array_equal(found.pixels, whole) or not found.table.equals(made.table):
            raise SilentError("other pixels or another table")
        return found.labels, found.content, found.dataset, found.left_out

    files = tuple(made.directory / name for name in (PIXELS, TABLE, "pack.json"))
    damages = (damaged_bytes, damaged_bytes, damaged_json)
    return [
        Target(f"pack, {path.name}", path, damage, read, restore=files)
        for path, damage in zip(files, damages, strict=True)
    ]


def _splits(out: Path, folder: Path) -> list[Target]:
    split = next((out / "splits").glob("covid-*.csv"))
    folds = folder / "folds.csv"
    table = role_cohort(tiny_study.profile(), "covid", None).table
    save_split(divide(table, Division("phantom", ("COVID-19",), 0, folds=3)), folds)
    return [
        Target(f"split: {name}", path, damage, lambda _, path=path: load_split(path))
        for name, path in (("parts", split), ("folds", folds))
        for damage in (_rows, _header)
    ]


def _rows(content: bytes, rng: random.Random) -> bytes:
    return damaged_csv(content, rng, comments=2)


def _header(content: bytes, rng: random.Random) -> bytes:
    first, second, rest = content.split(b"\n", 2)
    return b"\n".join((first, b"# " + damaged_json(second[2:], rng), rest))


def _stages(out: Path, folder: Path) -> list[Target]:
    done = next((out / "stages").glob("*/done.json"))
    stage = StageFolder(done.parent, json.loads((done.parent / "stage.json").read_text())["key"])
    unfinished = StageFolder(folder / "unfinished", "0" * 64)
    kept = read_record(done, StageRecord)
    tensors, note = load_tensors(stage.best, kept.best_sha256)
    few = dict(list(tensors.items())[:4])
    unfinished.path.mkdir()
    write_tensors(unfinished.best, few, note)
    write_tensors(unfinished.last, few, kept)
    depends_on = {"run": "init > covid", "seed": 0}
    described = StageFolder.of(folder / "described", depends_on)

    def finished(_: Callable[[str], None]) -> Any:
        found = stage.finished()
        if found is None:
            # The stage begins again; its record says why.
            try:
                stage.unfinished()
            except DamagedError:
                return None
            raise SilentError("the reason is not said")
        return found.record, _text(stage.parameters())

    def going_on(_: Callable[[str], None]) -> Any:
        found = unfinished.unfinished()
        return None if found is None else (_text(found[0]), found[1])

    def description(say: Callable[[str], None]) -> Any:
        StageFolder.of(folder / "described", depends_on, say)
        return (described.path / "stage.json").read_bytes()

    return [
        Target("stage, done.json", stage.done, damaged_json, finished, says=False),
        Target("stage, best.safetensors", stage.best, damaged_bytes, finished, says=False),
        Target("stage, last.safetensors", unfinished.last, damaged_bytes, going_on),
        Target("stage, stage.json", described.path / "stage.json", damaged_json, description),
    ]


def _text(tensors: dict[str, Any]) -> list[tuple[str, bytes]]:
    return [(name, tensor.numpy().tobytes()) for name, tensor in sorted(tensors.items())]


def _predictions(out: Path) -> list[Target]:
    name = "predictions/seed-0/test/control.csv"
    path = out / name
    recorded = path.with_suffix(".json")
    key = json.loads(recorded.read_text())["key"]

    def kept(say: Callable[[str], None]) -> Any:
        found = kept_file(out, name, key, say)
        return None if found is None else (found, path.read_bytes())

    def scored(_: Callable[[str], None]) -> Any:
        found = FinishedStudy.open(out).predictions("control")
        return found.image_ids.tolist(), found.labels.tolist(), [s.tolist() for s in found.scores.values()]

    return [
        Target("predictions, CSV", path, damaged_csv, kept),
        Target("predictions, CSV, scored again", path, damaged_csv, scored),
        Target("predictions, record", recorded, damaged_json, kept),
    ]


def _records(out: Path) -> list[Target]:
    audit = next((out / "audits").glob("*.json"))
    return [
        Target(
            "results.json", out / "results.json", damaged_json, lambda _: load_results(out / "results.json")
        ),
        Target("trace.json", out / "trace.json", damaged_json, lambda _: read_trace(out / "trace.json")),
        Target("audit", audit, damaged_json, lambda _: read_record(audit, LeakReport)),
    ]


def _baseline(baseline: Path) -> list[Target]:
    def read(_: Callable[[str], None]) -> Any:
        study = load_baseline(baseline)
        return study.results, study.trace()

    csv = next(baseline.rglob("*.csv"))
    return [
        Target("baseline, baseline.json", baseline / RECORD, damaged_json, read),
        Target("baseline, results.json", baseline / "results.json", damaged_json, read),
        Target("baseline, trace.json", baseline / "trace.json", damaged_json, read),
        Target("baseline, predictions", csv, damaged_csv, read),
    ]


def outcome(target: Target, whole: Any) -> str:
    said: list[str] = []
    try:
        found = target.read(said.append)
    except CxrbenchError as error:
        return "refused" if len(str(error).splitlines()) == 1 else f"several lines: {error!s}"[:300]
    except SilentError as error:
        return f"silent: {error}"
    except BaseException as error:
        return f"raised {type(error).__name__}: {error}"[:300]
    if any(len(line.splitlines()) != 1 for line in said):
        return f"several lines: {said}"[:300]
    if found is None:
        return "made again" if said or not target.says else "silent: made again, and not said"
    if found != whole:
        return "silent: it says something else"
    return "made again" if said else "nothing changed"


def run(seed: int, count: int, study: Path, folder: Path) -> dict[str, Any]:
    """Damage ``count`` files and return what came of it."""
    rng = random.Random(seed)
    kinds = targets(study, folder)
    whole = {target.name: target.read(lambda _: None) for target in kinds}
    # A checkpoint of 28 MB takes as long as ten other files.
    weights = [0.2 if target.name == "stage, best.safetensors" else 1.0 for target in kinds]
    tally = Tally("refused", "made again", "nothing changed")
    for number in range(count):
        (target,) = rng.choices(kinds, weights)
        before = {path: path.read_bytes() for path in {target.path, *target.restore}}
        content = target.damage(before[target.path], rng)
        target.path.write_bytes(content)
        came = partial(outcome, target, whole[target.name])
        tally.add(f"{number} {target.name}", f"{target.name}:", came)
        for path, old in before.items():
            path.parent.mkdir(exist_ok=True)
            write_bytes_atomic(path, old)
    return tally.result()


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]))))
