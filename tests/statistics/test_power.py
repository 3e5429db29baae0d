"""Power and sample size, on numbers worked out by hand and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import comparison_power, patients_needed, planned_se


def test_power_at_the_textbook_effect():
    # An effect of (1.959964 + 0.841621) standard errors has a power of 80%, plus a far tail below 1e-6.
    assert comparison_power(2.801585 * 0.05, 0.05) == pytest.approx(0.8, abs=1e-6)
    assert comparison_power(-2.801585 * 0.05, 0.05) == pytest.approx(0.8, abs=1e-6)


def test_power_without_a_difference_is_the_type_one_error():
    assert comparison_power(0, 0.03) == pytest.approx(0.05)
    assert comparison_power(0, 0.03, level=0.9) == pytest.approx(0.1)
    assert comparison_power(-0.02, 0.03, hypothesis="noninferiority", margin=0.02) == pytest.approx(0.025)
    assert comparison_power(0.02, 0.03, hypothesis="superiority", margin=0.02) == pytest.approx(0.025)


def test_power_of_noninferiority_grows_with_the_margin_and_of_superiority_falls():
    powers = [
        [comparison_power(0.01, 0.02, hypothesis=kind, margin=margin) for margin in (0, 0.02, 0.04)]
        for kind in ("noninferiority", "superiority")
    ]
    assert powers[0] == sorted(powers[0])
    assert powers[1] == sorted(powers[1], reverse=True)


def test_patients_needed_by_hand():
    # 100 (2.801585 * 0.05 / 0.05)^2 = 784.9
    assert patients_needed(0.05, 0.05, 100) == 785
    # One-sided at 2.5% with power 90%: 475 ((1.959964 + 1.281552) * 0.03 / 0.02)^2 = 11230.0...
    expected = int(np.ceil(475 * ((1.959963985 + 1.281551566) * 0.03 / 0.02) ** 2))
    assert (
        patients_needed(0, 0.03, 475, wanted_power=0.9, hypothesis="noninferiority", margin=0.02) == expected
    )


@given(
    st.floats(0.005, 0.2),
    st.floats(0.005, 0.2),
    st.integers(10, 2000),
    st.sampled_from([0.5, 0.8, 0.9, 0.99]),
)
def test_patients_needed_reach_the_power_and_one_fewer_do_not(difference, se, n, wanted):
    needed = patients_needed(difference, se, n, wanted_power=wanted)
    assert comparison_power(difference, se * np.sqrt(n / needed)) >= wanted
    if needed > 1:
        assert comparison_power(difference, se * np.sqrt(n / (needed - 1))) < wanted


def test_planned_standard_error_by_hand():
    # Hanley-McNeil at AUC 0.8, 50 and 50: Q1 = 2/3, Q2 = 0.7111; variance 0.00198044.
    single = planned_se(0.8, 0.8, 50, 50, correlation=0)
    assert single == pytest.approx(np.sqrt(2 * 0.00198044), rel=1e-5)
    assert planned_se(0.8, 0.8, 50, 50, correlation=0.5) == pytest.approx(np.sqrt(0.00198044), rel=1e-5)


def test_planned_standard_error_is_near_that_of_data():
    from cxrbench.statistics import auc

    rng = np.random.default_rng(1)
    labels = np.arange(400) < 200
    found = [auc(labels, rng.normal(size=400) + 1.19 * labels).se for _ in range(20)]  # AUC 0.80
    assert planned_se(0.8, 0.8, 200, 200, correlation=0) / np.sqrt(2) == pytest.approx(
        np.mean(found), rel=0.05
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: comparison_power(0.1, 0), "se: must be above 0"),
        (lambda: comparison_power(0.1, float("nan")), "se: must be above 0"),
        (
            lambda: comparison_power(0.1, 0.1, hypothesis="equivalence"),
            "hypothesis: must be one of difference",
        ),
        (lambda: comparison_power(0.1, 0.1, margin=0.02), "a two-sided test of a difference has none"),
        (lambda: comparison_power(0.1, 0.1, hypothesis="superiority", margin=-1), "margin: must be"),
        (lambda: patients_needed(0, 0.1, 100), "no number of patients shows difference"),
        (
            lambda: patients_needed(-0.03, 0.1, 100, hypothesis="noninferiority", margin=0.02),
            "no number of patients shows noninferiority where the true difference is -0.03",
        ),
        (lambda: patients_needed(0.1, 0.1, 0), "n_patients: must be from 1 to"),
        (lambda: patients_needed(0.1, 0.1, 10, wanted_power=1), "wanted_power: must be from 0.5"),
        (lambda: planned_se(1, 0.8, 10, 10), "auc_a: must lie strictly between 0 and 1"),
        (lambda: planned_se(0.8, 0.8, 0, 10), "at least one image of each class"),
        (lambda: planned_se(0.8, 0.8, 10, 10, correlation=1), "correlation: must lie strictly"),
    ],
)
def test_what_has_no_answer_is_refused(call, message):
    with pytest.raises(StatisticsError, match=message):
        call()


@pytest.mark.parametrize("difference", [1e-3, 1e-5, 1e-7])
def test_a_small_difference_is_planned_at_once(difference):
    needed = patients_needed(difference, 0.02, 100)
    assert comparison_power(difference, 0.02 * np.sqrt(100 / needed)) >= 0.8
    assert needed == pytest.approx(100 * (2.801585 * 0.02 / difference) ** 2, rel=1e-5, abs=1)


@pytest.mark.parametrize("difference", [1e-8, 1e-9, 1e-300])
def test_a_difference_that_no_study_shows_is_refused(difference):
    with pytest.raises(StatisticsError, match="more than 1,000,000,000,000,000 would be needed"):
        patients_needed(difference, 0.02, 100)


@pytest.mark.parametrize("call", [comparison_power, lambda d, se: patients_needed(d, se, 100)])
def test_nan_is_no_plan(call):
    for arguments in ((float("nan"), 0.02), (0.02, float("nan")), (2.0, 0.02)):
        with pytest.raises(StatisticsError, match="must be"):
            call(*arguments)
