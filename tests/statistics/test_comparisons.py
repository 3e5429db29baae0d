"""Paired, unpaired and joint tests: the published numbers, and the traps that others have fallen into."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from cxrbench.errors import StatisticsError
from cxrbench.statistics import auc, compare, compare_all, compare_unpaired

CURVES = ("albumin", "total_protein", "ten_minus_kg")


@pytest.fixture
def three(ovarian):
    return {name: ovarian[name].to_numpy() for name in CURVES}


def test_ovarian_omnibus_is_that_of_the_paper(ovarian, three):
    found = compare_all(ovarian["y"], three).omnibus
    assert round(found.chi2, 6) == 2.533978
    assert found.df == 2
    assert round(found.p_value, 6) == 0.281678
    assert found.note is None


def test_ovarian_pairs_are_those_of_the_paper(ovarian, three):
    pairs = {(pair.a, pair.b): pair for pair in compare_all(ovarian["y"], three).pairs}
    assert round(pairs["albumin", "ten_minus_kg"].p_value, 5) == 0.91021
    assert round(pairs["total_protein", "ten_minus_kg"].p_value, 5) == 0.45614


def test_pairs_come_in_the_order_of_the_curves_with_holm_over_all(ovarian, three):
    found = compare_all(ovarian["y"], three)
    assert [(pair.a, pair.b) for pair in found.pairs] == [
        ("albumin", "total_protein"),
        ("albumin", "ten_minus_kg"),
        ("total_protein", "ten_minus_kg"),
    ]
    p = [pair.p_value for pair in found.pairs]
    assert [pair.p_adjusted for pair in found.pairs] == pytest.approx([3 * p[0], 2 * p[2], 2 * p[2]])
    assert found.adjust == "holm"


def test_counts(ovarian, three):
    found = compare_all(ovarian["y"], three)
    assert (found.n_images, found.n_positive, found.n_patients, found.clustered) == (43, 31, None, False)
    grouped = compare_all(ovarian["y"], three, np.arange(43) // 2)
    assert (grouped.n_images, grouped.n_positive, grouped.n_patients, grouped.clustered) == (43, 31, 22, True)


def test_one_function_for_two_curves_gives_what_all_at_once_gives(ovarian, three):
    whole = compare_all(ovarian["y"], three, adjust="none").pairs[1]
    alone = compare(ovarian["y"], three["albumin"], three["ten_minus_kg"], names=("albumin", "ten_minus_kg"))
    assert alone == whole


def test_single_curves_of_a_comparison_are_those_of_auc(ovarian, three):
    for curve in compare_all(ovarian["y"], three).curves:
        assert curve == auc(ovarian["y"], three[curve.name], name=curve.name)


@pytest.mark.parametrize("groups", [None, np.arange(43) // 3], ids=["independent", "clustered"])
def test_a_curve_against_itself_has_p_exactly_one(ovarian, groups):
    found = compare(ovarian["y"], ovarian["albumin"], ovarian["albumin"], groups, margin=0.02)
    assert (found.difference, found.se, found.z) == (0.0, 0.0, 0.0)
    assert (found.ci_low, found.ci_high) == (0.0, 0.0)
    assert found.p_value == 1.0
    assert found.p_adjusted == 1.0
    assert found.noninferiority.holds
    assert not found.superiority.holds
    assert found.superiority.p_value == 1.0
    assert "rank every image alike" in found.note


def test_a_curve_against_an_increasing_transform_of_itself_has_p_exactly_one(ovarian):
    found = compare(ovarian["y"], ovarian["albumin"], np.exp(ovarian["albumin"]))
    assert (found.difference, found.p_value) == (0.0, 1.0)
    assert "rank every image alike" in found.note


def test_omnibus_of_identical_curves(ovarian):
    found = compare_all(ovarian["y"], dict.fromkeys("abc", ovarian["albumin"])).omnibus
    assert (found.chi2, found.df, found.p_value) == (0.0, 0, 1.0)
    assert found.note == "of 2 differences 0 vary independently: some curves rank alike"


@pytest.mark.parametrize("copies", [("albumin",), ("ten_minus_kg",), ("total_protein", "albumin", "albumin")])
def test_copies_of_a_curve_change_nothing_in_the_omnibus(ovarian, three, copies):
    with_copies = three | {f"copy {i}": three[name] * 2 + 1 for i, name in enumerate(copies)}
    found = compare_all(ovarian["y"], with_copies).omnibus
    assert found.df == 2
    assert found.chi2 == pytest.approx(2.533978, abs=1e-6)
    assert found.p_value == pytest.approx(0.281678, abs=1e-6)
    assert "2 vary independently" in found.note


def test_the_order_of_the_curves_does_not_change_the_omnibus(ovarian, three):
    chi2 = [
        compare_all(ovarian["y"], {name: three[name] for name in order}).omnibus.chi2
        for order in (CURVES, CURVES[::-1], (CURVES[1], CURVES[2], CURVES[0]))
    ]
    assert chi2 == pytest.approx([chi2[0]] * 3, rel=1e-12)


def test_omnibus_of_two_curves_is_the_square_of_z(ovarian, three):
    found = compare_all(ovarian["y"], {name: three[name] for name in CURVES[:2]})
    assert found.omnibus.chi2 == pytest.approx(found.pairs[0].z ** 2, rel=1e-12)
    assert found.omnibus.p_value == pytest.approx(found.pairs[0].p_value, rel=1e-9)


def test_one_curve_has_no_pairs_and_no_omnibus(ovarian):
    found = compare_all(ovarian["y"], {"albumin": ovarian["albumin"]})
    assert (len(found.curves), found.pairs, found.omnibus) == (1, (), None)


@settings(max_examples=60)
@given(st.integers(0, 10**9), st.booleans())
def test_a_against_b_is_the_exact_negative_of_b_against_a(seed, clustered):
    rng = np.random.default_rng(seed)
    labels = np.array([0, 1] * 20)
    a, b = np.round(rng.normal(size=(2, 40)) + labels, 1)
    groups = rng.integers(0, 15, 40) if clustered else None
    forward = compare(labels, a, b, groups)
    backward = compare(labels, b, a, groups)
    assert forward.difference == -backward.difference
    assert forward.z == -backward.z
    assert forward.se == backward.se
    assert forward.p_value == backward.p_value
    assert (forward.ci_low, forward.ci_high) == pytest.approx(
        (-backward.ci_high, -backward.ci_low), abs=1e-13
    )


def test_margin_tests_are_one_sided_and_named(ovarian, three):
    found = compare(ovarian["y"], three["albumin"], three["total_protein"], margin=0.05)
    assert found.noninferiority.hypothesis == "noninferiority"
    assert found.superiority.hypothesis == "superiority"
    assert found.noninferiority.z == (found.difference + 0.05) / found.se
    assert found.superiority.z == (found.difference - 0.05) / found.se
    assert found.p_value == pytest.approx(2 * norm.sf(found.difference / found.se))


def test_wald_margin_tests_are_those_of_other_programs(ovarian, three):
    found = compare(ovarian["y"], three["albumin"], three["total_protein"], margin=0.05, interval="wald")
    assert found.noninferiority.p_value == pytest.approx(norm.sf((found.difference + 0.05) / found.se))
    assert found.superiority.p_value == pytest.approx(norm.sf((found.difference - 0.05) / found.se))
    assert found.ci_low == pytest.approx(found.difference - 1.959964 * found.se, abs=1e-7)
    assert found.ci_high == pytest.approx(found.difference + 1.959964 * found.se, abs=1e-7)


@pytest.mark.parametrize("groups", [None, np.arange(43) // 2], ids=["independent", "clustered"])
@pytest.mark.parametrize("margin", [0.02, 0.1, 0.15])
def test_margin_p_values_are_those_tails_at_which_the_limit_reaches_the_margin(
    ovarian, three, groups, margin
):
    curves = three["albumin"], three["total_protein"]
    for test, sign in (("noninferiority", -1), ("superiority", 1)):
        p = getattr(compare(ovarian["y"], *curves, groups, margin=margin), test).p_value
        assert 0 < p < 1
        tail = min(p, 1 - p)
        end = compare(ovarian["y"], *curves, groups, level=1 - 2 * tail)
        assert (end.ci_low if p < 0.5 else end.ci_high) == pytest.approx(sign * margin, abs=1e-9)


@settings(max_examples=30)
@given(st.integers(0, 10**9), st.integers(2, 12), st.integers(2, 40), st.floats(0, 4))
def test_an_interval_holds_its_difference_and_grows_with_its_level(seed, positives, negatives, shift):
    rng = np.random.default_rng(seed)
    labels = np.arange(positives + negatives) < positives
    a, b = np.round(rng.normal(size=(2, labels.size)) + shift * labels, 1)
    narrow, wide = (compare(labels, a, b, level=level) for level in (0.8, 0.99))
    assert -1 <= wide.ci_low <= narrow.ci_low <= narrow.difference
    assert narrow.difference <= narrow.ci_high <= wide.ci_high <= 1


def test_limits_of_a_difference_are_those_of_large_samples_in_large_samples():
    rng = np.random.default_rng(8)
    labels = np.arange(20_000) % 2 == 0
    shared = rng.normal(size=20_000)
    a, b = shared + rng.normal(size=(2, 20_000)) + labels
    found, wald = (compare(labels, a, b, interval=kind) for kind in ("newcombe", "wald"))
    assert (found.ci_low, found.ci_high) == pytest.approx((wald.ci_low, wald.ci_high), abs=2e-4)


@pytest.mark.parametrize("margin", [0.0, 0.01, 0.02, 0.021, 0.05, 0.3])
def test_noninferiority_holds_exactly_where_the_interval_lies_above_minus_the_margin(ovarian, three, margin):
    found = compare(ovarian["y"], three["albumin"], three["total_protein"], margin=margin)
    assert found.noninferiority.holds == (found.ci_low > -margin)
    assert found.superiority.holds == (found.ci_low > margin)


def test_margin_tests_are_adjusted_over_the_pairs(ovarian, three):
    found = compare_all(ovarian["y"], three, adjust="bonferroni", margin=0.02)
    for pair in found.pairs:
        assert pair.noninferiority.p_adjusted == pytest.approx(min(1, 3 * pair.noninferiority.p_value))
        assert pair.superiority.p_adjusted == pytest.approx(min(1, 3 * pair.superiority.p_value))


def test_without_a_margin_there_are_no_margin_tests(ovarian, three):
    found = compare(ovarian["y"], three["albumin"], three["total_protein"])
    assert found.noninferiority is None
    assert found.superiority is None


@pytest.mark.parametrize("margin", [-0.01, 1.0, float("nan")])
def test_a_margin_that_is_none_is_refused(margin):
    with pytest.raises(StatisticsError, match="margin: must be an AUC difference from 0 to below 1"):
        compare([0, 0, 1, 1], [1, 3, 2, 4], [1, 2, 3, 4], margin=margin)


def test_two_curves_of_one_name_are_refused():
    with pytest.raises(StatisticsError, match="need different names, not 'x' twice"):
        compare([0, 0, 1, 1], [1, 3, 2, 4], [1, 2, 3, 4], names=("x", "x"))


def test_a_perfect_curve_against_its_reverse_has_a_small_p_and_no_false_certainty():
    labels = [0] * 20 + [1] * 20
    found = compare(labels, range(40), range(40, 0, -1), margin=0.1)
    assert (found.difference, found.se, found.z) == (1.0, 0.0, None)
    # At most 1/2 of the pairs can favour a under the null: 2 * (1/2)^20.
    assert found.p_value == pytest.approx(2 * 0.5**20, rel=1e-12)
    assert (found.ci_low, found.ci_high) == (pytest.approx(2 * 0.025**0.05 - 1), 1.0)
    assert found.noninferiority.p_value == pytest.approx(0.45**20, rel=1e-9)
    assert found.superiority.p_value == pytest.approx(0.55**20, rel=1e-9)
    assert "has no variance on these images" in found.note


def test_two_perfect_curves_are_not_taken_for_the_same_curve():
    labels = [0] * 20 + [1] * 20
    other = [*range(20, 0, -1), *range(40, 20, -1)]
    found = compare(labels, range(40), other, margin=0.2)
    assert (found.difference, found.p_value, found.z) == (0.0, 1.0, 0.0)
    # The two agreed on 20 pairs of different images: they may differ on up to 1 - 0.025^(1/20) of others.
    assert found.ci_high == pytest.approx(1 - 0.025 ** (1 / 20))
    assert found.ci_low == -found.ci_high
    assert found.noninferiority.p_value == pytest.approx(0.8**20)
    assert found.superiority.p_value == 1.0


def test_omnibus_does_not_exist_where_aucs_differ_without_variance():
    labels = [0] * 5 + [1] * 5
    found = compare_all(labels, {"right": range(10), "wrong": range(10, 0, -1)}).omnibus
    assert (found.chi2, found.df, found.p_value) == (None, 0, None)
    assert "no variance" in found.note
    mixed = compare_all(
        labels, {"noise": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3], "right": range(10), "wrong": range(10, 0, -1)}
    ).omnibus
    assert (mixed.chi2, mixed.p_value) == (None, None)


@pytest.mark.parametrize("clustered", [False, True])
def test_json_never_holds_nan_and_keeps_every_digit(clustered):
    labels = [0] * 6 + [1] * 6
    curves = {
        "right": range(12),
        "wrong": range(12, 0, -1),
        "constant": [1] * 12,
        "noise": [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8],
    }
    found = compare_all(labels, curves, [*range(6), *range(6)] if clustered else None, margin=0.1)
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["curves"][3]["se"] == found.curves[3].se
    assert set(back["curves"][0]) == {"name", "auc", "se", "ci_low", "ci_high", "note"}
    assert {"a", "b", "difference", "se", "ci_low", "ci_high", "z", "p_value", "p_adjusted"} <= set(
        back["pairs"][0]
    )
    assert {"curves", "pairs", "omnibus", "n_images", "n_positive", "n_patients"} <= set(back)


def test_records_are_frozen(ovarian, three):
    found = compare_all(ovarian["y"], three)
    for record in (found, found.curves[0], found.pairs[0], found.omnibus):
        with pytest.raises(dataclasses.FrozenInstanceError):
            record.note = "changed"


def test_numbers_are_plain_python_numbers(ovarian, three):
    pair = compare(ovarian["y"], three["albumin"], three["total_protein"], margin=0.1)
    numbers = [pair.difference, pair.se, pair.ci_low, pair.ci_high, pair.z, pair.p_value, pair.p_adjusted]
    assert {type(number) for number in numbers} == {float}
    assert type(pair.noninferiority.holds) is bool


def test_unpaired_variances_add(ovarian):
    first, second = ovarian.iloc[:30], ovarian.iloc[20:]
    found = compare_unpaired(first["y"], first["albumin"], second["y"], second["albumin"], margin=0.1)
    one, other = auc(first["y"], first["albumin"]), auc(second["y"], second["albumin"])
    assert found.difference == one.auc - other.auc
    assert found.se == pytest.approx(np.hypot(one.se, other.se), rel=1e-13)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.difference) / found.se))
    assert found.noninferiority.z == (found.difference + 0.1) / found.se


def test_unpaired_with_patients_in_both_samples_takes_off_their_covariance():
    rng = np.random.default_rng(12)
    ill = rng.random(200) < 0.5
    effect = rng.normal(size=200)
    first, second = effect + ill + 0.2 * rng.normal(size=(2, 200))
    patients = np.arange(200)
    shared = compare_unpaired(ill, first, ill, second, patients, patients)
    apart = compare_unpaired(ill, first, ill, second, patients, patients + 200)
    paired = compare(ill, first, second)
    assert apart.se > 3 * shared.se
    assert shared.se == pytest.approx(paired.se, rel=0.02)
    assert apart.se == pytest.approx(compare_unpaired(ill, first, ill, second).se, rel=1e-12)


def test_unpaired_perfect_samples_leave_a_wide_interval():
    found = compare_unpaired([0, 0, 1, 1], [1, 2, 3, 4], [0, 0, 0, 1, 1, 1], range(6))
    assert (found.difference, found.se, found.p_value) == (0.0, 0.0, 1.0)
    assert found.ci_high == pytest.approx(1 - 0.025**0.5)


def test_unpaired_with_patients_of_one_sample_only_is_refused():
    with pytest.raises(StatisticsError, match="patients of both samples or of neither"):
        compare_unpaired([0, 0, 1, 1], [1, 2, 3, 4], [0, 0, 1, 1], [1, 2, 3, 4], groups_a=[1, 2, 3, 4])


def test_unpaired_refuses_missing_patients_and_names_the_sample():
    with pytest.raises(StatisticsError, match="groups of 'new': no patient in row 1"):
        compare_unpaired(
            [0, 0, 1, 1],
            [1, 2, 3, 4],
            [0, 0, 1, 1],
            [1, 2, 3, 4],
            [1, None, 2, 3],
            [1, 2, 3, 4],
            names=("new", "old"),
        )


def test_a_p_value_too_small_for_a_float_has_a_logarithm():
    rng = np.random.default_rng(3)
    labels = np.arange(6000) < 3000
    found = compare(labels, rng.normal(size=6000) + 3 * labels, rng.normal(size=6000))
    assert found.p_value == 0.0
    assert found.log10_p_value == pytest.approx((np.log(2) + norm.logsf(abs(found.z))) / np.log(10))
    # Without a variance, by Hoeffding's inequality: 2 exp(-1200 ln 2), from as many pairs.
    certain = compare(np.arange(2400) < 1200, np.arange(2400) < 1200, np.arange(2400) >= 1200)
    assert certain.p_value == 0.0
    assert certain.log10_p_value == pytest.approx((1 - 1200) * np.log10(2))
    usual = compare([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [2, 1, 5, 3, 4, 6])
    assert usual.log10_p_value == pytest.approx(np.log10(usual.p_value))
