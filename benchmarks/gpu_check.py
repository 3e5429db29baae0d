"""What only a GPU can show: that it computes what the CPU does, how fast, the phantom on it, a calibration.

Called by ``gpu_check.sh``. Each part is a file ``PART.json`` of rows, written again after every row; a row
that fails leaves its error. Called again with the same folder, it goes on: what is there is not done again,
what failed or was left out for want of time is. Times are medians with quartiles, by
``torch.utils.benchmark``, which waits for the GPU; the plain loop's are taken with the GPU's own events.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
import traceback
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tomlkit
import torch
from peers import PlainTraining, classifier
from scipy.stats import spearmanr
from torch import nn
from torch.utils.benchmark import Timer
from torchvision.models.densenet import _DenseBlock

from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort
from cxrbench.files import write_text_atomic
from cxrbench.leaks.duplicates import Images, search
from cxrbench.study.predictions import predict_images
from cxrbench.study.profile import profile_text
from cxrbench.study.speed import speed_images
from cxrbench.training.augment import draw
from cxrbench.training.block import through
from cxrbench.training.config import Precision, StageConfig
from cxrbench.training.data import LabelledImages
from cxrbench.training.device import choose_precision, describe_device, deterministic, fast_kernels
from cxrbench.training.graphed import Replay, recorder
from cxrbench.training.network import Network
from cxrbench.training.predict import autocast, predict_logits, to_float
from cxrbench.training.seeds import generator
from cxrbench.training.stepper import Stepper

ROLE, NETWORK = "covid", "densenet121"
CPU = torch.device("cpu")

Row = tuple[str, Callable[[], Any]]
"""A row's name, and what finds its content."""


@dataclass(frozen=True)
class Size:
    """How large everything is: images of ``image`` px in ``batches``, so many ``steps`` and ``seconds`` each.

    batch: what is compared and held against the plain loop. films: of the leak audit, trained on and tested.
    seeds: of the calibration, one after another as long as there is time. cohorts: images of its roles, where
    not the profile's.
    """

    image: int
    batches: tuple[int, ...]
    batch: int
    latencies: tuple[int, ...]
    steps: int
    seconds: float
    compared: int
    loader_images: int
    workers: int
    phantoms: int
    films: tuple[int, int]
    profile: str
    seeds: tuple[int, ...]
    cohorts: tuple[int, int, int] | None = None


LARGE = Size(
    image=224,
    batches=(32, 64, 128, 256),
    batch=64,
    latencies=(1, 16, 256),
    steps=20,
    seconds=1.5,
    compared=32,
    loader_images=4096,
    workers=16,
    phantoms=8192,
    films=(140_000, 4_000),
    profile="phantom-gpu",
    seeds=tuple(range(100, 120)),
)
SMALL = Size(32, (4, 8), 8, (1, 4), 4, 0.1, 16, 16, 0, 8, (300, 20), "phantom-small", (0, 1), (40, 40, 60))


class Steps:
    """So many steps as a study takes them; called, it takes them and returns the sum of their losses.

    kernels: whether a trunk goes through ours on a GPU, or through torchvision's operations.
    """

    def __init__(
        self,
        device: torch.device,
        size: Size,
        batch: int,
        precision: Precision,
        *,
        count: int = 0,
        recorded: bool = True,
        compiled: bool = False,
        kernels: bool = True,
    ) -> None:
        self.count = count or size.steps
        config = StageConfig(batch_size=batch, precision=precision, compile="on" if compiled else "off")
        images = speed_images(batch, size.image, ROLE, device)
        network = Network(NETWORK, {ROLE: 1}, seed=0).to(device, memory_format=torch.channels_last)
        network.train()
        if not kernels:
            network.trunk = without_kernels(network.trunk)
        self.must_record = recorded and device.type == "cuda"
        self.taker = Stepper(network, images, config, by=recorder(device) if recorded else None)
        self.order = torch.arange(batch).expand(self.count, -1)
        self.draws = draw(self.order.numel(), generator("gpu check")).view(*self.order.shape, -1)
        self.rates = [config.learning_rate] * self.count

    def __call__(self) -> torch.Tensor:
        self.taker.begin(self.order, self.draws, self.rates)
        for _ in range(self.count):
            self.taker.take()
        if self.must_record and self.taker.refused:
            raise RuntimeError(f"the step was not recorded: {self.taker.refused}")
        return self.taker.total


def without_kernels(trunk: nn.Module) -> nn.Module:
    """Return the layers of ``trunk`` one after another, as torchvision computes them."""
    return nn.Sequential(OrderedDict(trunk.named_children()))


def facts(device: torch.device, size: Size) -> Iterator[Row]:
    """What ran where."""
    yield "torch", lambda: {"torch": torch.__version__, "cuda": torch.version.cuda}
    yield "bfloat16", lambda: choose_precision("auto", device) == "bfloat16"
    yield "image size", lambda: size.image
    if device.type == "cuda":
        yield "memory, GiB", lambda: torch.cuda.get_device_properties(device).total_memory / 2**30


def kernels(device: torch.device, size: Size) -> Iterator[Row]:
    """Each dense block by our kernels and by torchvision's operations, both against float64."""
    named = Network(NETWORK, {ROLE: 1}, seed=0).trunk.named_children()
    blocks = [(name, block) for name, block in named if isinstance(block, _DenseBlock)]

    def apart(number: int, precision: Precision, tf32: bool) -> dict[str, Any]:
        block = blocks[number][1].train()
        side, chance = size.image // (4 * 2**number), torch.Generator().manual_seed(number)
        channels = block.denselayer1.norm1.num_features
        images = torch.rand(8, channels, side, side, generator=chance).to(device)
        found = {}
        for how in ("float64", "torchvision", "ours"):
            kind = torch.float64 if how == "float64" else torch.float32
            tried = deepcopy(block).to(device, kind)
            maps = images.to(kind).contiguous(memory_format=torch.channels_last).requires_grad_()
            with (
                torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32),
                autocast(device, "float32" if how == "float64" else precision),
            ):
                out = by_kernels(tried, maps) if how == "ours" else tried(maps)
            back = torch.rand(out.shape, generator=torch.Generator().manual_seed(number)) - 0.5
            out.backward(back.to(device, out.dtype))
            gradients = [maps.grad, *(p.grad for p in tried.parameters())]
            found[how] = [out.detach(), *(g for g in gradients if g is not None)]
        return {
            f"{how}, {what}": max(map(distance, found[how][part], found["float64"][part]))
            for how in ("torchvision", "ours")
            for what, part in (("maps", slice(1)), ("gradients", slice(1, None)))
        }

    for number, (name, _) in enumerate(blocks):
        yield f"{name}, float32 without TF32", partial(apart, number, "float32", False)
        yield f"{name}, bfloat16", partial(apart, number, "bfloat16", True)


def by_kernels(block: nn.Module, maps: torch.Tensor) -> torch.Tensor:
    """Return what our kernels make of ``maps``; on a CPU, which has none, what the block itself does."""
    if maps.device.type == "cpu":
        return block(maps)
    from cxrbench.training.kernels import KERNELS

    return through(block, None, maps, KERNELS)


def distance(one: torch.Tensor, exact: torch.Tensor) -> float:
    """Return the relative distance of ``one`` from what is ``exact``."""
    return float((one.double() - exact).norm() / exact.norm())


def correctness(device: torch.device, size: Size) -> Iterator[Row]:
    """The same network on the same images here and on the CPU; then the same steps of training."""
    images = speed_images(size.compared, size.image, ROLE, CPU)

    def logits(place: torch.device, precision: Precision, tf32: bool) -> Any:
        network = Network(NETWORK, {ROLE: 1}, seed=0).to(place, memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
            return predict_logits(network, images.pixels.to(place), [ROLE], precision)

    expected: list[Any] = []

    def against(precision: Precision, tf32: bool) -> dict[str, float]:
        if not expected:
            expected.append(logits(CPU, "float32", False))
        found = logits(device, precision, tf32)
        return {
            "largest difference": float(np.abs(found - expected[0]).max()),
            "standard deviation of the logits": float(expected[0].std()),
            "rank correlation": float(spearmanr(found[:, 0], expected[0][:, 0]).statistic),
        }

    # Float32 on a GPU multiplies with the mantissa of TF32, unless told not to.
    yield "logits, float32 without TF32", partial(against, "float32", False)
    yield "logits, float32", partial(against, "float32", True)
    yield "logits, bfloat16", partial(against, "bfloat16", True)

    def loss(place: torch.device, precision: Precision, **options: bool) -> float:
        few = size.steps // 4
        return float(Steps(place, size, 16, precision, count=few, **options)()) / few

    yield "mean loss of the first steps, cpu float32", partial(loss, CPU, "float32")
    yield "mean loss of the first steps, plain float32", partial(loss, device, "float32", recorded=False)
    yield "mean loss of the first steps, recorded float32", partial(loss, device, "float32")
    yield "mean loss of the first steps, recorded bfloat16", partial(loss, device, "bfloat16")

    def again() -> bool:
        with deterministic(device, True):
            return loss(device, "bfloat16") == loss(device, "bfloat16")

    yield "deterministic: the same loss twice", again


def training_row(device: torch.device, size: Size, batch: int, **options: Any) -> dict[str, float]:
    """Return the speed of our step; the first call compiles kernels and lets cuDNN choose."""
    started = time.perf_counter()
    with fast_kernels(device):
        steps = Steps(device, size, batch, "bfloat16", **options)
        float(steps())
        first = time.perf_counter() - started
        found = timed(steps, size, batch * size.steps)
    return {**found, "first_call_seconds": first, **memory(device)}


def training_speed(device: torch.device, size: Size) -> Iterator[Row]:
    """Our step, with and without what makes it fast, and a plain loop with a DataLoader of many workers."""
    row = partial(training_row, device, size, size.batch)
    yield "recorded", row
    yield f"plain loop, {size.workers} workers", partial(plain_loop, device, size)
    yield "not recorded", partial(row, recorded=False)

    def same() -> dict[str, float]:
        with deterministic(device, True):
            return row()

    yield "deterministic", same
    yield "recorded, without kernels", partial(row, kernels=False)


def batch_speed(device: torch.device, size: Size) -> Iterator[Row]:
    """Our step by batch."""
    for batch in size.batches:
        yield f"batch {batch}", partial(training_row, device, size, batch)


def memory_runs_out(device: torch.device, size: Size) -> Iterator[Row]:
    """The largest batch with memory for it and without: in how many parts, at which mean loss."""

    def found(share: float) -> dict[str, float]:
        torch.cuda.set_per_process_memory_fraction(share)
        try:
            memory(device)
            steps = Steps(device, size, max(size.batches), "bfloat16")
            loss = float(steps()) / steps.count
            return {"share of memory": share, "parts": steps.taker.parts, "mean loss": loss, **memory(device)}
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)

    def both() -> dict[str, dict[str, float]]:
        whole = found(1.0)
        # What is held on to counts.
        gc.collect()
        torch.cuda.empty_cache()
        there = torch.cuda.get_device_properties(device).total_memory / 2**30
        return {"enough": whole, "too little": found(0.6 * whole["memory_gib"] / there)}

    if device.type == "cuda":
        yield "the largest batch", both


def first_step(device: torch.device, size: Size) -> float:
    """Return the seconds until a process's first step is done."""
    started = time.perf_counter()
    float(Steps(device, size, size.batch, "bfloat16", count=1)())
    return time.perf_counter() - started


def first_compile(device: torch.device, size: Size) -> Iterator[Row]:
    """The first step of a process: where no kernel was compiled on the machine before, and where all were."""

    def seconds() -> float:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(first_step, device, size).result()

    def both() -> dict[str, float]:
        # One row: the second number needs what the first has compiled.
        with TemporaryDirectory() as folder:
            os.environ["TRITON_CACHE_DIR"] = folder
            try:
                return {"kernels not compiled yet": seconds(), "kernels compiled": seconds()}
            finally:
                del os.environ["TRITON_CACHE_DIR"]

    yield "seconds", both


def compiled_speed(device: torch.device, size: Size) -> Iterator[Row]:
    """The same with the trunk through torch.compile and not our kernels: what it takes, and what it saves."""

    # On a CPU it takes minutes and shows nothing of a GPU.
    if device.type == "cuda":
        yield "compiled and recorded", partial(training_row, device, size, size.batch, compiled=True)


def inference_speed(device: torch.device, size: Size) -> Iterator[Row]:
    """The function that a study predicts with, from the host's memory to it; then latency, on the device."""
    network = Network(NETWORK, {ROLE: 1}, seed=0).to(device, memory_format=torch.channels_last).eval()

    def study(precision: Precision) -> dict[str, float]:
        made = speed_images(4 * max(size.latencies), size.image, ROLE, CPU)
        images = LabelledImages(made.pixels[:, 0].numpy(), made.labels.numpy())
        return timed(lambda: predict_images(ROLE, network, images, device, precision), size, len(images))

    def latency(batch: int, recorded: bool) -> dict[str, float]:
        pixels = speed_images(batch, size.image, ROLE, device).pixels
        out = torch.zeros(batch, 1, device=device)

        @torch.inference_mode()
        def forward() -> None:
            with autocast(device, "bfloat16"):
                out.copy_(network(to_float(pixels), [ROLE]))

        call = partial(Replay(recorder(device) if recorded else None), forward)
        with fast_kernels(device):
            for _ in range(5):
                call()
            return timed(call, size, batch)

    for precision in ("bfloat16", "float32"):
        yield f"a study's predictions, {precision}", partial(study, precision)
    for batch in size.latencies:
        yield f"recorded, batch {batch}", partial(latency, batch, True)
        yield f"not recorded, batch {batch}", partial(latency, batch, False)


def phantom(device: torch.device, size: Size) -> Iterator[Row]:
    """Phantoms drawn here and on the CPU: how fast, and how far apart."""
    config = PhantomConfig.from_mapping({"findings": {"n_images": size.phantoms}})
    few = range(min(16, size.phantoms))

    def drawn(place: torch.device, rows: Sequence[int]) -> Any:
        pixels = phantom_cohort("findings", config, seed=1, device=str(place)).pixels
        return pixels.read_batch(rows, size.image)

    def speed(place: torch.device, count: int) -> dict[str, float]:
        drawn(place, few)
        started = time.perf_counter()
        # Comes back as an array of the host's, so nothing is left to wait for.
        drawn(place, range(count))
        return {"images_per_second": count / (time.perf_counter() - started), "images": count}

    def difference() -> dict[str, float]:
        apart = np.abs(drawn(device, few).astype(np.int16) - drawn(CPU, few).astype(np.int16))
        return {"largest": int(apart.max()), "share of pixels": float((apart > 0).mean())}

    yield "difference", difference
    yield "here", partial(speed, device, size.phantoms)
    yield "cpu", partial(speed, CPU, len(few))


def leak_audit(device: torch.device, size: Size) -> Iterator[Row]:  # noqa: ARG001
    """The search for copies among films that are made up, at 64 px, on this machine's cores."""

    def audited() -> dict[str, float]:
        trained, tested = size.films
        chance = np.random.default_rng(0)
        films = chance.integers(0, 256, (min(trained, 4096), 64, 64), dtype=np.uint8)
        images = Images(films, np.arange(trained) % len(films))
        others = Images(chance.integers(0, 256, (tested, 64, 64), dtype=np.uint8), np.arange(tested))
        started = time.perf_counter()
        found = search(others, [images])
        return {
            "seconds": time.perf_counter() - started,
            "trained": trained,
            "tested": tested,
            "found": len(found),
        }

    yield "copies of noise", audited


def calibration(device: torch.device, size: Size, out: Path, seconds: Callable[[], float]) -> Iterator[Row]:
    """The profile's schemes, one more seed at a time: what a next call finds is kept."""

    def seeds(count: int) -> dict[str, Any]:
        command = ["cxrbench", "calibrate", calibrated(size, out), "--out", str(out)]
        command += ["--seeds", ",".join(map(str, size.seeds[:count]))]
        command += ["--gpu"] if device.type == "cuda" else ["--scheme", "control", "--scheme", "sequential"]
        called = [sys.executable, "-c", "from cxrbench.cli import main; main()", *command[1:]]
        started = time.perf_counter()
        done = subprocess.run(called, capture_output=True, text=True, timeout=seconds(), check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        content = json.loads((out / "calibration.json").read_text())
        took = time.perf_counter() - started
        return {"seconds": took, "command": " ".join(command), "schemes": content["schemes"]}

    # A spread needs two.
    for count in range(2, len(size.seeds) + 1):
        yield f"{count} seeds", partial(seeds, count)


def calibrated(size: Size, out: Path) -> str:
    """Return the profile that is calibrated, made smaller where it is to be."""
    if size.cohorts is None:
        return size.profile
    document: Any = tomlkit.parse(profile_text(size.profile))
    for role, images in zip(("findings", "pneumonia", "covid"), size.cohorts, strict=True):
        document["roles"][role]["options"]["n_images"] = images
    document["study"]["name"] = "gpu-check"
    document["study"]["image_size"] = size.image
    path = out.with_name("gpu-check.toml")
    write_text_atomic(path, tomlkit.dumps(document))
    return str(path)


def plain_loop(device: torch.device, size: Size) -> dict[str, float]:
    """A plain loop with mixed precision, image by image from a DataLoader."""
    images = speed_images(size.loader_images, size.image, ROLE, CPU)
    model = classifier(NETWORK, device)
    plain = PlainTraining(model, images.pixels, images.labels, device, size.batch, "bfloat16", size.workers)
    an_epoch = size.loader_images // size.batch
    with fast_kernels(device):
        for _ in range(an_epoch):
            plain.step()
        ends = []
        for _ in range(an_epoch + 1):
            plain.step()
            ends.append(now(device))
        return spread(between(ends), size.batch)


def now(device: torch.device) -> Any:
    """Return the time as the device has it."""
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def between(ends: list[Any]) -> list[float]:
    """Return the seconds from one of :func:`now`'s to the next."""
    if isinstance(ends[0], float):
        return [b - a for a, b in pairwise(ends)]
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1000 for a, b in pairwise(ends)]


def timed(call: Callable[[], object], size: Size, images: int) -> dict[str, float]:
    """Return the speed of ``call``, which does so many ``images``."""
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return spread(timer.blocked_autorange(min_run_time=size.seconds).times, images)


def spread(seconds: Sequence[float], images: int) -> dict[str, float]:
    """Return median and quartiles."""
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return {
        "images_per_second": images / middle,
        "images_per_second_quartiles": [images / high, images / low],
        "seconds": middle,
        "repeats": len(seconds),
    }


def memory(device: torch.device) -> dict[str, float]:
    """Return the most memory that was in use since the last time."""
    if device.type != "cuda":
        return {}
    most = torch.cuda.max_memory_allocated(device) / 2**30
    torch.cuda.reset_peak_memory_stats(device)
    return {"memory_gib": most}


def kept(path: Path) -> dict[str, Any]:
    """Return the rows of an earlier call that need not be found again."""
    if not path.exists():
        return {}
    rows = json.loads(path.read_text())["rows"]
    return {name: row for name, row in rows.items() if not _unfinished(row)}


def _unfinished(row: object) -> bool:
    return isinstance(row, dict) and bool({"error", "left out"} & set(row))


def main() -> int:
    """Find every row; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu", action="store_true", help="everything in small, on the CPU")
    parser.add_argument("--part", action="append", help="this part alone, or these")
    parser.add_argument("--minutes", type=float, default=9.0, help="no row is begun, or goes on, after these")
    options = parser.parse_args()
    if not options.cpu and not torch.cuda.is_available():
        print("CUDA is missing; --cpu tries it in small without", file=sys.stderr)
        return 2
    end = time.monotonic() + 60 * options.minutes
    device, size = (CPU, SMALL) if options.cpu else (torch.device("cuda"), LARGE)
    options.out.mkdir(parents=True, exist_ok=True)
    seeds = options.out / "calibration"
    # The most important first; the calibration takes what is left, and torch.compile minutes.
    parts: dict[str, Iterator[Row]] = {
        "device": facts(device, size),
        "kernels": kernels(device, size),
        "correctness": correctness(device, size),
        "training-speed": training_speed(device, size),
        "inference-speed": inference_speed(device, size),
        "phantom": phantom(device, size),
        "leak-audit": leak_audit(device, size),
        "memory": memory_runs_out(device, size),
        "first-compile": first_compile(device, size),
        "batch-speed": batch_speed(device, size),
        "calibration": calibration(device, size, seeds, lambda: end - time.monotonic()),
        "compiled-speed": compiled_speed(device, size),
    }
    failed = False
    for part in options.part or parts:
        rows = parts[part]
        path = options.out / f"{part}.json"
        found = kept(path)
        for name, find in rows:
            if name in found:
                continue
            began = time.monotonic()
            try:
                found[name] = find() if began < end else {"left out": "no time was left"}
            except subprocess.TimeoutExpired:
                found[name] = {"left out": "time ran out; what is finished is kept"}
            except Exception:
                failed, found[name] = True, {"error": traceback.format_exc()}
            content = {"part": part, **describe_device(device), "rows": found}
            write_text_atomic(path, json.dumps(content, indent=2))
            row = found[name]
            state = ("failed" if "error" in row else "left out") if _unfinished(row) else "done"
            print(f"{part}, {name}: {state} in {time.monotonic() - began:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
