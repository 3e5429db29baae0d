"""Augmentation: what each range does, and that the draws are the generator's alone."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cxrbench.training.augment import augment, draw
from cxrbench.training.config import Augmentation
from cxrbench.training.seeds import generator


def augmented(images: Tensor, ranges: Augmentation, randomness: torch.Generator) -> Tensor:
    return augment(images, ranges, draw(len(images), randomness))


NONE = Augmentation(rotation=0, translation=0, scale=0, flip=0, brightness=0, contrast=0)


def only(**ranges: float) -> Augmentation:
    return Augmentation(**{**vars(NONE), **ranges})


def noise(count: int, size: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(count, 1, size, size, generator=generator(seed, "noise"))


def disc(count: int, size: int = 64, radius: float = 0.5) -> Tensor:
    """Return a centred disc with a soft edge, (count, 1, size, size)."""
    axis = (torch.arange(size) + 0.5) / size * 2 - 1
    distance = torch.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    return torch.sigmoid((radius - distance) * 20).expand(count, 1, size, size).clone()


def centroid(image: Tensor) -> tuple[float, float]:
    """Return (x, y) of the brightness, as fractions of the side from the centre, x to the right, y down."""
    size = image.shape[-1]
    axis = (torch.arange(size) + 0.5) / size - 0.5
    total = image.sum()
    return float((image.sum(dim=-2) * axis).sum() / total), float((image.sum(dim=-1) * axis).sum() / total)


@pytest.mark.parametrize("size", [32, 33, 64, 224])
def test_with_all_ranges_at_zero_the_images_stay_as_they_are(size: int) -> None:
    images = noise(3, size)
    assert torch.allclose(augmented(images, NONE, generator(1)), images, atol=1e-6, rtol=0)


def test_what_can_move_by_nothing_worth_seeing_stays_within_a_level_of_eight_bits() -> None:
    images = noise(3, 64)
    out = augmented(images, only(rotation=1e-6), generator(1))
    assert torch.allclose(out, images, atol=1e-4, rtol=0)


ranges = st.builds(
    Augmentation,
    rotation=st.floats(0, 180),
    translation=st.floats(0, 1),
    scale=st.floats(0, 0.99),
    flip=st.floats(0, 1),
    brightness=st.floats(0, 1),
    contrast=st.floats(0, 1),
)


@settings(max_examples=40)
@given(ranges, st.integers(0, 10**6))
def test_the_batch_stays_between_black_and_white_and_keeps_its_shape(chosen: Augmentation, seed: int) -> None:
    images = noise(4, 16, seed)
    out = augmented(images, chosen, generator(seed))
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert 0 <= float(out.min()) <= float(out.max()) <= 1


def test_a_flip_mirrors_left_and_right() -> None:
    images = noise(3)
    assert torch.allclose(augmented(images, only(flip=1), generator(1)), images.flip(3), atol=1e-5, rtol=0)


def test_about_half_are_flipped_where_half_is_asked_for() -> None:
    images = noise(400, 4)
    out = augmented(images, only(flip=0.5), generator(1))
    flipped = (out - images.flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-5
    kept = (out - images).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.equal(flipped, ~kept)
    assert 160 <= int(flipped.sum()) <= 240


def test_a_rotation_about_the_centre_keeps_a_centred_disc() -> None:
    images = disc(8)
    out = augmented(images, only(rotation=180), generator(1))
    # Bilinear resampling of an edge that is some pixels wide: 0.01 of full scale.
    assert float((out - images).abs().max()) < 0.01


def test_a_rotation_moves_what_is_off_centre_along_its_circle_within_the_range() -> None:
    size = 64
    image = torch.zeros(1, 1, size, size)
    image[..., 30:34, 52:56] = 1  # to the right of the centre, at 0.344 of the side
    out = augmented(image.repeat(200, 1, 1, 1), only(rotation=30), generator(2))
    angles = []
    for one in out:
        x, y = centroid(one)
        assert (x**2 + y**2) ** 0.5 == pytest.approx(22 / 64, abs=0.005)
        angles.append(float(torch.rad2deg(torch.atan2(torch.tensor(y), torch.tensor(x)))))
    assert max(abs(angle) for angle in angles) <= 30.5
    assert min(angles) < -25
    assert max(angles) > 25


def test_a_rotation_is_one_also_where_the_image_is_mirrored() -> None:
    # Distances from the centre stay: no shear, no other scale.
    image = torch.zeros(1, 1, 64, 64)
    image[..., 14:18, 46:50] = 1
    before = sum(c**2 for c in centroid(image[0])) ** 0.5
    for one in augmented(image.repeat(50, 1, 1, 1), only(rotation=40, flip=1), generator(3)):
        assert sum(c**2 for c in centroid(one)) ** 0.5 == pytest.approx(before, abs=0.005)
        assert float(one.sum()) == pytest.approx(16, rel=0.02)


def test_a_translation_is_a_fraction_of_the_side() -> None:
    shifts = torch.tensor(
        [centroid(i) for i in augmented(disc(200, radius=0.2), only(translation=0.2), generator(4))]
    )
    assert float(shifts.abs().max()) <= 0.2 + 0.005
    assert (shifts.amax(dim=0) > 0.18).all()
    assert (shifts.amin(dim=0) < -0.18).all()


def test_a_scale_is_a_fraction_of_the_size() -> None:
    before = float(disc(1).sum())
    areas = augmented(disc(200, radius=0.5), only(scale=0.2), generator(5)).sum(dim=(1, 2, 3)) / before
    assert float(areas.min()) == pytest.approx(0.8**2, abs=0.03)
    assert float(areas.max()) == pytest.approx(1.2**2, abs=0.03)


def test_brightness_shifts_every_pixel_alike_and_stops_at_the_ends() -> None:
    images = torch.full((200, 1, 8, 8), 0.5)
    out = augmented(images, only(brightness=0.3), generator(6))
    # The frame may mix with the black beyond the border by a rounding error; the middle may not.
    shifts = out[:, 0, 4, 4] - 0.5
    assert float(shifts.abs().max()) <= 0.3 + 1e-6
    assert float(shifts.max()) > 0.27
    assert float(shifts.min()) < -0.27
    assert torch.allclose(out, out[:, :, 4:5, 4:5].expand_as(out), atol=1e-5)
    white = augmented(torch.ones(50, 1, 8, 8), only(brightness=1), generator(6))
    assert float(white.max()) == 1


def test_contrast_turns_about_mid_grey() -> None:
    image = torch.full((200, 1, 8, 8), 0.5)
    image[..., 4:] = 0.75
    out = augmented(image, only(contrast=0.4), generator(7))
    assert torch.allclose(out[..., :3], torch.full_like(out[..., :3], 0.5), atol=1e-5)
    spread = (out[:, 0, 4, 6] - 0.5) / 0.25
    assert float(spread.min()) == pytest.approx(0.6, abs=0.03)
    assert float(spread.max()) == pytest.approx(1.4, abs=0.03)


def test_what_comes_in_from_beyond_the_border_is_black() -> None:
    out = augmented(torch.ones(20, 1, 16, 16), only(translation=1), generator(8))
    assert set(out.round(decimals=3).unique().tolist()) >= {0.0}
    assert float(out.mean()) < 0.6


def test_the_same_generator_state_draws_the_same() -> None:
    images = noise(4)
    assert torch.equal(
        augmented(images, Augmentation(), generator(9)), augmented(images, Augmentation(), generator(9))
    )
    assert not torch.equal(
        augmented(images, Augmentation(), generator(9)), augmented(images, Augmentation(), generator(10))
    )


def test_different_images_of_a_batch_get_different_draws_and_batches_too() -> None:
    images = noise(1).repeat(6, 1, 1, 1)
    randomness = generator(11)
    first, second = (augmented(images, Augmentation(), randomness) for _ in range(2))
    together = torch.cat([first, second])
    assert all(not torch.equal(together[i], together[j]) for i in range(len(together)) for j in range(i))


def test_the_images_that_are_given_and_the_global_state_stay_as_they_were() -> None:
    images = noise(4)
    before, state = images.clone(), torch.get_rng_state()
    augmented(images, Augmentation(), generator(12))
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), state)
