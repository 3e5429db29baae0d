"""Numbers as text."""

import pytest

from cxrbench.report import text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0214, "+0.021"),
        (-0.0126, "−0.013"),
        (0.0, "0.000"),
        (-0.0004, "0.000"),
        (0.0006, "+0.001"),
        (-1.0, "−1.000"),
    ],
)
def test_differences_carry_their_sign_and_zero_carries_none(value: float, shown: str) -> None:
    assert text.signed(value) == shown


@pytest.mark.parametrize(
    ("p", "shown"),
    [(0.0, "<0.001"), (0.00099, "<0.001"), (0.001, "0.001"), (0.0344, "0.034"), (1.0, "1.000")],
)
def test_small_p_values_are_not_shown_as_zero(p: float, shown: str) -> None:
    assert text.p_value(p) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.04, "0.0"), (4.24, "4.2"), (9.96, "10"), (87.4, "87"), (1204.0, "1,204")]
)
def test_few_seconds_have_a_decimal(value: float, shown: str) -> None:
    assert text.seconds(value) == shown


def test_intervals_counts_and_plurals() -> None:
    assert text.interval(0.7124, 0.8) == "[0.712, 0.800]"
    assert text.signed_interval(-0.0123, 0.0) == "[−0.012, 0.000]"
    assert text.count(112120) == "112,120"
    assert text.decimal(0.59021, 4) == "0.5902"
    assert text.rule("youden") == "Youden's index"
    assert text.rule("sensitivity 0.90") == "sensitivity 0.90"
