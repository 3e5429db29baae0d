"""How fast do images arrive? Rendering the phantom, reading files, augmenting a batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort
from cxrbench.radiograph import read_square
from cxrbench.study.speed import speed_images
from cxrbench.training.augment import augment
from cxrbench.training.config import Augmentation
from cxrbench.training.predict import to_float
from cxrbench.training.seeds import generator


def test_rendering_the_phantom(cxr_profile, benchmark):
    config = PhantomConfig.from_mapping({"findings": {"n_images": 128}})
    pixels = phantom_cohort("findings", config, seed=1).pixels
    images = benchmark.pedantic(
        lambda: pixels.read_batch(range(128), cxr_profile.image_size), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info["images_per_second"] = 128 / benchmark.stats.stats.median
    assert images.shape == (128, cxr_profile.image_size, cxr_profile.image_size)
    assert images.std() > 10


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_reading_a_picture(suffix, cxr_profile, tmp_path, benchmark):
    """A picture of ChestX-ray14's size: 1024 px, decoded and brought to the profile's size."""
    side = np.linspace(0, 255, 1024)
    path = tmp_path / f"radiograph.{suffix}"
    Image.fromarray(((side[:, None] + side[None, :]) / 2).astype(np.uint8)).save(path)
    image = benchmark.pedantic(lambda: read_square(path, cxr_profile.image_size), rounds=10, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = 1 / benchmark.stats.stats.median
    assert image.shape == (cxr_profile.image_size, cxr_profile.image_size)
    # A ramp from the dark corner to the bright one, whatever it was resized by.
    assert image[0, 0] < 5
    assert image[-1, -1] > 250


def test_augmenting_a_batch(cxr_profile, cxr_device, benchmark):
    images = to_float(speed_images(64, cxr_profile.image_size, "covid", cxr_device).pixels)
    randomness = generator("augmentation speed")

    def run():
        moved = augment(images, Augmentation(), randomness)
        if cxr_device.type == "cuda":
            torch.cuda.synchronize(cxr_device)
        return moved

    moved = benchmark.pedantic(run, rounds=10, warmup_rounds=1)
    benchmark.extra_info["images_per_second"] = 64 / benchmark.stats.stats.median
    assert moved.shape == images.shape
    assert not torch.equal(moved, images)
