"""How much memory does a stage take, with all images of the study's training parts in it?"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

from memory import taken_by_training

from cxrbench.schemes import Stage

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.

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
