"""Several seeds on one test sample: the two variances are separated."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import across_seeds, auc, compare


def test_equal_seeds_leave_only_the_variance_of_the_test_sample(ovarian):
    found = across_seeds(ovarian["y"], {"1": ovarian["albumin"], "2": ovarian["albumin"] * 2})
    alone = auc(ovarian["y"], ovarian["albumin"])
    assert found.aucs == (("1", alone.auc), ("2", alone.auc))
    assert (found.mean, found.sd_between_seeds, found.var_seeds) == (alone.auc, 0.0, 0.0)
    assert found.se == pytest.approx(alone.se, rel=1e-14)
    assert found.var_sample == pytest.approx(alone.se**2, rel=1e-13)
    # The very limits that a paired comparison takes for this curve.
    pair = compare(ovarian["y"], ovarian["albumin"], ovarian["total_protein"])
    assert found.ci_low < pair.ci_low + auc(ovarian["y"], ovarian["total_protein"]).auc
    assert found.ci_low < alone.auc - 1.96 * alone.se < alone.auc < found.ci_high < 1


def test_the_parts_by_their_definitions(ovarian, plain):
    names = ["albumin", "total_protein", "ten_minus_kg"]
    curves = ovarian[names].to_numpy(dtype=float).T
    found = across_seeds(ovarian["y"], dict(zip(names, curves, strict=True)))
    aucs, covariance = plain(ovarian["y"], curves)
    assert found.mean == pytest.approx(aucs.mean())
    assert found.sd_between_seeds == pytest.approx(aucs.std(ddof=1))
    assert found.var_sample == pytest.approx(covariance.mean())
    off = covariance[~np.eye(3, dtype=bool)].mean()
    expected = max(0, aucs.var(ddof=1) - (np.diag(covariance).mean() - off))
    assert found.var_seeds == pytest.approx(expected, abs=1e-15)
    assert found.se == pytest.approx(np.sqrt(covariance.mean() + expected / 3))


def test_seeds_that_differ_more_than_the_sample_explains_have_a_variance_of_their_own():
    rng = np.random.default_rng(1)
    labels = np.arange(2000) < 1000
    shared = rng.normal(size=2000)
    seeds = {
        str(s): shared + 0.1 * rng.normal(size=2000) + strength * labels
        for s, strength in enumerate((0.6, 1.0, 1.4))
    }
    found = across_seeds(labels, seeds)
    assert found.var_seeds == pytest.approx(found.sd_between_seeds**2, rel=0.05)
    assert found.se**2 == pytest.approx(found.var_sample + found.var_seeds / 3)
    # Two degrees of freedom: far wider than a normal interval.
    assert found.ci_high - found.mean > 3 * found.se


def test_the_standard_error_is_that_of_new_seeds_on_new_patients():
    rng = np.random.default_rng(2)
    labels = np.arange(160) < 80
    means, variances, naive = [], [], []
    for _ in range(400):
        shared = rng.normal(size=160)
        strengths = 1.3 + 0.35 * rng.normal(size=4)
        seeds = {str(s): shared + rng.normal(size=160) + strengths[s] * labels for s in range(4)}
        found = across_seeds(labels, seeds)
        means.append(found.mean)
        variances.append(found.se**2)
        naive.append(found.sd_between_seeds**2 / 4)
    assert np.mean(variances) == pytest.approx(np.var(means, ddof=1), rel=0.15)
    # The spread over seeds alone, which is what tables usually show, misses most of it.
    assert np.mean(naive) < 0.6 * np.var(means, ddof=1)


def test_patients_are_allowed_for(ovarian):
    patients = np.arange(43) // 2
    seeds = {"1": ovarian["albumin"], "2": ovarian["albumin"] + 1}
    assert across_seeds(ovarian["y"], seeds, patients).se == pytest.approx(
        auc(ovarian["y"], ovarian["albumin"], patients).se, rel=1e-13
    )


def test_perfect_seeds_do_not_claim_certainty():
    found = across_seeds([0] * 10 + [1] * 10, {"1": range(20), "2": range(20)})
    assert (found.mean, found.se, found.ci_high) == (1.0, 0.0, 1.0)
    assert found.ci_low == pytest.approx(0.025**0.1)


def test_one_seed_is_refused(ovarian):
    with pytest.raises(StatisticsError, match="at least two seeds"):
        across_seeds(ovarian["y"], {"1": ovarian["albumin"]})
