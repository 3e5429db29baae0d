"""What a plan costs as schemes and machines grow, by simulation: ``python benchmarks/scale.py``.

    python benchmarks/scale.py                        # from docs/scale/times.json
    python benchmarks/scale.py --study results        # from the stage times of a finished study
    python benchmarks/scale.py --out FOLDER           # instead of docs/scale

Schemes are drawn at random: up to three stages, each of one data set or two pooled, none twice, and then the
target. The study's own plan says which stage runs are distinct. They are done in the order of the study's own
scheduler, the dearest chain first, each on one GPU. Writes ``simulated.csv`` and ``scale.svg``.
"""

from __future__ import annotations

import argparse
import csv
import heapq
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from cxrbench.schemes import Plan, Scheme, Stage, make_plan
from cxrbench.schemes.plan import StageRun

HERE = Path(__file__).parents[1] / "docs" / "scale"
SCHEMES = (6, 30, 100, 300, 1000)
GPUS = (1, 8, 80, 640)
LONGEST = 3
TARGET = "target"


@dataclass(frozen=True)
class Times:
    """What work takes on one GPU.

    stage_seconds: to start a stage, whatever its size. task_seconds: to hand a task to a worker.
    epochs, target_epochs: passes over the images of a supplement and of the target.
    predicted_images: of each scheme. target, supplements: training images.
    """

    device: str
    image_size: int
    train_images_per_second: float
    predict_images_per_second: float
    stage_seconds: float
    task_seconds: float
    epochs: int
    target_epochs: int
    predicted_images: int
    target: int
    source: str
    supplements: Mapping[str, int]

    def stage(self, stage: Stage) -> float:
        """Return the seconds of one stage, its start included."""
        return self.stage_seconds + self.task_seconds + self._images(stage) / self.train_images_per_second

    def prediction(self) -> float:
        """Return the seconds in which a scheme's images are predicted, right after its last stage."""
        return self.task_seconds + self.predicted_images / self.predict_images_per_second

    def _images(self, stage: Stage) -> int:
        images = sum(self.target if role == TARGET else self.supplements[role] for role in stage.roles)
        # A pooled stage that holds the target goes over all of it as often as over the target.
        return images * (self.target_epochs if TARGET in stage.roles else self.epochs)


@dataclass(frozen=True)
class Simulated:
    """One cell: hours of wall clock, and of GPUs at work.

    runs, distinct: stage runs that the schemes name, and those that are left when equal ones are shared.
    alone_gpu_hours, alone_hours: where every scheme trains all its stages itself.
    chain_hours: of the longest chain of stages, below which no number of GPUs comes.
    busy: share of the GPUs' time in which they work, with sharing.
    """

    schemes: int
    gpus: int
    runs: int
    distinct: int
    gpu_hours: float
    hours: float
    alone_gpu_hours: float
    alone_hours: float
    chain_hours: float
    busy: float


def drawn(count: int, supplements: Sequence[str], seed: int = 0) -> list[Scheme]:
    """Return ``count`` different schemes; the first of more are those of fewer."""
    chance = random.Random(seed)
    found: dict[tuple[Stage, ...], None] = {}
    while len(found) < count:
        stages: list[Stage] = []
        left = list(supplements)
        for _ in range(chance.randint(0, LONGEST)):
            chosen = chance.sample(left, min(chance.choice((1, 1, 2)), len(left)))
            if not chosen:
                break
            left = [name for name in left if name not in chosen]
            stages.append(Stage(tuple(chosen)))
        found.setdefault((*stages, Stage((TARGET,))))
    return [Scheme(f"scheme-{number}", stages) for number, stages in enumerate(found)]


def makespan(plan: Plan, times: Times, gpus: int) -> tuple[float, float, float]:
    """Return the seconds until all is done on ``gpus``, those of work, and those of the longest chain."""
    tested = set(plan.final.values())
    cost = {run: times.stage(run.stage) + times.prediction() * (run in tested) for run in plan.runs}
    children: dict[StageRun | None, list[StageRun]] = {}
    for run in plan.runs:
        children.setdefault(run.parent, []).append(run)
    remaining: dict[StageRun, float] = {}
    for run in reversed(plan.runs):
        remaining[run] = cost[run] + max((remaining[child] for child in children.get(run, [])), default=0.0)
    # Ready runs by what waits for them; busy GPUs by when they are free.
    ready = [(-remaining[run], number, run) for number, run in enumerate(children.get(None, []))]
    heapq.heapify(ready)
    working: list[tuple[float, int, StageRun]] = []
    now, number = 0.0, len(ready)
    while ready or working:
        while ready and len(working) < gpus:
            _, _, run = heapq.heappop(ready)
            number += 1
            heapq.heappush(working, (now + cost[run], number, run))
        now, _, done = heapq.heappop(working)
        for child in children.get(done, []):
            number += 1
            heapq.heappush(ready, (-remaining[child], number, child))
    return now, sum(cost.values()), max(remaining[run] for run in children[None])


def alone(schemes: Sequence[Scheme]) -> Plan:
    """Return a plan in which no stage is shared: every scheme's stages are its own."""
    runs: list[StageRun] = []
    final: dict[str, StageRun] = {}
    for scheme in schemes:
        # A name of its own makes a chain another chain, and has no images.
        path = tuple(_Own(stage.roles, scheme.name) for stage in scheme.stages)
        chain = [StageRun(path[:end]) for end in range(1, len(path) + 1)]
        runs += chain
        final[scheme.name] = chain[-1]
    return Plan(tuple(runs), final)


@dataclass(frozen=True)
class _Own:
    """A stage of one scheme alone."""

    roles: tuple[str, ...]
    scheme: str


def simulated(schemes: int, gpus: int, times: Times) -> Simulated:
    """Return one cell."""
    chosen = drawn(schemes, sorted(times.supplements))
    shared, apart = make_plan(chosen), alone(chosen)
    wall, work, chain = makespan(shared, times, gpus)
    alone_wall, alone_work, _ = makespan(apart, times, gpus)
    return Simulated(
        schemes,
        gpus,
        len(apart.runs),
        len(shared.runs),
        work / 3600,
        wall / 3600,
        alone_work / 3600,
        alone_wall / 3600,
        chain / 3600,
        work / (wall * gpus),
    )


def of_study(folder: Path, times: Times) -> Times:
    """Return ``times`` with the speed of training and of predicting that a finished study had."""
    from cxrbench.study.finished import FinishedStudy

    results = FinishedStudy.open(folder).results
    epochs = [epoch for stage in results.stages for epoch in stage.epochs]
    predicted = [timing for scheme in results.schemes for seed in scheme.seeds for timing in seed.predicting]
    started = [stage.seconds - sum(epoch.seconds for epoch in stage.epochs) for stage in results.stages]

    def speed(timings: Sequence[object]) -> float:
        return sum(timing.images for timing in timings) / sum(timing.seconds for timing in timings)  # type: ignore[attr-defined]

    return replace(
        times,
        device=str(results.device.get("name", "device")),
        image_size=results.image_size,
        train_images_per_second=speed(epochs),
        predict_images_per_second=speed(predicted),
        stage_seconds=sum(started) / len(started),
        source=f"the stages and predictions of the study {results.profile!r}",
    )


def figure(rows: Sequence[Simulated], times: Times, path: Path) -> None:
    """Draw wall clock against GPUs, and what sharing saves against the number of schemes."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    with pyplot.rc_context({"svg.hashsalt": "scale", "font.size": 9}):
        chart, (left, right) = pyplot.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
        for count in SCHEMES:
            mine = sorted((row for row in rows if row.schemes == count), key=lambda row: row.gpus)
            (drawn_line,) = left.loglog(
                [row.gpus for row in mine], [row.hours for row in mine], marker="o", label=f"{count} schemes"
            )
            left.loglog(
                [row.gpus for row in mine],
                [row.alone_hours for row in mine],
                linestyle=":",
                color=drawn_line.get_color(),
            )
        left.set(xlabel=f"GPUs ({times.device})", ylabel="hours (dotted: nothing shared)")
        left.legend(fontsize=7)
        one = [row for row in rows if row.gpus == GPUS[0]]
        right.semilogx(
            [row.schemes for row in one], [row.alone_gpu_hours / row.gpu_hours for row in one], marker="o"
        )
        right.set(xlabel="schemes", ylabel="GPU hours alone / shared", ylim=(0, None))
        chart.savefig(path, metadata={"Date": None, "Creator": None})
        pyplot.close(chart)


def main() -> None:
    """Simulate every cell and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=Path, default=HERE / "times.json")
    parser.add_argument("--study", type=Path, help="take the speeds of this finished study")
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    times = Times(**json.loads(options.times.read_text(encoding="utf-8")))
    if options.study:
        times = of_study(options.study, times)
    rows = [simulated(schemes, gpus, times) for schemes in SCHEMES for gpus in GPUS]
    options.out.mkdir(parents=True, exist_ok=True)
    with (options.out / "simulated.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Simulated)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(
            {
                name: f"{value:.6g}" if isinstance(value, float) else value
                for name, value in asdict(row).items()
            }
            for row in rows
        )
    figure(rows, times, options.out / "scale.svg")


if __name__ == "__main__":
    main()
