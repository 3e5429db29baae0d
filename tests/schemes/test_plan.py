"""The plan: shared beginnings are trained once, parents before children."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import SchemeError
from cxrbench.schemes import SIX, Scheme, Stage, StageRun, make_plan, parse

# Few roles and short chains, so that shared beginnings are common.
stages = st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True).map(lambda r: Stage(tuple(r)))
chains = st.lists(st.lists(stages, min_size=1, max_size=4), max_size=6)
many = chains.map(lambda found: tuple(Scheme(f"s{i}", tuple(chain)) for i, chain in enumerate(found)))


def test_the_six_name_eleven_runs_and_need_ten() -> None:
    assert sum(len(scheme.stages) for scheme in SIX.values()) == 11
    plan = make_plan(SIX.values())
    assert [str(run) for run in plan.runs] == [
        "init > covid",
        "init > findings",
        "init > findings > covid",
        "init > pneumonia",
        "init > pneumonia > covid",
        "init > findings > pneumonia",
        "init > findings > pneumonia > covid",
        "init > findings + pneumonia",
        "init > findings + pneumonia > covid",
        "init > findings + pneumonia + covid",
    ]
    assert {name: str(run) for name, run in plan.final.items()} == {
        name: scheme.notation for name, scheme in SIX.items()
    }


def test_no_schemes_need_no_runs() -> None:
    plan = make_plan([])
    assert plan.runs == ()
    assert plan.final == {}


def test_a_run_knows_its_stage_and_the_run_before_it() -> None:
    run = make_plan(SIX.select(("sequential",))).final["sequential"]
    assert run.stage == Stage(("covid",))
    assert str(run.parent) == "init > findings > pneumonia"
    assert run.parent is not None
    assert run.parent.parent == StageRun((Stage(("findings",)),))
    assert run.parent.parent is not None
    assert run.parent.parent.parent is None


def test_the_same_stage_after_another_chain_is_another_run() -> None:
    plan = make_plan([parse("a", "init > x > covid"), parse("b", "init > y > covid")])
    assert len(plan.runs) == 4
    assert plan.final["a"] != plan.final["b"]


def test_pools_written_in_another_order_are_one_run_with_one_canonical_text() -> None:
    one, other = parse("one", "init > b + a > covid"), parse("other", "init > a + b > covid + b")
    plan = make_plan([one, other])
    assert len(plan.runs) == 3
    assert plan.runs[0].canonical == "init > a + b"
    assert plan.final["one"].canonical == "init > a + b > covid"
    assert plan.final["other"].canonical == "init > a + b > b + covid"


def test_two_different_schemes_of_one_name_are_refused() -> None:
    with pytest.raises(SchemeError, match="two schemes are named 'a': init > x and init > y; rename one"):
        make_plan([parse("a", "init > x"), parse("a", "init > y")])


def test_one_scheme_given_twice_is_one_scheme() -> None:
    assert make_plan([SIX["control"], SIX["control"]]) == make_plan([SIX["control"]])


@given(many)
def test_parents_come_before_children_and_nothing_twice(schemes: tuple[Scheme, ...]) -> None:
    runs = make_plan(schemes).runs
    assert len(set(runs)) == len(runs)
    for position, run in enumerate(runs):
        assert run.parent is None or run.parent in runs[:position]


@given(many)
def test_a_scheme_s_last_run_is_its_whole_chain(schemes: tuple[Scheme, ...]) -> None:
    plan = make_plan(schemes)
    assert list(plan.final) == [scheme.name for scheme in schemes]
    for scheme in schemes:
        assert plan.final[scheme.name].path == scheme.stages
        assert plan.final[scheme.name] in plan.runs


@given(many)
def test_there_are_as_many_runs_as_distinct_beginnings(schemes: tuple[Scheme, ...]) -> None:
    beginnings = {
        tuple(frozenset(stage.roles) for stage in scheme.stages[:end])
        for scheme in schemes
        for end in range(1, len(scheme.stages) + 1)
    }
    assert len(make_plan(schemes).runs) == len(beginnings)


@given(many, st.data())
def test_equal_runs_have_equal_canonical_texts_and_others_do_not(
    schemes: tuple[Scheme, ...], data: st.DataObject
) -> None:
    runs = make_plan(schemes).runs
    assert len({run.canonical for run in runs}) == len(runs)
    for run in runs:
        shuffled = tuple(Stage(tuple(data.draw(st.permutations(stage.roles)))) for stage in run.path)
        assert StageRun(shuffled) == run
        assert StageRun(shuffled).canonical == run.canonical


@given(many, st.data())
def test_the_order_of_the_schemes_changes_no_run(schemes: tuple[Scheme, ...], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(schemes))
    assert set(make_plan(shuffled).runs) == set(make_plan(schemes).runs)
    assert make_plan(shuffled).final == make_plan(schemes).final
