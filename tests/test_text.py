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
