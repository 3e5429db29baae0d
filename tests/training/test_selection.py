"""Which epoch is kept: AUCs of known labels, and whose AUC counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cxrbench.errors import TrainingError
from cxrbench.training.selection import BestValidationAuc, macro_auc, rankable

NAN = float("nan")


def array(rows: list[list[float]]) -> np.ndarray:
    return np.array(rows, np.float32)


@pytest.mark.parametrize(
    ("labels", "logits", "auc"),
    [
        ([[0], [1]], [[0], [1]], 1.0),
        ([[0], [1]], [[1], [0]], 0.0),
        ([[0], [1]], [[3], [3]], 0.5),
        ([[0], [0], [1], [1]], [[0.1], [0.4], [0.35], [0.8]], 0.75),
        ([[0], [1], [1], [NAN]], [[2], [1], [3], [9]], 0.5),
        # One label perfect, one reversed: the mean.
        ([[0, 1], [1, 0]], [[0, 0], [1, 1]], 0.5),
        # The second label has one class only and does not count.
        ([[0, 1], [1, 1]], [[0, 5], [1, 4]], 1.0),
        ([[0, NAN], [1, 0]], [[0, 5], [1, 4]], 1.0),
        # Never known: does not count.
        ([[0, NAN], [1, NAN]], [[1, 5], [0, 4]], 0.0),
        # Each label is ranked among its own known images.
        ([[0, NAN], [1, 0], [NAN, 1], [0, 1]], [[0, 9], [1, 5], [-7, 6], [2, 4]], 0.5),
    ],
)
def test_the_mean_auc_over_labels_with_both_classes(
    labels: list[list[float]], logits: list[list[float]], auc: float
) -> None:
    assert macro_auc(array(labels), array(logits)) == pytest.approx(auc, abs=1e-12)


def test_logits_one_float32_step_apart_are_ranked() -> None:
    low = np.float32(12.5)
    logits = np.array([[low], [np.nextafter(low, np.float32(13))]], np.float32)
    assert macro_auc(array([[0], [1]]), logits) == 1.0


@pytest.mark.parametrize("labels", [[[1], [1]], [[0], [0]], [[NAN], [NAN]], [[1], [NAN]], [[1, 0], [1, 0]]])
def test_no_label_with_both_classes_is_an_error(labels: list[list[float]]) -> None:
    with pytest.raises(TrainingError, match="no label of the validation images has both classes"):
        macro_auc(array(labels), np.zeros((2, len(labels[0])), np.float32))


@pytest.mark.parametrize("bad", [NAN, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_is_an_error_of_ours(bad: float) -> None:
    with pytest.raises(TrainingError, match="outputs are not finite"):
        macro_auc(array([[0], [1]]), array([[0], [bad]]))


def test_rankable_finds_the_labels_with_both_classes() -> None:
    labels = array([[1, 0, NAN, 1, NAN], [1, 0, NAN, 0, 1], [NAN, 0, NAN, NAN, 0]])
    assert rankable(labels).tolist() == [False, False, False, True, True]


def test_the_target_decides_where_the_stage_trains_it() -> None:
    rule = BestValidationAuc("covid")
    assert rule.score({"covid": 0.6, "findings": 0.9}) == 0.6
    assert rule.score({"covid": 0.6}) == 0.6


def test_the_mean_over_roles_decides_where_it_does_not() -> None:
    rule = BestValidationAuc("covid")
    assert rule.score({"findings": 0.9, "pneumonia": 0.7}) == pytest.approx(0.8)
    assert rule.score({"findings": 0.9}) == 0.9
