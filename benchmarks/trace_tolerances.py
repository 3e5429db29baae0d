"""How far does an honest run on another machine part from this one? Measured by imitating other machines.

The study of a profile is run once as it is and once in every other environment: with the instruction sets of
older processors, with another number of threads, and with every other Python interpreter that is named (one
per torch version). Their traces are compared number by number; no tolerance is used.

    python benchmarks/trace_tolerances.py --profile phantom-small --out docs/trace/tolerances.json
    python benchmarks/trace_tolerances.py --python "torch 2.9"=PATH/TO/bin/python …
    python benchmarks/trace_tolerances.py --only GPU --scheme control --out gpu.json    # where there is one

With ``--keep`` the studies stay, and one that is interrupted goes on where it was.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import tomlkit
import torch

from cxrbench.study.profile import profile_text
from cxrbench.trace.records import StageEntry, Trace, find_trace

AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
SSE41 = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}


@dataclass(frozen=True)
class Environment:
    """One imitated machine.

    variables: of the environment. threads: torch's (None: as it is). options: of the study's command.
    precision: instead of the profile's. python: the interpreter.
    """

    name: str
    variables: Mapping[str, str]
    threads: int | None = None
    options: tuple[str, ...] = ()
    precision: str | None = None
    python: str = sys.executable


ENVIRONMENTS = (
    Environment("as it is", {}),
    Environment("AVX2", AVX2),
    # A quarter of eight for each stage, here one after the other.
    Environment("two threads", {}, threads=8, options=("--jobs", "1")),
    Environment("SSE 4.1", SSE41),
    *([Environment("GPU", {}, options=("--gpu",))] if torch.cuda.is_available() else []),
    # No honest run of the same experiment: how far one is away that the tolerances must not take for it.
    Environment("bfloat16 instead of float32", {}, precision="bfloat16"),
)


def run(
    environment: Environment, profile: str, seeds: str, folder: Path, schemes: tuple[str, ...] = ()
) -> Trace:
    """Run the study in ``environment``, of all schemes or of ``schemes``, and return its trace."""
    out = folder / environment.name.replace(" ", "-")
    if environment.precision:
        settings = tomlkit.parse(profile_text(profile))
        for stage in settings["stages"].values():
            stage["precision"] = environment.precision
        changed = out.with_suffix(".toml")
        changed.write_text(tomlkit.dumps(settings), encoding="utf-8")
        profile = str(changed)
    threads = f"import torch; torch.set_num_threads({environment.threads})" if environment.threads else ""
    program = f"{threads}\nimport sys; from cxrbench.cli import main; main(sys.argv[1:])"
    arguments = ["study", "--profile", profile, "--out", str(out), "--quiet", "--no-report", "--seeds", seeds]
    arguments += [*environment.options, *(part for name in schemes for part in ("--scheme", name))]
    subprocess.run(
        [environment.python, "-c", program, *arguments],
        env={**os.environ, **environment.variables},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return find_trace(out)


def distances(now: Trace, before: Trace) -> Iterator[dict[str, Any]]:
    """Yield relative distances: what, of a chain's first stage or a later one, step, and how far."""
    others = {(entry.run, entry.seed, entry.fold): entry for entry in before.stages}
    for entry in now.stages:
        yield from _of_stage(entry, others[entry.run, entry.seed, entry.fold])
    made = {(entry.scheme, entry.part, entry.seed, entry.fold): entry for entry in before.predictions}
    for a in now.predictions:
        b = made[a.scheme, a.part, a.seed, a.fold]
        spread = float(np.std(b.path.reference))
        far = max(abs(x - y) for x, y in zip(a.path.reference, b.path.reference, strict=True)) / spread
        yield {"what": "reference logits", "stage": "prediction", "step": None, "relative": far}
        for what, x, y in (
            ("mean", a.path.inputs.mean, b.path.inputs.mean),
            ("SD", a.path.inputs.sd, b.path.inputs.sd),
        ):
            relative = abs(x - y) / max(1.0, abs(y))
            yield {"what": f"{what} of inputs", "stage": "prediction", "step": None, "relative": relative}


def _of_stage(now: StageEntry, before: StageEntry) -> Iterator[dict[str, Any]]:
    stage = "first" if now.parent is None else "later"
    a, b = now.trace, before.trace
    for step, (x, y) in enumerate(zip(a.steps, b.steps, strict=True)):
        for what, u, v in (
            ("loss", x.loss, y.loss),
            ("gradient norm", x.gradient_norm, y.gradient_norm),
            ("learning rate", x.learning_rate, y.learning_rate),
        ):
            yield {"what": what, "stage": stage, "step": step, "relative": abs(u - v) / abs(v)}
    for what, u, v in (
        ("trunk at the start", a.before.trunk, b.before.trunk),
        ("heads at the start", a.before.heads, b.before.heads),
    ):
        yield {"what": what, "stage": stage, "step": None, "relative": abs(u - v) / abs(v)}
    for role, moments in a.untrained.items():
        other = b.untrained[role]
        scale = max(other.sd, abs(other.mean))
        for what, u, v in (("mean", moments.mean, other.mean), ("SD", moments.sd, other.sd)):
            named = f"{what} of validation logits at the start"
            yield {"what": named, "stage": stage, "step": None, "relative": abs(u - v) / scale}


def largest(found: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the largest distance of every kind, stage and step."""
    rows: dict[tuple[str, str, int | None], float] = {}
    for row in found:
        key = row["what"], row["stage"], row["step"]
        rows[key] = max(rows.get(key, 0.0), row["relative"])
    return [
        {"what": what, "stage": stage, "step": step, "relative": relative}
        for (what, stage, step), relative in rows.items()
    ]


@click.command()
@click.option("--profile", default="phantom-small", show_default=True)
@click.option("--seeds", default="0", show_default=True)
@click.option("--python", "pythons", multiple=True, help="NAME=INTERPRETER with another torch.")
@click.option("--only", multiple=True, help="Only this environment; may be repeated.")
@click.option("--scheme", "schemes", multiple=True, help="Only this scheme; may be repeated.")
@click.option("--keep", type=click.Path(path_type=Path), help="Where the studies lie. [default: nowhere]")
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    profile: str,
    seeds: str,
    pythons: tuple[str, ...],
    only: tuple[str, ...],
    schemes: tuple[str, ...],
    keep: Path | None,
    out: Path,
) -> None:
    """Measure how far imitated machines part, and write it to OUT as JSON."""
    others = [
        Environment(name, {}, python=python) for name, python in (text.split("=", 1) for text in pythons)
    ]
    with tempfile.TemporaryDirectory() as temporary:
        folder = keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        first, *rest = (*ENVIRONMENTS, *others)
        rest = [environment for environment in rest if not only or environment.name in only]
        reference = run(first, profile, seeds, folder, schemes)
        found: dict[str, Any] = {
            "profile": profile,
            "seeds": seeds,
            "reference": dict(reference.environment),
            "measured": [],
        }
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.exists():
            # What was measured before is not measured again.
            earlier = json.loads(out.read_text(encoding="utf-8"))
            if all(earlier[key] == found[key] for key in ("profile", "seeds", "reference")):
                found["measured"] = earlier["measured"]
        done = {each["environment"] for each in found["measured"]}
        for environment in rest:
            if environment.name in done:
                continue
            trace = run(environment, profile, seeds, folder, schemes)
            found["measured"].append(
                {
                    "environment": environment.name,
                    "stages": len(trace.stages),
                    "described": dict(trace.environment),
                    "largest": largest(distances(trace, reference)),
                }
            )
            # Written as it comes: an old instruction set takes its time.
            out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
