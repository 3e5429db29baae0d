"""AUCs within subgroups: none is dropped, and the test between them knows of shared patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from cxrbench.errors import StatisticsError
from cxrbench.statistics import age_bands, auc, subgroup_aucs


def _sample(n=400, seed=1):
    rng = np.random.default_rng(seed)
    labels = rng.random(n) < 0.5
    return labels, rng.normal(size=n) + labels, rng


def test_each_subgroup_is_what_auc_gives_for_its_images():
    labels, scores, rng = _sample()
    views = np.where(rng.random(400) < 0.3, "AP", "PA")
    found = subgroup_aucs(labels, scores, views, by="view")
    assert (found.by, found.compared) == ("view", ("AP", "PA"))
    for row in found.subgroups:
        keep = views == row.name
        alone = auc(labels[keep], scores[keep])
        assert (row.auc, row.ci_low, row.ci_high) == (
            alone.auc,
            pytest.approx(alone.ci_low, rel=1e-13),
            pytest.approx(alone.ci_high, rel=1e-13),
        )
        assert (row.n_images, row.n_positive, row.n_patients) == (keep.sum(), labels[keep].sum(), None)
        assert row.note is None


def test_heterogeneity_of_two_subgroups_is_the_unpaired_test():
    labels, scores, rng = _sample()
    views = np.where(rng.random(400) < 0.3, "AP", "PA")
    ap, pa = subgroup_aucs(labels, scores, views).subgroups
    z = (ap.auc - pa.auc) / np.hypot(ap.se, pa.se)
    found = subgroup_aucs(labels, scores, views).heterogeneity
    assert found.df == 1
    assert found.chi2 == pytest.approx(z**2, rel=1e-12)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(z)))


def test_heterogeneity_is_found_where_it_is():
    labels, scores, rng = _sample()
    sites = rng.integers(0, 3, 400)
    spoiled = np.where(sites == 1, rng.normal(size=400), scores)
    assert subgroup_aucs(labels, scores, sites).heterogeneity.p_value > 0.05
    found = subgroup_aucs(labels, spoiled, sites).heterogeneity
    assert (found.df, found.p_value < 0.001) == (2, True)


def test_patients_with_images_in_two_subgroups_are_allowed_for():
    # Each patient has a PA and an AP image with nearly the same score: a small drop of AP is then well seen.
    rng = np.random.default_rng(2)
    ill = rng.random(300) < 0.5
    effect = rng.normal(size=300) + 1.2 * ill
    labels = np.tile(ill, 2)
    scores = np.concatenate([effect, effect - 0.3 * ill]) + 0.05 * rng.normal(size=600)
    views = np.repeat(["PA", "AP"], 300)
    patients = np.tile(np.arange(300), 2)
    assert subgroup_aucs(labels, scores, views).heterogeneity.p_value > 0.01
    assert subgroup_aucs(labels, scores, views, patients).heterogeneity.p_value < 1e-6


def test_subgroups_that_cannot_be_estimated_are_listed_with_the_reason():
    labels = np.array([1, 0] * 30 + [1] * 12 + [0] * 8 + [1, 0, 0])
    members = ["PA"] * 60 + ["AP"] * 12 + ["lateral"] * 8 + ["AP supine"] * 3
    found = subgroup_aucs(labels, np.arange(83.0), members)
    assert {row.name: row.note for row in found.subgroups} == {
        "AP": "not estimable: no negative images",
        "AP supine": "not estimable: 1 images of the positive class, at least 10 are needed",
        "PA": None,
        "lateral": "not estimable: no positive images",
    }
    assert [row.n_images for row in found.subgroups] == [12, 3, 60, 8]
    assert [row.auc is None for row in found.subgroups] == [True, True, False, True]
    assert (found.heterogeneity.chi2, found.heterogeneity.p_value) == (None, None)
    assert "1 of the subgroups could be estimated" in found.heterogeneity.note


def test_the_minimum_counts_patients_where_they_are_given():
    labels = np.array([1, 0] * 30)
    patients = np.arange(60) // 12
    found = subgroup_aucs(labels, np.arange(60.0), ["PA"] * 60, patients)
    assert found.subgroups[0].note == (
        "not estimable: 5 patients with images of the positive class, at least 10 are needed"
    )
    assert found.subgroups[0].n_patients == 5
    scores = np.random.default_rng(3).normal(size=60)
    assert subgroup_aucs(labels, scores, ["PA"] * 60, patients, minimum=5).subgroups[0].note is None


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_images_without_a_value_form_a_subgroup(missing):
    labels, scores, _ = _sample(n=40)
    found = subgroup_aucs(labels, scores, ["M"] * 20 + [missing] * 20, minimum=2)
    assert [row.name for row in found.subgroups] == ["M", "unknown"]
    assert [row.n_images for row in found.subgroups] == [20, 20]
    assert found.compared == ("M", "unknown")


def test_a_separated_subgroup_is_shown_and_left_out_of_the_test():
    labels, scores, _ = _sample(n=60)
    scores[:20] = 10 * labels[:20] + np.arange(20) / 100
    found = subgroup_aucs(labels, scores, ["a"] * 20 + ["b"] * 20 + ["c"] * 20, minimum=2)
    assert (found.subgroups[0].auc, found.subgroups[0].se) == (1.0, 0.0)
    assert found.subgroups[0].ci_low < 0.9
    assert "left out of the heterogeneity test" in found.subgroups[0].note
    assert found.compared == ("b", "c")
    assert found.heterogeneity.df == 1


def test_age_bands():
    found = age_bands([17.9, 18, 39, 40, 59.5, 60, 79, 80, 101, float("nan"), 0])
    assert found.tolist()[:9] == ["<18", "18-39", "18-39", "40-59", "40-59", "60-79", "60-79", "80+", "80+"]
    assert pd.isna(found[9])
    assert found[10] == "<18"
    assert found.cat.categories.tolist() == ["<18", "18-39", "40-59", "60-79", "80+"]


def test_age_bands_read_text_as_a_file_holds_it():
    assert age_bands(["077", "5", "", None]).tolist()[:2] == ["60-79", "<18"]
    assert age_bands(["077", "5", "", None]).isna().tolist() == [False, False, True, True]


def test_age_bands_keep_their_order_and_show_empty_bands():
    labels, scores, rng = _sample()
    ages = rng.uniform(0, 75, 400)
    ages[:40] = np.nan
    found = subgroup_aucs(labels, scores, age_bands(ages), by="age")
    assert [row.name for row in found.subgroups] == ["<18", "18-39", "40-59", "60-79", "80+", "unknown"]
    assert found.subgroups[4].note == "not estimable: no images"
    assert found.heterogeneity.df == 4


@pytest.mark.parametrize(
    ("ages", "message"),
    [
        ([30, -1, 5], "found -1.0 in row 1|found -1 in row 1"),
        ([30, np.inf], "row 1"),
        (["030", "058Y"], "found 058Y in row 1"),
    ],
)
def test_an_age_that_is_none_is_refused(ages, message):
    with pytest.raises(StatisticsError, match=message):
        age_bands(ages)


@pytest.mark.parametrize("edges", [(), (40, 20), (20, 20)])
def test_edges_must_ascend(edges):
    with pytest.raises(StatisticsError, match="edges: must ascend"):
        age_bands([30], edges)


def test_bad_calls_are_refused():
    with pytest.raises(StatisticsError, match="minimum: a standard error needs at least 2"):
        subgroup_aucs([0, 1], [0, 1], ["a", "b"], minimum=1)
    with pytest.raises(StatisticsError, match="subgroups: 1 values for 2 labels"):
        subgroup_aucs([0, 1], [0, 1], ["a"])


@pytest.mark.parametrize("edges", [[float("nan")], [1.0, float("nan")], [], [2.0, 1.0]])
def test_edges_that_do_not_ascend_are_refused(edges):
    with pytest.raises(StatisticsError, match="edges: must ascend"):
        age_bands([1.0, 2.0], edges)
