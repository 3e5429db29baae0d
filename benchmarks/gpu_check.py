"""What only a GPU can show: that it computes what the CPU does, how fast, the phantom on it, a calibration.

Called by ``gpu_check.sh``. Each part writes ``PART.json`` when it is done; one that fails writes its error,
and the next is begun. Times are medians with their quartiles; a GPU's are taken with its own events, or by
``torch.utils.benchmark``, which waits for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import tomlkit
import torch
from scipy.stats import spearmanr
from torch import nn
from torch.utils.benchmark import Timer
from torch.utils.data import DataLoader, Dataset
from torchvision.models import densenet121
from torchvision.transforms import v2

from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort
from cxrbench.files import write_text_atomic
from cxrbench.study.predictions import predict_images
from cxrbench.study.profile import profile_text
from cxrbench.study.speed import speed_images
from cxrbench.training.augment import draw
from cxrbench.training.config import Augmentation, Precision, StageConfig
from cxrbench.training.data import DeviceImages, LabelledImages
from cxrbench.training.device import choose_precision, describe_device, fast_kernels
from cxrbench.training.graphed import recorder
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits
from cxrbench.training.seeds import generator
from cxrbench.training.stepper import Stepper, make_optimiser

ROLE = "covid"
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Size:
    """How large everything is: ``batch`` images of ``image`` px, so many ``steps`` and ``seconds`` each.

    cohorts: images of the three roles in the calibration.
    """

    image: int
    batch: int
    steps: int
    seconds: float
    compared: int
    loader_images: int
    workers: int
    phantoms: int
    profile: str
    cohorts: tuple[int, int, int]


LARGE = Size(224, 64, 8, 5.0, 256, 4096, 12, 4096, "phantom-gpu", (12_000, 4_000, 1_060))
SMALL = Size(32, 8, 2, 0.2, 16, 32, 0, 8, "phantom-small", (40, 40, 60))


def device_facts(device: torch.device, size: Size) -> dict[str, Any]:
    """What ran where."""
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "bfloat16": choose_precision("auto", device) == "bfloat16",
        "image_size": size.image,
        "batch": size.batch,
        "cpu_threads": torch.get_num_threads(),
    }
    if device.type == "cuda":
        facts["memory_gib"] = torch.cuda.get_device_properties(device).total_memory / 2**30
    return facts


def correctness(device: torch.device, size: Size) -> dict[str, Any]:
    """The same network on the same images here and on the CPU; then the same steps of training."""
    images = speed_images(size.compared, size.image, ROLE, CPU)
    reference = Network("densenet121", {ROLE: 1}, seed=0)
    expected = predict_logits(reference, images.pixels, [ROLE], "float32")
    found: dict[str, Any] = {"images": size.compared, "logits": {}}
    # Float32 on a GPU multiplies with the mantissa of TF32, unless told not to.
    for name, precision, tf32 in (
        ("float32 without TF32", "float32", False),
        ("float32", "float32", True),
        ("bfloat16", "bfloat16", True),
    ):
        network = Network("densenet121", {ROLE: 1}, seed=0).to(device, memory_format=torch.channels_last)
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32):
            logits = predict_logits(network, images.pixels.to(device), [ROLE], precision)
        found["logits"][name] = {
            "largest difference": float(np.abs(logits - expected).max()),
            "standard deviation of the logits": float(expected.std()),
            "rank correlation": float(spearmanr(logits[:, 0], expected[:, 0]).statistic),
        }
    losses = {
        name: _losses(place, size, precision)
        for name, place, precision in (
            ("cpu float32", CPU, "float32"),
            ("here float32", device, "float32"),
            ("here bfloat16", device, "bfloat16"),
        )
    }
    found["losses"] = losses
    plain = np.array(losses["cpu float32"])
    found["largest difference of a loss"] = {
        name: float(np.abs(np.array(values) - plain).max()) for name, values in losses.items()
    }
    return found


def _losses(device: torch.device, size: Size, precision: Precision) -> list[float]:
    step = _stepper(device, size, precision)
    return [float(step()) for _ in range(size.steps)]


def _stepper(device: torch.device, size: Size, precision: Precision) -> Callable[[], torch.Tensor]:
    """Return a function that takes one of the study's training steps."""
    config = StageConfig(batch_size=size.batch, precision=precision)
    images = speed_images(size.batch, size.image, ROLE, device)
    network = Network("densenet121", {ROLE: 1}, seed=0).to(device, memory_format=torch.channels_last)
    network.train()
    optimiser = make_optimiser(network, [ROLE], config)
    stepper = Stepper(network, optimiser, images, [ROLE], config, by=recorder(device))
    order = torch.arange(size.batch).expand(1, -1)
    draws = draw(size.batch, generator("gpu check"))[None]

    def step() -> torch.Tensor:
        stepper.begin(order, draws, [config.learning_rate])
        stepper.take()
        return stepper.loss

    return step


def training_speed(device: torch.device, size: Size) -> dict[str, Any]:
    """Our step, next to a plain loop with a DataLoader, with images and augmentation of the same kind."""
    found = {}
    with fast_kernels(device):
        for precision in ("bfloat16", "float32"):
            found[f"cxrbench, {precision}"] = _timed(_stepper(device, size, precision), size)
    found["plain loop, bfloat16"] = _plain_loop(device, size)
    return found


def inference_speed(device: torch.device, size: Size) -> dict[str, Any]:
    """The function that a study predicts with, from the host's memory to the host's memory."""
    made: DeviceImages = speed_images(4 * size.batch, size.image, ROLE, CPU)
    images = LabelledImages(made.pixels[:, 0].numpy(), made.labels.numpy())
    network = Network("densenet121", {ROLE: 1}, seed=0).to(device, memory_format=torch.channels_last)
    return {
        f"cxrbench, {precision}": _timed(
            lambda precision=precision: predict_images(ROLE, network, images, device, precision), size, 4
        )
        for precision in ("bfloat16", "float32")
    }


def phantom(device: torch.device, size: Size) -> dict[str, Any]:
    """Phantoms drawn here and on the CPU: how fast, and how far apart."""
    config = PhantomConfig.from_mapping({"findings": {"n_images": size.phantoms}})
    drawn, found = {}, {}
    few = range(min(16, size.phantoms))
    for name, place, count in (("here", device, size.phantoms), ("cpu", CPU, len(few))):
        pixels = phantom_cohort("findings", config, seed=1, device=str(place)).pixels
        drawn[name] = pixels.read_batch(few, size.image).astype(np.int16)
        started = time.perf_counter()
        # Comes back as an array of the host's, so nothing is left to wait for.
        pixels.read_batch(range(count), size.image)
        found[name] = {"images_per_second": count / (time.perf_counter() - started), "images": count}
    apart = np.abs(drawn["here"] - drawn["cpu"])
    found["difference"] = {"largest": int(apart.max()), "share of pixels": float((apart > 0).mean())}
    return found


def calibration(device: torch.device, size: Size, out: Path, seconds: float) -> dict[str, Any]:
    """A calibration of two seeds, as far as it gets in time; the next call with the same folder goes on."""
    document: Any = tomlkit.parse(profile_text(size.profile))
    for role, images in zip(("findings", "pneumonia", "covid"), size.cohorts, strict=True):
        document["roles"][role]["options"]["n_images"] = images
    document["study"]["name"] = "gpu-check"
    document["study"]["image_size"] = size.image
    profile = out / "gpu-check.toml"
    write_text_atomic(profile, tomlkit.dumps(document))
    command = ["cxrbench", "calibrate", str(profile), "--seeds", "0,1", "--out", str(out)]
    command += ["--scheme", "control", "--scheme", "sequential"]
    command += ["--gpu"] if device.type == "cuda" else []
    called = [sys.executable, "-c", "from cxrbench.cli import main; main()", *command[1:]]
    started = time.perf_counter()
    try:
        done = subprocess.run(called, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        # What is finished is kept in the folder.
        return {"finished": False, "seconds": time.perf_counter() - started, "command": " ".join(command)}
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    content = json.loads((out / "calibration.json").read_text())
    return {
        "finished": True,
        "seconds": time.perf_counter() - started,
        "command": " ".join(command),
        "schemes": content["schemes"],
    }


class _Pictures(Dataset):
    """Images in memory, each augmented on its own on the CPU, as most training scripts do it."""

    def __init__(self, size: Size) -> None:
        made = speed_images(size.loader_images, size.image, ROLE, CPU)
        self._pixels, self._labels = made.pixels, made.labels
        ranges = Augmentation()
        shift = (ranges.translation, ranges.translation)
        self._move = v2.Compose(
            [
                v2.RandomHorizontalFlip(ranges.flip),
                v2.RandomAffine(ranges.rotation, shift, (1 - ranges.scale, 1 + ranges.scale)),
                v2.ColorJitter(ranges.brightness, ranges.contrast),
                v2.ToDtype(torch.float32, scale=True),
            ]
        )

    def __len__(self) -> int:
        return len(self._pixels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self._move(self._pixels[index].expand(3, -1, -1)), self._labels[index]


def _plain_loop(device: torch.device, size: Size) -> dict[str, float]:
    loader = DataLoader(
        _Pictures(size),
        size.batch,
        shuffle=True,
        drop_last=True,
        num_workers=size.workers,
        pin_memory=device.type == "cuda",
        persistent_workers=size.workers > 0,
    )
    network = densenet121(weights=None, num_classes=1).to(device, memory_format=torch.channels_last).train()
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    loss_of = nn.BCEWithLogitsLoss()

    def epoch() -> list[float]:
        """Return the seconds from one batch's end to the next one's."""
        ends = []
        for images, labels in loader:
            images = images.to(device, non_blocking=True, memory_format=torch.channels_last)
            with torch.autocast(device.type, torch.bfloat16):
                loss = loss_of(network(images), labels.to(device, non_blocking=True))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            ends.append(_now(device))
        return _between(ends)

    with fast_kernels(device):
        epoch()
        return _spread(epoch(), size.batch)


def _now(device: torch.device) -> Any:
    if device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _between(ends: list[Any]) -> list[float]:
    if isinstance(ends[0], float):
        return [b - a for a, b in pairwise(ends)]
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1000 for a, b in pairwise(ends)]


def _timed(call: Callable[[], object], size: Size, batches: int = 1) -> dict[str, float]:
    for _ in range(2):
        call()
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return _spread(timer.blocked_autorange(min_run_time=size.seconds).times, batches * size.batch)


def _spread(seconds: list[float], images: int) -> dict[str, float]:
    low, middle, high = np.quantile(seconds, (0.25, 0.5, 0.75))
    return {
        "images_per_second": images / middle,
        "images_per_second_quartiles": [images / high, images / low],
        "seconds": middle,
        "repeats": len(seconds),
    }


def main() -> int:
    """Run every part; return 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cpu", action="store_true", help="everything in small, on the CPU")
    parser.add_argument(
        "--minutes", type=float, default=9.0, help="no part is begun, or goes on, after these"
    )
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes
    device, size = (CPU, SMALL) if options.cpu else (torch.device("cuda"), LARGE)
    if not options.cpu and not torch.cuda.is_available():
        print("CUDA is missing; --cpu tries it in small without", file=sys.stderr)
        return 2
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "device": lambda: device_facts(device, size),
        "correctness": lambda: correctness(device, size),
        "training-speed": lambda: training_speed(device, size),
        "inference-speed": lambda: inference_speed(device, size),
        "phantom": lambda: phantom(device, size),
        "calibration": lambda: calibration(device, size, options.out / "calibration", end - time.monotonic()),
    }
    failed = False
    for name, part in parts.items():
        started = time.monotonic()
        if started > end:
            result: dict[str, Any] = {"left out": "no time was left"}
        else:
            try:
                result = part()
            except Exception:
                failed, result = True, {"error": traceback.format_exc()}
        took = time.monotonic() - started
        content = {"part": name, **describe_device(device), "part_seconds": took, "result": result}
        write_text_atomic(options.out / f"{name}.json", json.dumps(content, indent=2))
        print(f"{name}: {'failed' if 'error' in result else 'done'} in {took:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
