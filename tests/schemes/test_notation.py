"""The notation of schemes: reading, printing, equality, and errors that point at the character."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import SchemeError
from cxrbench.schemes import Scheme, Stage, parse
from cxrbench.text import one_line

role_names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}", fullmatch=True).filter(lambda role: role != "init")
stages = st.lists(role_names, min_size=1, max_size=4, unique=True).map(lambda roles: Stage(tuple(roles)))
schemes = st.lists(stages, min_size=1, max_size=5).map(lambda chain: Scheme("any", tuple(chain)))
blanks = st.text(" \t\r\n\u00a0\u3000", max_size=3)


def refusal(notation: str) -> tuple[int, str]:
    """Return which character of ``notation`` is refused, and the message."""
    with pytest.raises(SchemeError) as caught:
        parse("any", notation)
    message = str(caught.value)
    said = re.search(r"\(character (\d+)\), between (.*)$", message)
    assert said is not None
    position = int(said[1]) - 1
    # The message is one line, in which blanks are single.
    assert said[2] == one_line(f"{notation[:position]!r} and {notation[position:]!r}")
    return position, message


def test_a_chain_is_read_stage_by_stage() -> None:
    scheme = parse("mine", "init > findings + pneumonia > covid")
    assert scheme.name == "mine"
    assert [stage.roles for stage in scheme.stages] == [("findings", "pneumonia"), ("covid",)]
    assert scheme.roles == {"findings", "pneumonia", "covid"}


def test_a_role_may_be_trained_in_several_stages() -> None:
    assert parse("again", "init > covid > findings > covid").stages == (
        Stage(("covid",)),
        Stage(("findings",)),
        Stage(("covid",)),
    )


def test_printing_keeps_the_written_order_and_spaces_evenly() -> None:
    scheme = parse("mine", "init>pneumonia+findings  >\tcovid")
    assert scheme.notation == "init > pneumonia + findings > covid"
    assert str(scheme) == scheme.notation
    assert str(scheme.stages[0]) == "pneumonia + findings"


@given(schemes)
def test_what_is_printed_is_read_back_equal_and_in_the_same_order(scheme: Scheme) -> None:
    again = parse(scheme.name, scheme.notation)
    assert again == scheme
    assert [stage.roles for stage in again.stages] == [stage.roles for stage in scheme.stages]
    assert again.notation == scheme.notation


@given(schemes, st.data())
def test_white_space_has_no_meaning(scheme: Scheme, data: st.DataObject) -> None:
    tokens = scheme.notation.split(" ")
    spaced = "".join(data.draw(blanks) + token for token in tokens) + data.draw(blanks)
    assert parse("any", spaced).notation == scheme.notation


@given(schemes, st.data())
def test_pooling_commutes_in_equality_and_hash(scheme: Scheme, data: st.DataObject) -> None:
    shuffled = Scheme(
        scheme.name, tuple(Stage(tuple(data.draw(st.permutations(stage.roles)))) for stage in scheme.stages)
    )
    assert shuffled == scheme
    assert hash(shuffled) == hash(scheme)
    assert shuffled.roles == scheme.roles


@given(stages, stages)
def test_stages_of_other_roles_are_not_equal(one: Stage, other: Stage) -> None:
    assert (one == other) == (set(one.roles) == set(other.roles))


def test_the_order_of_stages_is_not_the_order_of_pooling() -> None:
    assert parse("a", "init > findings > covid") != parse("a", "init > covid > findings")
    assert parse("a", "init > findings > covid") != parse("a", "init > findings + covid")
    assert parse("a", "init > covid") != parse("b", "init > covid")
    assert Stage(("covid",)) != "covid"


BAD = [
    ("", 0, "starts with 'init'"),
    ("   ", 0, "starts with 'init'"),
    ("covid", 0, "starts with 'init'"),
    ("  covid", 2, "starts with 'init'"),
    ("INIT > covid", 0, "starts with 'init'"),
    ("initial > covid", 0, "starts with 'init'"),
    ("> covid", 0, "starts with 'init'"),
    ("init", 4, "at least one stage"),
    ("init   ", 4, "at least one stage"),
    ("init covid", 5, "'>' or '+' is expected"),
    ("init + covid", 5, "cannot be pooled"),
    ("init >", 6, "a role is expected"),
    ("init >  ", 6, "a role is expected"),
    ("init > > covid", 7, "a role is expected"),
    ("init >> covid", 6, "a role is expected"),
    ("init > + covid", 7, "a role is expected"),
    ("init > covid +", 14, "a role is expected"),
    ("init > covid + > findings", 15, "a role is expected"),
    ("init > covid findings", 13, "'>' or '+' is expected"),
    ("init > covid init", 13, "'>' or '+' is expected"),
    ("init > init", 7, "may only come first"),
    ("init > covid + init", 15, "may only come first"),
    ("init > covid > init > findings", 15, "may only come first"),
    ("init > covid + covid", 15, "pooled with itself"),
    ("init > a + b + a > covid", 15, "pooled with itself"),
    ("init > covid & findings", 13, "unexpected character '&'"),
    ("init > covid, findings", 12, "unexpected character ','"),
    ("init > 3d", 7, "unexpected character '3'"),
    ("init > -covid", 7, "unexpected character '-'"),
    ("init > cov.id", 10, "unexpected character '.'"),
    ("init > röntgen", 8, "unexpected character 'ö'"),
    ("init → covid", 5, "unexpected character '→'"),
    ("init\t>\nco vid", 10, "'>' or '+' is expected"),
]


@pytest.mark.parametrize(("notation", "position", "what"), BAD, ids=[repr(bad[0]) for bad in BAD])
def test_an_error_points_at_the_character(notation: str, position: int, what: str) -> None:
    found, message = refusal(notation)
    assert found == position
    assert what in message


def test_the_whole_message_as_a_person_sees_it() -> None:
    with pytest.raises(SchemeError) as caught:
        parse("mine", "init > findings ++ covid")
    assert str(caught.value) == (
        "a role is expected here (character 18), between 'init > findings +' and '+ covid'"
    )


@given(st.text(st.sampled_from("init>+ covid-_9&\t\n\u2028é"), max_size=30) | st.text(max_size=10))
def test_any_text_is_a_scheme_or_refused_at_one_of_its_characters(notation: str) -> None:
    try:
        scheme = parse("any", notation)
    except SchemeError:
        position, _ = refusal(notation)
        assert 0 <= position <= len(notation)
    else:
        assert "".join(scheme.notation.split()) == "".join(notation.split())


@pytest.mark.parametrize("name", ["", "Control", "1st", "two words", "a_b", "-a", "a\n", "é", "a" * 65])
def test_a_name_is_lower_case_letters_digits_and_hyphens(name: str) -> None:
    with pytest.raises(SchemeError, match="must be up to 64 lower-case letters, digits and hyphens"):
        parse(name, "init > covid")
