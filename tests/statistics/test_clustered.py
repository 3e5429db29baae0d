"""Obuchowski's clustered covariance: by hand, against the definition, against a bootstrap over patients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import auc, bootstrap_auc
from cxrbench.statistics.clustered import clustered_components, components, subset_components
from cxrbench.statistics.delong import delong_components
from cxrbench.statistics.inputs import Groups, as_groups

FEW = settings(max_examples=60)


@st.composite
def clustered_samples(draw):
    """Labels, three curves with ties, and patients of whom at least two have each class."""
    n = draw(st.integers(0, 40))
    labels = np.array([True, True, False, False, *draw(st.lists(st.booleans(), min_size=n, max_size=n))])
    patients = [0, 1, 0, 1, *draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))]
    rows = [
        draw(st.lists(st.integers(-5, 5) | st.floats(-2, 2), min_size=n + 4, max_size=n + 4))
        for _ in range(3)
    ]
    order = draw(st.permutations(range(n + 4)))
    return labels[order], np.array(rows, dtype=float)[:, order], np.array(patients)[order]


@FEW
@given(clustered_samples())
def test_every_number_agrees_with_the_plain_definition(plain, sample):
    labels, scores, patients = sample
    found = clustered_components(labels, scores, as_groups(patients, labels.size))
    aucs, covariance = plain(labels, scores, patients)
    assert np.abs(found.auc - aucs).max() <= 1e-12
    assert np.abs(found.covariance - covariance).max() <= 1e-12


def test_three_patients_with_one_image_of_each_class_by_hand():
    labels, scores, patients = [1, 1, 1, 0, 0, 0], [3, 2, 1, 2, 1, 0], ["p", "q", "r", "p", "q", "r"]
    # theta = 7/9; a + b = (-1, 2, -1) / 54; 3/2 times its sum of squares is 1/324.
    found = auc(labels, scores, patients)
    assert found.auc == 7 / 9
    assert found.se == pytest.approx(1 / 18, abs=1e-15)
    assert auc(labels, scores).se == pytest.approx(np.sqrt(0.35 / 8.1), abs=1e-15)


def test_one_image_a_patient_is_delong_and_says_so():
    rng = np.random.default_rng(5)
    labels = rng.random(80) < 0.4
    scores = rng.normal(size=(3, 80)) + labels
    plain_form = delong_components(labels, scores)
    clustered = clustered_components(labels, scores, as_groups(rng.permutation(80), 80))
    assert np.abs(clustered.covariance - plain_form.covariance).max() < 1e-17
    assert "small-sample factor is 1" in auc(labels, scores[0], np.arange(80)).note
    assert auc(labels, scores[0], np.arange(80) // 2).note is None


def test_a_score_that_is_a_function_of_the_patient_alone_has_no_variance():
    labels = np.tile([True, False], 7)
    patients = np.repeat(np.arange(7), 2)
    found = clustered_components(labels, np.sqrt(patients)[None], Groups(patients, 7))
    assert found.auc[0] == 0.5
    assert found.se[0] == 0


def test_neither_the_names_of_patients_nor_the_order_of_images_matter():
    rng = np.random.default_rng(6)
    labels, patients = rng.random(60) < 0.5, rng.integers(0, 20, 60)
    scores = rng.normal(size=60)
    named = [f"patient {p}" for p in patients]
    shuffled = rng.permutation(60)
    one = auc(labels, scores, named)
    other = auc(labels[shuffled], scores[shuffled], patients[shuffled])
    assert one.auc == other.auc
    assert one.se == pytest.approx(other.se, rel=1e-13)


def test_repeating_every_image_leaves_the_clustered_error_alone_and_halves_the_plain_variance():
    rng = np.random.default_rng(7)
    labels = rng.random(300) < 0.5
    scores = rng.normal(size=300) + labels
    once = auc(labels, scores)
    twice = auc(np.tile(labels, 2), np.tile(scores, 2), np.tile(np.arange(300), 2))
    assert twice.se == pytest.approx(once.se, rel=1e-12)
    assert auc(np.tile(labels, 2), np.tile(scores, 2)).se == pytest.approx(once.se / np.sqrt(2), rel=0.01)


def test_a_bootstrap_over_patients_agrees():
    rng = np.random.default_rng(8)
    patients = rng.integers(0, 150, 500)
    ill = rng.random(150) < 0.5
    labels = np.where(rng.random(500) < 0.15, ~ill[patients], ill[patients])
    effect = rng.normal(size=150)[patients]
    scores = {name: labels + effect + rng.normal(size=500) for name in ("a", "b")}
    closed = components(labels, np.stack(list(scores.values())), as_groups(patients, 500))
    drawn = bootstrap_auc(labels, scores, patients, rng=np.random.default_rng(9), resamples=2000)
    assert drawn.se("a") == pytest.approx(closed.se[0], rel=0.08)
    assert drawn.se_difference("a", "b") == pytest.approx(closed.differences([(0, 1)])[1][0], rel=0.08)
    # And the plain form is far off on these images.
    assert auc(labels, scores["a"]).se < 0.8 * drawn.se("a")


def test_subsets_that_share_patients_are_correlated_and_others_are_not():
    rng = np.random.default_rng(10)
    patients = np.repeat(np.arange(100), 2)
    labels = np.repeat(rng.random(100) < 0.5, 2)
    scores = (np.repeat(rng.normal(size=100), 2) + 0.1 * rng.normal(size=200) + labels)[None]
    first = np.tile([True, False], 100)
    groups = as_groups(patients, 200)
    one, other = (subset_components(labels, scores, groups, keep) for keep in (first, ~first))
    correlation = (one.factor @ other.factor.T)[0, 0] / (one.se[0] * other.se[0])
    assert correlation > 0.9
    one, other = (subset_components(labels, scores, None, keep) for keep in (first, ~first))
    assert (one.factor @ other.factor.T)[0, 0] == 0
    assert one.se[0] == pytest.approx(delong_components(labels[first], scores[:, first]).se[0], rel=1e-13)


@pytest.mark.parametrize(
    ("patients", "kind"), [(["p", "p", "q", "r"], "positive"), (["p", "q", "r", "r"], "negative")]
)
def test_one_patient_with_a_class_is_refused_for_it_leaves_no_variance(patients, kind):
    with pytest.raises(StatisticsError, match=f"only 1 patient with images of the {kind} class"):
        auc([1, 1, 0, 0], [4, 3, 2, 1], patients)
