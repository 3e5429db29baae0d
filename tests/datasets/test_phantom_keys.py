import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.datasets.phantom.keys import Draws, bell, child_keys, mix, name_key, uniform


def test_the_hash_is_splitmix64():
    # The first three outputs of SplitMix64 seeded with 0, as published with its reference code.
    golden = 0x9E3779B97F4A7C15
    counters = np.array([0, golden, 2 * golden % 2**64], dtype=np.uint64)
    assert mix(counters).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_name_keys_do_not_change_between_machines():
    assert name_key("phantom", "covid", 0) == name_key("phantom", "covid", 0)
    assert name_key("a", "b") != name_key("ab")
    assert 0 <= name_key("x") < 2**64


def test_uniform_draws_are_uniform():
    u = uniform(child_keys(1, np.arange(100_000)), "anything")
    assert u.min() > 0
    assert u.max() < 1
    assert np.histogram(u, 10, (0, 1))[0] == pytest.approx(np.full(10, 10_000), abs=400)


def test_bell_draws_have_mean_0_and_standard_deviation_1_and_no_tails():
    z = bell(child_keys(2, np.arange(100_000)), "anything")
    assert z.mean() == pytest.approx(0, abs=0.02)
    assert z.std() == pytest.approx(1, abs=0.01)
    assert np.abs(z).max() <= 2 * np.sqrt(3)


def test_draws_of_different_names_are_uncorrelated():
    keys = child_keys(3, np.arange(100_000))
    assert np.corrcoef(uniform(keys, "one"), uniform(keys, "two"))[0, 1] == pytest.approx(0, abs=0.015)


def test_images_of_a_patient_share_what_is_shared_and_nothing_else():
    patient = child_keys(4, np.array([7, 7, 8]))
    draws = Draws(patient, child_keys(5, np.arange(3)))
    shared, own = draws.shared("x", 2.0, 1.0), draws.own_uniform("x", 5, 6)
    assert shared[0] == shared[1] != shared[2]
    assert len(set(own)) == 3
    assert np.all((own > 5) & (own < 6))


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=20), st.text(max_size=5), st.data())
def test_a_draw_depends_on_its_key_alone(numbers, name, data):
    keys = child_keys(6, np.array(numbers))
    at = data.draw(st.integers(0, len(numbers) - 1))
    assert uniform(keys, name)[at] == uniform(keys[at : at + 1], name)[0]
    assert bell(keys, name)[at] == bell(keys[at : at + 1], name)[0]
