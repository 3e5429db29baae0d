"""The bootstrap: reproducible, stratified, and right on average."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import auc, bootstrap_auc, compare


def _sample(n=300, seed=1):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.4
    return labels, {name: np.round(rng.normal(size=n) + labels, 1) for name in ("a", "b")}


def test_agrees_with_delong_on_independent_images():
    labels, scores = _sample()
    found = bootstrap_auc(labels, scores, rng=np.random.default_rng(2))
    assert found.aucs.shape == (2000, 2)
    assert found.aucs.mean(axis=0) == pytest.approx([auc(labels, s).auc for s in scores.values()], abs=0.003)
    assert found.se("a") == pytest.approx(auc(labels, scores["a"]).se, rel=0.08)
    assert found.se_difference("a", "b") == pytest.approx(compare(labels, *scores.values()).se, rel=0.08)
    low, high = found.interval("a")
    assert low == pytest.approx(auc(labels, scores["a"]).ci_low, abs=0.01)
    assert high == pytest.approx(auc(labels, scores["a"]).ci_high, abs=0.01)


def test_covariance_is_that_of_the_resamples():
    labels, scores = _sample()
    found = bootstrap_auc(labels, scores, rng=np.random.default_rng(2), resamples=50)
    assert found.covariance.shape == (2, 2)
    assert np.sqrt(found.covariance[1, 1]) == pytest.approx(found.se("b"))
    alone = bootstrap_auc(labels, {"a": scores["a"]}, rng=np.random.default_rng(2), resamples=50)
    assert alone.covariance.shape == (1, 1)


def test_the_same_generator_state_gives_the_same_resamples_and_another_gives_others():
    labels, scores = _sample()
    runs = [bootstrap_auc(labels, scores, rng=np.random.default_rng(s), resamples=20).aucs for s in (3, 3, 4)]
    assert runs[0].tolist() == runs[1].tolist()
    assert runs[0].tolist() != runs[2].tolist()


def test_identical_curves_get_identical_resamples():
    labels, scores = _sample()
    found = bootstrap_auc(
        labels, {"a": scores["a"], "copy": scores["a"]}, rng=np.random.default_rng(5), resamples=20
    )
    assert found.se_difference("a", "copy") == 0


def test_every_resample_holds_both_classes_however_rare_one_is():
    labels = np.array([True, True] + [False] * 200)
    found = bootstrap_auc(labels, {"a": np.arange(202.0)}, rng=np.random.default_rng(6), resamples=500)
    assert np.isfinite(found.aucs).all()


def test_patients_are_drawn_whole():
    # Every patient has one image of each class, in perfect order: whole patients can only give perfect order.
    labels = [0, 1] * 3
    scores = [0, 1, 0, 1, 0, 1]
    found = bootstrap_auc(
        labels, {"a": scores}, ["p", "p", "q", "q", "r", "r"], rng=np.random.default_rng(7), resamples=50
    )
    assert found.aucs.tolist() == [[1.0]] * 50


def test_large_samples_are_drawn_in_parts_with_the_same_result_in_shape():
    labels, scores = _sample(n=2000)
    found = bootstrap_auc(labels, scores, rng=np.random.default_rng(8), resamples=1100)
    assert found.aucs.shape == (1100, 2)
    assert found.se("a") == pytest.approx(auc(labels, scores["a"]).se, rel=0.1)


def test_one_resample_is_refused():
    with pytest.raises(StatisticsError, match="resamples: at least 2"):
        bootstrap_auc([0, 1], {"a": [1, 2]}, rng=np.random.default_rng(9), resamples=1)


def test_an_unknown_curve_is_refused():
    labels, scores = _sample()
    found = bootstrap_auc(labels, scores, rng=np.random.default_rng(2), resamples=2)
    with pytest.raises(StatisticsError, match="no curve 'c'; there are a, b"):
        found.se("c")


def test_an_auc_without_variance_has_no_percentile_interval():
    found = bootstrap_auc([1] * 5 + [0] * 5, {"a": [1] * 5 + [0] * 5}, rng=np.random.default_rng(0))
    with pytest.raises(StatisticsError, match="the AUC is 1 in every resample"):
        found.interval("a")
