"""The memory that a stage takes, measured in the process that calls it.

A module of its own, and not a part of the benchmark: a process that is started anew has to import it by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cxrbench.training.config import StageConfig

STEPS = 5


def taken_by_training(network: str, size: int, images: int, config: StageConfig, device: str) -> float:
    """Return the most GiB that steps of training and a prediction of 256 images took."""
    import torch

    from cxrbench.training.augment import draw
    from cxrbench.training.data import DeviceImages
    from cxrbench.training.device import choose_precision, fast_kernels
    from cxrbench.training.graphed import recorder
    from cxrbench.training.network import Network
    from cxrbench.training.predict import predict_logits
    from cxrbench.training.seeds import generator
    from cxrbench.training.stepper import Stepper

    place, role = torch.device(device), "target"
    if place.type == "cpu":
        torch.set_num_threads(1)
    pixels = torch.randint(0, 256, (images, 1, size, size), dtype=torch.uint8, device=place)
    labels = (torch.arange(images, device=place) % 2).float()[:, None]
    model = Network(network, {role: 1}, seed=0).to(device=place, memory_format=torch.channels_last).train()
    config = config.with_precision(choose_precision(config.precision, place))
    stepper = Stepper(model, DeviceImages(pixels, labels, (role,)), config, by=recorder(place))
    batch = min(config.batch_size, images)
    order = torch.randint(0, images, (STEPS, batch))
    draws = draw(order.numel(), generator("memory")).view(*order.shape, -1)
    with fast_kernels(place):
        stepper.begin(order, draws, [config.learning_rate] * STEPS)
        for _ in range(STEPS):
            stepper.take()
        predict_logits(model.eval(), pixels[:256], [role], config.precision)
    if place.type == "cuda":
        return torch.cuda.max_memory_reserved(place) / 2**30
    status = Path("/proc/self/status")
    if status.exists():
        # Linux counts what the parent held when it forked as this process's ru_maxrss; VmHWM it does not.
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30
