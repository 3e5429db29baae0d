from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench import text


@given(st.text())
def test_one_line_has_nothing_that_moves_a_cursor(title: str) -> None:
    shown = text.one_line(title)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1


def test_one_line_drops_escape_codes_and_line_breaks() -> None:
    assert text.one_line("a\x1b[31m\nb\tc") == "a [31m b c"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (ValueError("a\n  b"), "a b"),
        (ValueError(), "ValueError"),
        (ValueError("x" * 300), "x" * 197 + "..."),
        (ValueError("x" * 200), "x" * 200),
    ],
)
def test_a_complaint_is_one_short_line(error: Exception, shown: str) -> None:
    assert text.complaint(error) == shown


def test_plurals() -> None:
    assert text.plural(1, "pair") == "1 pair"
    assert text.plural(1060, "image") == "1,060 images"


@pytest.mark.parametrize(
    ("names", "shown"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c", "d"], "a, b and 2 more")],
)
def test_the_first_of_many_are_named_and_the_rest_counted(names: list[str], shown: str) -> None:
    assert text.first_of(names, shown=2) == shown


def test_a_misspelled_name_is_met_with_the_nearest() -> None:
    assert text.did_you_mean("contrl", ["control", "pooled"]) == "; did you mean 'control'?"
    assert text.did_you_mean("xyz", ["control", "pooled"]) == ""


@pytest.mark.parametrize(
    ("written", "number"),
    [("0.5", 0.5), (" -1e-3 ", -0.001), ("+.5", 0.5), ("7.", 7.0), ("inf", float("inf"))]
    + [(wrong, None) for wrong in ("0_9", "٣", "１", "0x1", "", "1,5", "1 2", "five")],
)
def test_a_number_is_what_a_person_reads_as_one(written: str, number: float | None) -> None:
    assert text.plain_number(written) == number


@pytest.mark.parametrize(
    ("name", "shown"), [("a", "a"), ("a b", "a b"), (" a", "' a'"), ("", "''"), ("a\x00", "'a\\x00'")]
)
def test_blanks_and_control_characters_of_a_name_can_be_seen(name: str, shown: str) -> None:
    assert text.visible(name) == shown
