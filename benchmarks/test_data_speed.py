"""How fast do images arrive? Rendering the phantom, reading files, augmenting a batch."""

from __future__ import annotations

import pytest

# Whatever brings torch is imported where it is used, so that collecting the benchmarks takes no time.


def test_rendering_the_phantom(cxr_profile, timed):
    from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort

    config = PhantomConfig.from_mapping({"findings": {"n_images": 128}})
    pixels = phantom_cohort("findings", config, seed=1).pixels
    images = timed(lambda: pixels.read_batch(range(128), cxr_profile.image_size), images=128, rounds=3)
    assert images.shape == (128, cxr_profile.image_size, cxr_profile.image_size)
    assert images.std() > 10


@pytest.mark.parametrize("suffix", ["png", "jpeg"])
def test_reading_a_picture(suffix, cxr_profile, tmp_path, timed):
    """A picture of ChestX-ray14's size: 1024 px, decoded and brought to the profile's size."""
    import numpy as np
    from PIL import Image

    from cxrbench.radiograph import read_square

    side = np.linspace(0, 255, 1024)
    path = tmp_path / f"radiograph.{suffix}"
    Image.fromarray(((side[:, None] + side[None, :]) / 2).astype(np.uint8)).save(path)
    image = timed(lambda: read_square(path, cxr_profile.image_size), images=1, rounds=10)
    assert image.shape == (cxr_profile.image_size, cxr_profile.image_size)
    # A ramp from the dark corner to the bright one, whatever it was resized by: a corner's pixel is the mean
    # of what it covers, so it is half a pixel's step away from the end of the ramp.
    step = 255 / cxr_profile.image_size
    assert image[0, 0] < 2 + step
    assert image[-1, -1] > 253 - step


def test_augmenting_a_batch(cxr_profile, cxr_device, timed):
    import torch

    from cxrbench.study.speed import speed_images
    from cxrbench.training.augment import augment, draw
    from cxrbench.training.config import Augmentation
    from cxrbench.training.device import synchronise
    from cxrbench.training.predict import to_float
    from cxrbench.training.seeds import generator

    images = to_float(speed_images(64, cxr_profile.image_size, "covid", cxr_device).pixels)
    randomness = generator("augmentation speed")

    def run():
        moved = augment(images, Augmentation(), draw(64, randomness).to(cxr_device))
        synchronise(cxr_device)
        return moved

    moved = timed(run, images=64, rounds=10)
    assert moved.shape == images.shape
    assert not torch.equal(moved, images)
