"""The fit: knobs that made the AUCs are found again; what cannot be reached ends at the range's end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from cxrbench.calibration.fit import fit
from cxrbench.calibration.knobs import points

ONE = {"covid.severity_median": (0.6, 0.7, 0.8)}
TWO = {"covid.severity_median": (0.6, 0.7, 0.8), "findings.prevalence_boost": (1.0, 3.0)}


def swept(make_row, sweep, models, noise=None):
    """Return rows whose logit is exactly linear: scheme -> intercept and one slope per knob."""
    return [
        make_row(
            scheme,
            seed,
            float(expit(model[0] + np.dot(model[1:], list(point.values())) + (noise or {}).get(seed, 0.0))),
            knobs=point,
            stage="sweep",
        )
        for seed in (0, 1)
        for point in points(sweep)
        for scheme, model in models.items()
    ]


@settings(max_examples=200)
@example(median=681, boost=1000, slopes=(6.0, 1.0, -3.0, 0.5))
@example(median=600, boost=3000, slopes=(1.0, 0.3, -1.0, 0.3))
@given(
    median=st.integers(600, 800),
    boost=st.integers(1000, 3000),
    slopes=st.tuples(st.floats(1, 6), st.floats(0.3, 2), st.floats(-6, -1), st.floats(0.3, 2)),
)
def test_the_knobs_that_made_the_aims_are_found_again(make_row, median, boost, slopes):
    # Slopes of opposite signs in one knob and of one sign in the other: there is a single solution.
    models = {"control": (0.0, slopes[0], slopes[1] / 4), "sequential": (0.5, slopes[2], slopes[3] / 4)}
    truth = np.array([median, boost]) / 1000
    aims = {name: float(expit(model[0] + truth @ model[1:])) for name, model in models.items()}
    found = fit(swept(make_row, TWO, models), TWO, aims)
    assert list(found.knobs.values()) == pytest.approx(truth.tolist(), abs=0.0015)
    assert found.expected == pytest.approx(aims, abs=2e-3)
    assert max(found.residual.values()) < 1e-9


def test_one_knob_for_two_schemes_lies_where_both_are_missed_least(make_row):
    models = {"control": (0.0, 2.0), "sequential": (0.2, 2.0)}
    rows = swept(make_row, ONE, models)
    # The control asks for 0.65, sequential for 0.75, at nearly the same slope of the AUC.
    aims = {"control": float(expit(2 * 0.65)), "sequential": float(expit(0.2 + 2 * 0.75))}
    found = fit(rows, ONE, aims)

    def missed(value):
        return sum((aims[name] - expit(m[0] + m[1] * value)) ** 2 for name, m in models.items())

    grid = np.arange(0.6, 0.8, 0.001)
    best = grid[np.argmin([missed(value) for value in grid])]
    assert found.knobs["covid.severity_median"] == pytest.approx(best, abs=0.005)
    assert found.at_the_end == ()


@pytest.mark.parametrize(("aim", "end"), [(0.99, 0.8), (0.51, 0.6)])
def test_an_aim_out_of_reach_gives_the_end_of_the_range_and_says_so(make_row, aim, end):
    found = fit(swept(make_row, ONE, {"control": (0.0, 2.0)}), ONE, {"control": aim})
    assert found.knobs == {"covid.severity_median": end}
    assert found.at_the_end == ("covid.severity_median",)


def test_of_settings_that_are_as_near_the_middle_is_taken(make_row):
    # The second knob does nothing, so that every value of it is as good.
    rows = swept(make_row, TWO, {"control": (0.0, 2.0, 0.0)})
    found = fit(rows, TWO, {"control": float(expit(1.5))})
    assert found.knobs == {"covid.severity_median": 0.75, "findings.prevalence_boost": 2.0}
    assert found.at_the_end == ()


def test_rounding_does_not_leave_the_range(make_row):
    sweep = {"covid.severity_median": (0.7004, 0.7104)}
    found = fit(swept(make_row, sweep, {"control": (0.0, 2.0)}), sweep, {"control": 0.51})
    assert found.knobs == {"covid.severity_median": 0.7004}


def test_the_residual_is_the_distance_of_the_seeds_from_the_model(make_row):
    rows = swept(make_row, ONE, {"control": (0.0, 0.0)}, noise={0: 0.1, 1: -0.1})
    found = fit(rows, ONE, {"control": 0.5})
    assert found.residual["control"] == pytest.approx(float(expit(0.1)) - 0.5)


def test_an_auc_of_one_can_be_fitted(make_row):
    rows = [
        make_row("control", 0, auc, knobs={"covid.severity_median": value}, stage="sweep")
        for value, auc in ((0.6, 0.7), (0.8, 1.0))
    ]
    found = fit(rows, {"covid.severity_median": (0.6, 0.8)}, {"control": 0.8})
    assert 0.6 < found.knobs["covid.severity_median"] < 0.8
