"""The one rule: an interval against a target."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import Target, verdict
from cxrbench.statistics.verdicts import FAIL

BAND = Target(auc=0.757, tolerance=0.05, source="Fricks et al. 2021")
BOUND = Target(auc=0.857, at_least=0.8, source="Fricks et al. 2021")


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
        (Target(auc=0.98, tolerance=0.05, source="x"), 0.94, 1.0, "pass"),
        (Target(auc=0.757, tolerance=0.05, calibrated=False), 0.757, 0.757, "inconclusive"),
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
            "if the gain is meant, calibrate the target again",
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
            Target(auc=0.757, source="the abstract", calibrated=False),
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


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.01, 0.99), st.floats(0.001, 0.49))
def test_pass_and_fail_never_hang_on_the_point_and_narrowing_never_turns_one_into_the_other(
    a, b, value, tolerance
):
    low, high = sorted((a, b))
    target = Target(auc=value, tolerance=tolerance, source="")
    outcome = verdict(target, low, low, high).outcome
    assert verdict(target, high, low, high).outcome == outcome
    middle = (low + high) / 2
    narrower = verdict(target, middle, (low + middle) / 2, (high + middle) / 2).outcome
    if outcome != "inconclusive":
        assert narrower == outcome


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"auc": 0.7}, "give a tolerance around the 'auc', a calibration's spread"),
        ({}, "give a tolerance around the 'auc', a calibration's spread"),
        ({"tolerance": 0.1}, "a tolerance needs the 'auc'"),
        ({"auc": 0.7, "tolerance": 0}, "tolerance must be above 0 and at most 1, not 0"),
        ({"auc": 0.7, "tolerance": float("nan")}, "tolerance must be above 0 and at most 1, not nan"),
        ({"auc": 75.7, "tolerance": 5}, "auc must lie between 0 and 1, not 75.7"),
        ({"at_least": -0.1}, "at_least must lie between 0 and 1, not -0.1"),
        ({"at_least": float("nan")}, "at_least must lie between 0 and 1, not nan"),
        ({"auc": 0.7, "tolerance": 0.1, "at_least": 0.6}, "give one of a tolerance, a lower bound and"),
        ({"auc": 0.5, "tolerance": 0.5}, "every AUC meets 0.500 ± 0.500; narrow it"),
        ({"auc": 0.757, "tolerance": 0.9}, "every AUC meets"),
        ({"at_least": 0.0}, "every AUC meets at least 0.000"),
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


CALIBRATED = Target(auc=0.757, sd=0.008, seeds=5, source="cxrbench calibrate")


def test_the_reach_of_a_calibrated_spread_by_hand():
    # t(4; 0.975) = 2.776: 2.776 * 0.008 * sqrt(1 + 1/5) and, for four runs, sqrt(1/4 + 1/5).
    assert CALIBRATED.reach(1) == pytest.approx(0.02433, abs=1e-5)
    assert CALIBRATED.reach(4) == pytest.approx(0.01490, abs=1e-5)
    # t(4; 0.9995) = 8.610.
    assert CALIBRATED.reach(1, FAIL) == pytest.approx(0.07546, abs=1e-5)
    assert BAND.reach(1) is None


@pytest.mark.parametrize(
    ("auc", "runs", "expected"),
    [
        (0.757, 1, "pass"),
        (0.733, 1, "pass"),
        (0.732, 1, "inconclusive"),
        (0.733, 4, "inconclusive"),
        (0.743, 4, "pass"),
        (0.682, 1, "inconclusive"),
        (0.681, 1, "fail"),
        (0.833, 1, "fail"),  # Above is as much a change as below.
    ],
)
def test_a_calibrated_target_is_held_against_the_spread_between_seeds(auc, runs, expected):
    # The interval of the test sample is wide, and not what decides: the calibration saw the same images.
    found = verdict(CALIBRATED, auc, 0.5, 0.99, runs)
    assert found.outcome == expected
    assert "5 calibration seeds, SD 0.008" in found.sentence


@pytest.mark.parametrize(
    ("auc", "sentence"),
    [
        (
            0.75,
            "AUC 0.750 lies where 95% of runs of unchanged code lie, 0.733 to 0.781, by the target "
            "0.757 ± 0.024 (cxrbench calibrate) (5 calibration seeds, SD 0.008)",
        ),
        (
            0.6,
            "AUC 0.600 lies below where 99.9% of runs of unchanged code lie, 0.682 to 0.832, by the target "
            "0.757 ± 0.024 (cxrbench calibrate) (5 calibration seeds, SD 0.008)",
        ),
        (
            0.8,
            "AUC 0.800 lies outside of where 95% of runs of unchanged code lie, 0.733 to 0.781, by the "
            "target 0.757 ± 0.024 (cxrbench calibrate) (5 calibration seeds, SD 0.008), but not of where "
            "99.9% lie, 0.682 to 0.832: more training seeds (--seeds) would settle it",
        ),
    ],
)
def test_the_sentence_says_where_runs_of_unchanged_code_lie(auc, sentence):
    assert verdict(CALIBRATED, auc, 0.5, 0.99).sentence == sentence


@pytest.mark.parametrize(("value", "sd", "seeds"), [(0.98, 0.01, 5), (0.857, 0.012, 2), (0.02, 0.01, 5)])
def test_the_calibrated_value_itself_passes_also_near_the_ends(value, sd, seeds):
    target = Target(auc=value, sd=sd, seeds=seeds)
    assert not 0 < value - target.reach() < value + target.reach() < 1
    assert verdict(target, value, 0.0, 1.0).outcome == "pass"


@pytest.mark.parametrize("runs", [1, 3])
def test_seeds_of_unchanged_code_pass_in_95_percent_and_fail_in_one_of_a_thousand(runs):
    random = np.random.default_rng(8)
    trials, found = 20_000, []
    for _ in range(trials):
        seeds, more = random.normal(0.8, 0.01, 6), random.normal(0.8, 0.01, runs)
        target = Target(auc=float(seeds.mean()), sd=float(seeds.std(ddof=1)), seeds=6)
        found.append(verdict(target, float(more.mean()), 0.0, 1.0, runs).outcome)
    for outcome, share in (("pass", 0.95), ("fail", 0.001)):
        # Four binomial standard errors.
        assert abs(found.count(outcome) / trials - share) < 4 * (share * (1 - share) / trials) ** 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sd": 0.01}, "go together"),
        ({"seeds": 5}, "go together"),
        ({"sd": 0.0, "seeds": 5}, "above 0"),
        ({"sd": 0.01, "seeds": 1}, "2 to 1,000,000 seeds"),
        ({"sd": 0.01, "seeds": 5, "at_least": 0.7}, "give one of"),
        ({"sd": 0.01, "seeds": 5, "tolerance": 0.05}, "give one of"),
        ({"sd": 0.01, "seeds": 5, "auc": None}, "a calibration's spread needs the 'auc'"),
        ({"sd": 0.3, "seeds": 5}, "every AUC meets"),
    ],
)
def test_half_a_spread_is_refused(arguments, message):
    with pytest.raises(StatisticsError, match=message):
        Target(**{"auc": 0.8, **arguments})


@pytest.mark.parametrize(("auc", "runs"), [(float("nan"), 1), (0.8, 0)])
def test_no_verdict_on_what_was_not_measured(auc, runs):
    with pytest.raises(StatisticsError, match="no verdict"):
        verdict(BAND, auc, 0.72, 0.79, runs)
