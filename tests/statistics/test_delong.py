"""AUC and DeLong covariance: the published numbers, the plain definition, and each trap by name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cxrbench.errors import StatisticsError
from cxrbench.statistics.delong import delong_components, pairs_won

FEW = settings(max_examples=60)


@st.composite
def samples(draw, curves=3, most=30):
    """Labels with at least two of each class and scores with many ties."""
    positives, negatives = draw(st.integers(2, most)), draw(st.integers(2, most))
    labels = np.array(draw(st.permutations([True] * positives + [False] * negatives)))
    value = st.integers(-4, 4) | st.floats(-3, 3)
    rows = [draw(st.lists(value, min_size=labels.size, max_size=labels.size)) for _ in range(curves)]
    return labels, np.array(rows, dtype=np.float64)


def test_ovarian_aucs_and_standard_errors_are_those_of_the_paper(ovarian):
    curves = ovarian[["albumin", "total_protein", "ten_minus_kg"]].to_numpy(dtype=float).T
    found = delong_components(ovarian["y"].to_numpy() == 1, curves)
    assert np.round(found.auc, 4).tolist() == [0.7366, 0.6478, 0.7258]
    assert np.round(found.se, 4).tolist() == [0.0927, 0.1000, 0.1028]
    assert (found.n_positive, found.n_negative) == (31, 12)


@FEW
@given(samples())
def test_every_number_agrees_with_the_plain_definition(plain, sample):
    labels, scores = sample
    found = delong_components(labels, scores)
    auc, covariance = plain(labels, scores)
    assert np.abs(found.auc - auc).max() <= 1e-12
    assert np.abs(found.covariance - covariance).max() <= 1e-12
    assert np.abs(found.se**2 - np.diag(covariance)).max() <= 1e-12


@FEW
@given(samples(curves=2))
def test_the_variance_of_a_difference_agrees_with_the_plain_definition(plain, sample):
    labels, scores = sample
    difference, se = delong_components(labels, scores).differences([(0, 1)])
    auc, covariance = plain(labels, scores)
    assert abs(difference[0] - (auc[0] - auc[1])) <= 1e-12
    assert abs(se[0] ** 2 - (covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])) <= 1e-12


@FEW
@given(samples(curves=1))
def test_the_auc_agrees_with_scikit_learn(sample):
    labels, scores = sample
    assert delong_components(labels, scores).auc[0] == pytest.approx(
        roc_auc_score(labels, scores[0]), abs=1e-12
    )


@FEW
@given(samples(curves=2))
def test_turning_a_pair_around_changes_signs_and_nothing_else(sample):
    labels, scores = sample
    forward, se_forward = delong_components(labels, scores).differences([(0, 1)])
    backward, se_backward = delong_components(labels, scores[::-1]).differences([(0, 1)])
    assert forward[0] == -backward[0]
    assert se_forward[0] == se_backward[0]


@FEW
@given(samples(curves=1), st.data())
def test_any_strictly_increasing_transform_changes_not_one_bit(sample, data):
    labels, scores = sample
    distinct = np.unique(scores)
    # Distinct values in ascending order, from all of float64: exactly the strictly increasing maps.
    images = data.draw(
        st.lists(
            st.floats(allow_nan=False, allow_infinity=False, width=64).filter(lambda x: x != 0),
            min_size=distinct.size,
            max_size=distinct.size,
            unique=True,
        )
    )
    transformed = np.sort(images)[np.searchsorted(distinct, scores)]
    before, after = delong_components(labels, scores), delong_components(labels, transformed)
    assert before.wins.tolist() == after.wins.tolist()
    assert before.factor.tobytes() == after.factor.tobytes()


@FEW
@given(samples(curves=1))
def test_exchanging_the_classes_and_negating_scores_gives_the_same_curve(sample):
    labels, scores = sample
    one, other = delong_components(labels, scores), delong_components(~labels, -scores)
    assert one.wins[0] == other.wins[0]
    assert one.se[0] == pytest.approx(other.se[0], abs=1e-15)


def test_scores_closer_than_float32_resolution_are_ranked_as_different():
    labels = np.array([0, 1, 0, 1]) == 1
    scores = 1 + np.arange(4) * 2.0**-40
    assert np.unique(scores.astype(np.float32)).size == 1
    assert delong_components(labels, scores[None]).auc[0] == 0.75


def test_ties_count_one_half():
    labels = np.array([0, 0, 1, 1]) == 1
    assert pairs_won(labels, np.array([[1.0, 2.0, 2.0, 3.0]])).tolist() == [[4, 3, 3, 4]]
    assert delong_components(labels, np.array([[1.0, 2.0, 2.0, 3.0]])).auc[0] == 0.875


def test_negative_zero_ties_with_zero():
    labels = np.array([0, 0, 1, 1]) == 1
    assert pairs_won(labels, np.array([[0.0, -0.0, -0.0, 0.0]])).tolist() == [[2, 2, 2, 2]]


def test_many_curves_at_once_give_what_one_at_a_time_gives():
    rng = np.random.default_rng(3)
    labels = np.arange(700) % 3 == 0
    scores = np.round(rng.normal(size=(2000, 700)), 2)  # more values than are ranked in one go
    together = pairs_won(labels, scores)
    for curve in (0, 999, 1497, 1498, 1999):
        assert together[curve].tolist() == pairs_won(labels, scores[curve : curve + 1])[0].tolist()


@pytest.mark.parametrize(
    ("scores", "auc"),
    [([0, 1, 2, 3, 4], 1.0), ([4, 3, 2, 1, 0], 0.0), ([7, 7, 7, 7, 7], 0.5)],
    ids=["separated", "separated the wrong way round", "constant"],
)
def test_degenerate_curves_have_a_variance_of_exactly_zero(scores, auc):
    labels = np.array([0, 0, 1, 1, 1]) == 1
    found = delong_components(labels, np.array([scores], dtype=float))
    assert found.auc[0] == auc
    assert found.se[0] == 0


def test_one_swapped_pair_among_thousands_still_has_a_variance():
    labels = np.arange(20_000) >= 10_000
    right = np.arange(20_000.0)
    swapped = right.copy()
    swapped[[9_999, 10_000]] = swapped[[10_000, 9_999]]
    difference, se = delong_components(labels, np.stack([right, swapped])).differences([(0, 1)])
    assert difference[0] == 1e-8
    # One positive and one negative are off by 1e-4: sum of squares 1e-8 (1 - 1e-4), over M (M - 1), twice.
    assert se[0] == pytest.approx(np.sqrt(2 * 1e-8 * (1 - 1e-4) / (10_000 * 9_999)), rel=1e-12)


@pytest.mark.parametrize("labels", [[1, 0, 0], [0, 1, 1]])
def test_one_image_of_a_class_is_refused_for_it_leaves_no_variance(labels):
    with pytest.raises(StatisticsError, match="at least two"):
        delong_components(np.array(labels) == 1, np.zeros((1, 3)))
