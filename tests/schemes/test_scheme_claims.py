"""Which claims of the paper apply to a study's schemes: by what they train, whatever they are called."""

from __future__ import annotations

from collections.abc import Sequence

from cxrbench.schemes import PATHS, SIX, Scheme, claims, parse


def named(schemes: Sequence[Scheme], target: str = "covid") -> list[str]:
    return [str(claim) for claim in claims(schemes, target)]


def test_of_the_six_five_beat_the_control_and_the_sequence_beats_the_pool() -> None:
    others = ["findings", "pneumonia", "sequential", "pooled-supplement", "pooled-all"]
    assert named(tuple(SIX.values())) == [
        *(f"{name}-beats-control" for name in others),
        "sequential-beats-pooled-all",
    ]


def test_of_the_second_reading_the_same_rules_find_their_pairs() -> None:
    assert named(tuple(PATHS.values())) == [
        *(f"{name}-beats-control" for name in PATHS if name != "control"),
        "findings-beats-pooled-findings",
    ]


def test_names_have_no_meaning() -> None:
    schemes = [
        parse("pooled-all", "init > fracture"),
        parse("control", "init > a > b > fracture"),
        parse("x", "init > fracture + b + a"),
    ]
    assert named(schemes, "fracture") == [
        "control-beats-pooled-all",
        "x-beats-pooled-all",
        "control-beats-x",
    ]


def test_what_does_not_apply_is_left_out() -> None:
    twice = parse("twice", "init > covid > covid")
    assert named([SIX["control"], twice]) == []
    assert named([SIX["sequential"], SIX["pooled-supplement"]]) == []
    assert named([SIX["sequential"], parse("pool", "init > findings + covid")]) == []
    again = parse("again", "init > findings > findings > covid")
    assert named([again, parse("pool", "init > findings + covid")]) == []
