"""Whatever becomes of a file that cxrbench wrote: it is noticed, and refused or made again, and said."""

import fuzz_own
import pytest

SECONDS = 5


def sound(result):
    assert result["wrong"] == []
    assert result["slowest"] < SECONDS, result["slowest_file"]
    return result["tally"]


def test_some_mutations_of_every_kind_of_file(tiny, tmp_path):
    tally = sound(fuzz_own.run(1, 100, tiny.out, tmp_path))
    assert sum(tally.values()) == 100
    assert any(name.endswith("refused") for name in tally)
    assert any(name.endswith("made again") for name in tally)


@pytest.mark.slow
def test_hundreds_of_mutations(tiny, tmp_path):
    sound(fuzz_own.run(2, 400, tiny.out, tmp_path))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(3, 7))
def test_half_a_thousand_mutations(seed, tiny, tmp_path):
    sound(fuzz_own.run(seed, 500, tiny.out, tmp_path))
