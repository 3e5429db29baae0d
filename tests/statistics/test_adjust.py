"""Adjustment for several comparisons, on numbers worked out by hand."""

from __future__ import annotations

import pytest

from cxrbench.errors import StatisticsError
from cxrbench.statistics import adjust_p_values, compare_all


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("holm", [0.04, 0.06, 0.06, 0.5]),
        ("bonferroni", [0.04, 0.08, 0.12, 1.0]),
        ("fdr_bh", [0.04, 0.04, 0.04, 0.5]),
        ("none", [0.01, 0.02, 0.03, 0.5]),
    ],
)
def test_each_method_by_hand(method, expected):
    assert adjust_p_values([0.01, 0.02, 0.03, 0.5], method) == pytest.approx(expected)


def test_the_order_given_is_the_order_returned():
    assert adjust_p_values([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])


@pytest.mark.parametrize("method", ["holm", "bonferroni", "fdr_bh", "none"])
def test_p_exactly_one_stays_exactly_one(method):
    assert adjust_p_values([1.0, 1.0, 1.0], method) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("method", ["holm", "bonferroni", "fdr_bh", "none"])
def test_one_or_no_comparison_needs_no_adjustment(method):
    assert adjust_p_values([0.03], method) == [0.03]
    assert adjust_p_values([], method) == []


def test_an_unknown_method_is_refused_even_where_nothing_is_adjusted():
    with pytest.raises(StatisticsError, match="adjust: must be one of holm, bonferroni, fdr_bh, none"):
        compare_all([0, 0, 1, 1], {"a": [1, 2, 3, 4]}, adjust="sidak")


@pytest.mark.parametrize("wrong", [float("nan"), 2.0, -0.1])
@pytest.mark.parametrize("method", ["holm", "none"])
def test_what_is_no_p_value_is_refused(wrong, method):
    with pytest.raises(StatisticsError, match="p_values: must lie between 0 and 1"):
        adjust_p_values([0.01, wrong, 0.03], method)
