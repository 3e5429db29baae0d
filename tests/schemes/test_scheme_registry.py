"""The six schemes, and a user's own next to them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from cxrbench.errors import SchemeError
from cxrbench.schemes import PATHS, SIX, Registry, Scheme, Stage, make_plan, parse, scheme_set

TABLE = {
    "control": "init > covid",
    "findings": "init > findings > covid",
    "pneumonia": "init > pneumonia > covid",
    "sequential": "init > findings > pneumonia > covid",
    "pooled-supplement": "init > findings + pneumonia > covid",
    "pooled-all": "init > findings + pneumonia + covid",
}


def test_the_six_by_name_and_notation_in_the_order_of_the_paper_s_reading() -> None:
    assert [(name, scheme.notation) for name, scheme in SIX.items()] == list(TABLE.items())
    assert len(SIX) == 6


@pytest.mark.parametrize("name", TABLE)
def test_every_scheme_ends_with_the_task_that_is_tested(name: str) -> None:
    assert "covid" in SIX[name].stages[-1].roles
    assert SIX[name].name == name


def test_every_order_of_two_supplements_is_there_once() -> None:
    assert len({scheme.stages for scheme in SIX.values()}) == 6


def test_a_seventh_is_one_line_and_the_six_stay_six() -> None:
    seven = SIX.add("reversed", "init > pneumonia > findings > covid")
    assert list(seven) == [*TABLE, "reversed"]
    assert seven["reversed"].stages == (Stage(("pneumonia",)), Stage(("findings",)), Stage(("covid",)))
    assert len(SIX) == 6
    assert "reversed" not in SIX


def test_the_registry_cannot_be_changed_in_place() -> None:
    with pytest.raises(TypeError):
        SIX.schemes["mine"] = parse("mine", "init > covid")  # type: ignore[index]
    with pytest.raises(TypeError):
        SIX["mine"] = parse("mine", "init > covid")  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        SIX.schemes = {}  # type: ignore[misc]
    assert list(SIX) == list(TABLE)


def test_adding_a_scheme_again_is_allowed_also_with_its_pool_in_another_order() -> None:
    again = SIX.add("pooled-all", "init > covid + pneumonia + findings")
    assert list(again) == list(TABLE)
    assert again == SIX


def test_a_name_belongs_to_one_scheme_only() -> None:
    with pytest.raises(SchemeError, match="'control' is registered already as 'init > covid'"):
        SIX.add("control", "init > findings > covid")


def test_a_bad_notation_is_refused_where_it_is_added() -> None:
    with pytest.raises(SchemeError, match="a role is expected here"):
        SIX.add("mine", "init > ")


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("contrl", "control"),
        ("pooled-al", "pooled-all"),
        ("Sequential", "sequential"),
        ("finding", "findings"),
    ],
)
def test_an_unknown_name_gives_the_nearest(asked: str, near: str) -> None:
    with pytest.raises(SchemeError) as caught:
        SIX[asked]
    assert str(caught.value) == (
        f"no scheme {asked!r}; did you mean {near!r}? (known: control, findings, pneumonia, sequential, "
        "pooled-supplement, pooled-all)"
    )


def test_an_unknown_name_like_none_gives_only_the_list() -> None:
    with pytest.raises(SchemeError) as caught:
        SIX["xyz"]
    assert str(caught.value).startswith("no scheme 'xyz' (known: control, ")


def test_the_registry_is_a_mapping_like_any_other() -> None:
    assert "control" in SIX
    assert "contrl" not in SIX
    assert SIX.get("contrl") is None
    assert SIX.get("control") == parse("control", "init > covid")
    assert dict(SIX)["findings"].notation == "init > findings > covid"


def test_selecting_none_gives_all_in_order() -> None:
    assert [scheme.name for scheme in SIX.select(())] == list(TABLE)


def test_selecting_keeps_the_asked_order_and_gives_each_once() -> None:
    chosen = SIX.select(("pooled-all", "control", "pooled-all"))
    assert [scheme.name for scheme in chosen] == ["pooled-all", "control"]


def test_a_scheme_of_one_s_own_is_selected_by_name_and_notation() -> None:
    chosen = SIX.select(("control", "mine = init > pneumonia > findings > covid", "mine"))
    assert [(scheme.name, scheme.notation) for scheme in chosen] == [
        ("control", "init > covid"),
        ("mine", "init > pneumonia > findings > covid"),
    ]
    assert "mine" not in SIX


def test_a_definition_chooses_the_scheme_whether_registered_or_not() -> None:
    reverse = parse("reverse", "init > pneumonia > findings > covid")
    for scheme in (*SIX.values(), reverse):
        assert SIX.select((scheme.definition,)) == (scheme,)


def test_a_registered_name_is_not_given_another_notation() -> None:
    with pytest.raises(SchemeError, match="'control' is registered already as 'init > covid'"):
        SIX.select(("control=init > findings > covid",))


def test_selecting_an_unknown_name_is_an_error() -> None:
    with pytest.raises(SchemeError, match="did you mean 'control'"):
        SIX.select(("findings", "controll"))


def test_registries_of_the_same_schemes_are_equal() -> None:
    one = Registry({"a": Scheme("a", (Stage(("covid",)),))})
    assert one == Registry({}).add("a", "init > covid")
    assert one != SIX


def test_the_second_reading_is_two_starts_times_three_second_phases() -> None:
    starts = ["init", "init > findings"]
    phases = ["covid", "findings + covid", "pneumonia + covid"]
    assert [scheme.notation for scheme in PATHS.values()] == [f"{s} > {p}" for s in starts for p in phases]
    assert len(make_plan(PATHS.values()).runs) == 7


def test_a_scheme_that_both_readings_have_is_one_in_both() -> None:
    shared = set(SIX) & set(PATHS)
    assert shared == {"control", "findings"}
    assert all(SIX[name] == PATHS[name] for name in shared)
    assert not {scheme.stages for scheme in SIX.values()} & {
        PATHS[name].stages for name in PATHS if name not in shared
    }


def test_the_sets_that_ship_by_name() -> None:
    assert scheme_set("six") is SIX
    assert scheme_set("paths") is PATHS
    with pytest.raises(
        SchemeError, match=r"no set of schemes 'path'; did you mean 'paths'\? \(known: six, pa"
    ):
        scheme_set("path")


def test_another_target_takes_the_place_of_covid_in_every_scheme() -> None:
    mine = PATHS.for_target("fracture")
    assert list(mine) == list(PATHS)
    assert [scheme.notation for scheme in mine.values()] == [
        scheme.notation.replace("covid", "fracture") for scheme in PATHS.values()
    ]
    assert SIX.for_target("covid") == SIX
