"""The one rule: an interval against a target."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import Target, verdict

BAND = Target(value=0.757, tolerance=0.05, source="Fricks et al. 2021")
BOUND = Target(value=0.857, lower=0.8, source="Fricks et al. 2021")


@pytest.mark.parametrize(
    ("target", "low", "high", "outcome"),
    [
        (BAND, 0.72, 0.79, "pass"),
        (BAND, 0.757 - 0.05, 0.757 + 0.05, "pass"),  # ends belong to the band
        (BAND, 0.70, 0.79, "inconclusive"),
        (BAND, 0.72, 0.81, "inconclusive"),
        (BAND, 0.60, 0.90, "inconclusive"),
        (BAND, 0.60, 0.7069, "fail"),
        (BAND, 0.8071, 0.90, "fail"),  # better than the target is a change too
        (BAND, 0.60, 0.7071, "inconclusive"),
        (BOUND, 0.8, 0.9, "pass"),
        (BOUND, 0.9, 1.0, "pass"),
        (BOUND, 0.7999, 0.9, "inconclusive"),
        (BOUND, 0.7, 0.8, "inconclusive"),
        (BOUND, 0.7, 0.7999, "fail"),
        (Target(value=0.98, tolerance=0.05, source="x"), 0.94, 1.0, "pass"),
        (Target(value=0.757, tolerance=0.05, calibrated=False), 0.757, 0.757, "inconclusive"),
        (Target(calibrated=False), 0.4, 0.5, "inconclusive"),
    ],
)
def test_the_rule(target, low, high, outcome):
    found = verdict(target, (low + high) / 2, low, high)
    assert found.outcome == outcome
    assert "\n" not in found.sentence


@pytest.mark.parametrize(
    ("target", "numbers", "sentence"),
    [
        (
            BAND,
            (0.75, 0.72, 0.79),
            "AUC 0.750 [0.720, 0.790] lies within the target, 0.757 ± 0.050 (Fricks et al. 2021)",
        ),
        (
            BOUND,
            (0.75, 0.72, 0.79),
            "AUC 0.750 [0.720, 0.790] lies below the target, at least 0.800 (Fricks et al. 2021)",
        ),
        (
            BAND,
            (0.85, 0.82, 0.88),
            "AUC 0.850 [0.820, 0.880] lies above the target, 0.757 ± 0.050 (Fricks et al. 2021): "
            "if the gain is meant, calibrate the target anew",
        ),
        (
            BAND,
            (0.75, 0.69, 0.80),
            "AUC 0.750 [0.690, 0.800] reaches across the edge of the target, 0.757 ± 0.050 "
            "(Fricks et al. 2021): the interval is 0.110 wide, the band 0.100: "
            "it takes more test patients to pass",
        ),
        (
            BOUND,
            (0.81, 0.79, 0.83),
            "AUC 0.810 [0.790, 0.830] reaches across the edge of the target, at least 0.800 "
            "(Fricks et al. 2021): more test patients would narrow the interval",
        ),
        (
            Target(value=0.757, source="the abstract", calibrated=False),
            (0.75, 0.72, 0.79),
            "AUC 0.750 [0.720, 0.790]: the target, about 0.757 (the abstract), is not yet calibrated",
        ),
        (
            Target(calibrated=False),
            (0.75, 0.72, 0.79),
            "AUC 0.750 [0.720, 0.790]: the target, none, is not yet calibrated",
        ),
    ],
)
def test_the_sentence_holds_every_number(target, numbers, sentence):
    assert verdict(target, *numbers).sentence == sentence


def test_the_sentence_shows_enough_digits_to_be_believed():
    found = verdict(BOUND, 0.81, 0.79996, 0.83)
    assert found.outcome == "inconclusive"
    assert "[0.79996, 0.83000]" in found.sentence


def test_an_auc_that_could_not_be_estimated_is_inconclusive():
    found = verdict(BAND, None, None, None)
    assert found.outcome == "inconclusive"
    assert found.sentence.startswith("the AUC could not be estimated; target 0.757")


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0.001, 0.5))
def test_pass_and_fail_never_hang_on_the_point_and_narrowing_never_turns_one_into_the_other(
    a, b, value, tolerance
):
    low, high = sorted((a, b))
    target = Target(value=value, tolerance=tolerance, source="")
    outcome = verdict(target, low, low, high).outcome
    assert verdict(target, high, low, high).outcome == outcome
    middle = (low + high) / 2
    narrower = verdict(target, middle, (low + middle) / 2, (high + middle) / 2).outcome
    if outcome != "inconclusive":
        assert narrower == outcome


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": 0.7}, "give a tolerance around the value, or a lower bound"),
        ({}, "give a tolerance around the value, or a lower bound"),
        ({"tolerance": 0.1}, "a tolerance needs the value"),
        ({"value": 0.7, "tolerance": 0}, "tolerance must be above 0, not 0"),
        ({"value": 0.7, "tolerance": float("nan")}, "tolerance must be above 0, not nan"),
        ({"value": 75.7, "tolerance": 5}, "value must be an AUC from 0 to 1, not 75.7"),
        ({"lower": -0.1}, "lower must be an AUC from 0 to 1, not -0.1"),
        ({"lower": float("nan")}, "lower must be an AUC from 0 to 1, not nan"),
        ({"value": 0.7, "tolerance": 0.1, "lower": 0.6}, "a tolerance or a lower bound, not both"),
    ],
)
def test_a_target_must_say_what_it_is(arguments, message):
    with pytest.raises(StatisticsError, match=message):
        Target(**arguments)


@pytest.mark.parametrize(("low", "high"), [(0.8, 0.7), (float("nan"), 0.7), (0.7, float("nan"))])
def test_what_is_no_interval_is_refused(low, high):
    with pytest.raises(StatisticsError, match="is not an interval"):
        verdict(BAND, 0.75, low, high)


def test_verdicts_and_targets_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        verdict(BAND, 0.75, 0.72, 0.79).outcome = "fail"
    with pytest.raises(dataclasses.FrozenInstanceError):
        BAND.tolerance = 0.5
