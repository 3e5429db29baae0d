"""Temperature scaling: the fitted number is the one of least log loss, and no order changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import log_loss

from cxrbench.errors import StatisticsError
from cxrbench.statistics.temperature import BOUNDS, at_temperature, fit_temperature


def drawn(temperature, count=40_000):
    """Return labels, and the probabilities that they were drawn with at ``temperature``."""
    random = np.random.default_rng(3)
    odds = random.normal(0, 1.5, count)
    labels = random.random(count) < expit(odds)
    return labels, expit(odds * temperature)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_scores_were_made_with_is_found(temperature):
    fitted = fit_temperature(*drawn(temperature))
    assert fitted.temperature == pytest.approx(temperature, rel=0.04)


def test_it_has_the_least_log_loss_and_says_which():
    labels, scores = drawn(3.0, 500)
    fitted = fit_temperature(labels, scores)
    assert fitted.loss_before == pytest.approx(log_loss(labels, scores))
    assert fitted.loss_after == pytest.approx(log_loss(labels, at_temperature(scores, fitted.temperature)))
    for other in (0.98, 1.02):
        assert log_loss(labels, at_temperature(scores, fitted.temperature * other)) > fitted.loss_after


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=30, unique=True),
    st.floats(*BOUNDS),
)
def test_no_order_is_reversed(odds, temperature):
    scores = expit(np.sort(odds))
    assert np.all(np.diff(at_temperature(scores, temperature)) >= 0)


def test_temperature_one_changes_nothing():
    scores = expit(np.linspace(-20, 20, 101))
    assert at_temperature(scores, 1.0) == pytest.approx(scores, rel=1e-12)


def test_classes_that_are_separated_end_at_the_lowest_temperature():
    fitted = fit_temperature([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])
    assert fitted.temperature == BOUNDS[0]


def test_scores_that_are_wrong_way_round_end_at_the_highest():
    assert fit_temperature([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]).temperature == BOUNDS[1]


def test_a_probability_that_float64_holds_as_one_stays_finite():
    assert np.isfinite(at_temperature([0.0, 1.0], 2.0)).all()
    assert np.isfinite(fit_temperature([0, 1, 1, 0], [0.0, 1.0, 0.0, 1.0]).loss_before)


def test_one_class_is_refused():
    with pytest.raises(StatisticsError):
        fit_temperature([1, 1], [0.5, 0.6])
