"""How much memory does a stage take, with all images of the study's training parts in it?"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from cxrbench.schemes import Stage

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

STEPS = 5
ON_CPU, ON_GPU = 4.0, 40.0
"""GiB: on a CPU of a process, without the images, in batches of up to 32 at 64 px; on a GPU of everything."""


def test_training_fits_into_memory(cxr_profile, cxr_device, cxr_study, record_property):
    parts = [role.parts["train"] for role in cxr_study.results.roles.values()]
    images = sum(part.images for part in parts)
    config = cxr_profile.stage_config(Stage((cxr_profile.target,)))
    pixels = images * cxr_profile.image_size**2 / 2**30
    # In a process of its own, whose memory is the stage's alone.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        asked = (cxr_profile.network, cxr_profile.image_size, images, replace(config, compile="off"))
        taken = process.submit(taken_by_training, *asked, str(cxr_device)).result()
    for name, value in (("images", images), ("images_gib", pixels), ("memory_gib", taken)):
        record_property(name, round(value, 3))
    if cxr_device.type == "cuda":
        assert pixels < taken < ON_GPU
    else:
        large = config.batch_size * cxr_profile.image_size**2 > 32 * 64**2
        assert 0 < taken - pixels < (float("inf") if large else ON_CPU)


def taken_by_training(network, size, images, config, device):
    """Return the most GiB that steps of training and a prediction of 256 images took."""
    import resource

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
    # Kibibytes on Linux, bytes on a Mac.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (30 if sys.platform == "darwin" else 20)
