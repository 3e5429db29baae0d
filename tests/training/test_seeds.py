"""Seeds are derived from names, and the derivation never changes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.training.seeds import derive_seed, generator

PINNED = 7523080360256264923


def test_the_derivation_is_pinned() -> None:
    # SHA-256 of "0\x1finit > covid\x1fepoch\x1f1", first 8 bytes, shifted right by one. Another value would
    # make every published number of this seed impossible to repeat.
    assert derive_seed(0, "init > covid", "epoch", 1) == PINNED
    assert derive_seed("0", "init > covid", "epoch", "1") == PINNED


@given(st.lists(st.text(st.characters(codec="utf-8")) | st.integers(), min_size=1, max_size=4))
def test_a_seed_has_63_bits(names: list[object]) -> None:
    assert 0 <= derive_seed(*names) < 2**63


def test_other_names_give_other_seeds() -> None:
    names = [(s, stage, purpose, e) for s in range(5) for stage in "ab" for purpose in "xy" for e in range(5)]
    assert len({derive_seed(*name) for name in names}) == len(names)
    assert derive_seed("ab", "c") != derive_seed("a", "bc")
    assert derive_seed("a", "b") != derive_seed("b", "a")


def test_a_generator_draws_the_same_and_leaves_the_global_state_alone() -> None:
    before = torch.get_rng_state()
    one, two, other = generator(3, "x"), generator(3, "x"), generator(4, "x")
    drawn = torch.rand(5, generator=one)
    assert torch.equal(drawn, torch.rand(5, generator=two))
    assert not torch.equal(drawn, torch.rand(5, generator=other))
    assert torch.equal(torch.get_rng_state(), before)
