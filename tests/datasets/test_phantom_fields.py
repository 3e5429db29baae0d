import numpy as np
import pytest
import torch

from cxrbench.datasets.phantom.fields import (
    bump,
    dome,
    hash_bits,
    key_halves,
    line,
    sawtooth,
    smooth_noise,
    step,
    white_noise,
)
from cxrbench.datasets.phantom.keys import child_keys

CPU = torch.device("cpu")
KEYS = key_halves(child_keys(1, np.arange(40)), CPU)


def test_keys_are_parted_into_low_and_high_halves():
    halves = key_halves(np.array([0x0000000200000001, 0xFFFFFFFF00000003], dtype=np.uint64), CPU)
    assert halves.tolist() == [[1, 3], [2, -1]]


def test_hash_bits_are_fair_coins_and_differ_by_key_half_and_stream():
    bits = hash_bits(KEYS, "s", 4096).numpy().view(np.uint32)
    for k in range(32):
        assert ((bits >> k) & 1).mean() == pytest.approx(0.5, abs=0.006)
    one = np.array([1], dtype=np.uint64)
    for other in (one + np.uint64(1), one + np.uint64(2**32)):
        assert (
            hash_bits(key_halves(one, CPU), "s", 64) != hash_bits(key_halves(other, CPU), "s", 64)
        ).float().mean() > 0.98
    assert (hash_bits(KEYS, "s", 64) != hash_bits(KEYS, "t", 64)).float().mean() > 0.98


def test_white_noise_has_mean_0_and_standard_deviation_1_and_no_memory():
    noise = white_noise(KEYS, "quantum", 64).numpy()
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.std() == pytest.approx(1, abs=0.01)
    for one, two in (
        (noise[:, 1:], noise[:, :-1]),
        (noise[:, :, 1:], noise[:, :, :-1]),
        (noise[1:], noise[:-1]),
    ):
        assert np.corrcoef(one.ravel(), two.ravel())[0, 1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("cells", [8, 40])
def test_smooth_noise_fills_0_to_1_about_a_half(cells):
    noise = smooth_noise(KEYS, "n", cells, 96)
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.mean().item() == pytest.approx(0.5, abs=0.02)
    assert noise.std().item() == pytest.approx(0.22, abs=0.02)


def test_smooth_noise_is_the_same_field_at_every_size():
    small = smooth_noise(KEYS, "n", 9, 32)
    large = smooth_noise(KEYS, "n", 9, 96)
    assert torch.allclose(small, large[:, 1::3, 1::3], atol=1e-5)


def test_smooth_noise_has_the_number_of_bumps_asked_for():
    signs = (smooth_noise(KEYS, "n", 16, 256) > 0.5).float()
    crossings = (signs[:, :, 1:] != signs[:, :, :-1]).float().sum(2).mean().item()
    assert 5 < crossings < 16


def test_shapes_have_their_values_at_the_ends_and_in_the_middle():
    x = torch.tensor([-1.0, 0.0, 0.5, 1.0, 2.0])
    assert step(x).tolist() == [0, 0, 0.5, 1, 1]
    assert bump(x).tolist() == [4, 1, 0.25, 0, 0]
    assert dome(torch.tensor([0.0, 0.75, 1.0, 3.0])).tolist() == [1, 0.5, 0, 0]
    assert sawtooth(torch.tensor([0.25, 0.75, 1.0, -0.25])).tolist() == [0.25, -0.25, 0, -0.25]


def test_a_line_is_a_triangle_of_its_half_width():
    d = torch.tensor([-2.0, -1.0, 0.0, 1.0, 2.0])
    assert line(d, 2.0, 0.1).tolist() == [0, 0.5, 1, 0.5, 0]


@pytest.mark.parametrize("width", [0.5, torch.tensor([0.5])])
def test_a_line_thinner_than_a_pixel_is_as_wide_as_one_and_fainter(width):
    assert line(torch.tensor([0.0, 0.5, 1.0]), width, 1.0).tolist() == [0.5, 0.25, 0]
