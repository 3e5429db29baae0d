"""What is refused, and that the rows are named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from cxrbench.errors import CxrbenchError, StatisticsError
from cxrbench.statistics import auc, compare, compare_all
from cxrbench.statistics.inputs import as_groups, as_labels, as_probabilities, as_scores, name_rows

LABELS = [0, 1, 0, 1, 1]
SCORES = [0.1, 0.4, 0.3, 0.9, 0.2]


@pytest.mark.parametrize(
    ("labels", "scores", "groups", "message"),
    [
        ([0, 1, 2, 1, 2], SCORES, None, "labels: must be 0 or 1, found 2 in rows 2, 4"),
        ([0, 1, np.nan, 1, 1], SCORES, None, "labels: must be 0 or 1, found nan in row 2"),
        ([0, 1, 0.5, 1, 1], SCORES, None, "labels: must be 0 or 1, found 0.5 in row 2"),
        ([0, -1, 0, 1, 1], SCORES, None, "labels: must be 0 or 1, found -1 in row 1"),
        (["no", "yes", "no", "yes", "yes"], SCORES, None, "labels: not a number in rows 0, 1, 2 and 2 more"),
        (["0", "1", "maybe", "1", "1"], SCORES, None, "labels: not a number in row 2"),
        ([1] * 5, SCORES, None, "all 5 images are positive (rows 0 to 4), none is negative"),
        ([0] * 5, SCORES, None, "all 5 images are negative (rows 0 to 4), none is positive"),
        ([], [], None, "labels: empty"),
        ([LABELS], SCORES, None, "labels: must be one-dimensional"),
        (LABELS, [0.1, np.nan, 0.3, np.nan, 0.2], None, "'scores': must be finite, found nan in rows 1, 3"),
        (LABELS, [0.1, 0.4, np.inf, 0.9, 0.2], None, "'scores': must be finite, found inf in row 2"),
        (LABELS, [0.1, 0.4, -np.inf, 0.9, 0.2], None, "'scores': must be finite, found -inf in row 2"),
        (LABELS, [0.1, None, 0.3, 0.9, 0.2], None, "row 1"),
        (LABELS, SCORES[:4], None, "'scores': 4 values for 5 labels"),
        (LABELS, [1j] * 5, None, "complex numbers cannot be ranked"),
        (LABELS, [SCORES], None, "'scores': must be one-dimensional"),
        (LABELS, SCORES, ["p", "q", None, "r", ""], "groups: no patient in rows 2, 4"),
        (LABELS, SCORES, ["p", "q"], "groups: 2 values for 5 labels"),
        (LABELS, SCORES, np.zeros((5, 2)), "groups: must be one-dimensional"),
    ],
)
def test_bad_input_is_refused_with_the_rows(labels, scores, groups, message):
    with pytest.raises(StatisticsError) as caught:
        auc(labels, scores, groups)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_refusal_names_the_curve():
    with pytest.raises(StatisticsError, match="scores of 'second': must be finite, found nan in row 0"):
        compare_all(LABELS, {"first": SCORES, "second": [np.nan, 1, 2, 3, 4]})
    with pytest.raises(StatisticsError, match="scores of 'b': 4 values for 5 labels"):
        compare(LABELS, SCORES, SCORES[:4])


def test_no_curve_is_refused():
    with pytest.raises(StatisticsError, match="no curve given"):
        compare_all(LABELS, {})


def test_errors_can_be_caught_as_value_errors_and_as_the_package_s_own():
    assert issubclass(StatisticsError, ValueError)
    assert issubclass(StatisticsError, CxrbenchError)


@pytest.mark.parametrize(
    "scores",
    [
        np.array([2**53, 2**53 + 1, 0, 1, 2]),
        np.array([2**63, 2**64 - 1, 0, 1, 2], dtype=np.uint64),
        np.array([2**63 - 1, 5, 0, 1, 2]),
    ],
)
def test_integers_that_float64_would_merge_are_refused(scores):
    with pytest.raises(StatisticsError, match=r"float64 cannot hold the value exactly in row [01]"):
        as_scores(scores)


def test_long_doubles_are_ranked_as_different_or_refused():
    one = np.longdouble(1)
    scores = np.array([one, np.nextafter(one, np.longdouble(2)), 2], dtype=np.longdouble)
    # Where long double is wider than double (x86) the first two would become one score.
    if scores.astype(np.float64)[0] == scores.astype(np.float64)[1]:
        with pytest.raises(StatisticsError, match="float64 cannot hold the value exactly in row 1"):
            as_scores(scores)
    else:
        assert np.unique(as_scores(scores)).size == 3


@pytest.mark.parametrize(
    "labels",
    [
        np.array(LABELS, dtype=np.int8),
        np.array(LABELS, dtype=np.bool_),
        np.array(LABELS, dtype=np.float32),
        pd.Series(LABELS, index=list("abcde")),
        tuple(LABELS),
    ],
    ids=["int8", "bool", "float32", "series", "tuple"],
)
def test_labels_of_any_numeric_type_are_taken(labels):
    assert as_labels(labels).tolist() == [False, True, False, True, True]


def test_half_precision_scores_are_taken_as_they_are():
    assert as_scores(np.array([0.1, 0.2], dtype=np.float16)).tolist() == [0.0999755859375, 0.199951171875]


@pytest.mark.parametrize(
    "groups",
    [
        ["p", "q", "p", "r", "q"],
        np.array([7, 3, 7, 9, 3]),
        pd.Series(["p", "q", "p", "r", "q"], index=[5, 4, 3, 2, 1]),
        pd.Categorical(["p", "q", "p", "r", "q"]),
    ],
    ids=["list", "integers", "series", "categorical"],
)
def test_patients_of_any_kind_are_numbered(groups):
    found = as_groups(groups, 5)
    assert found.codes.tolist() == [0, 1, 0, 2, 1]
    assert found.n_groups == 3
    assert not found.singletons


def test_logits_are_no_probabilities():
    with pytest.raises(StatisticsError, match=r"found -0\.5 in rows 0, 2; turn logits into probabilities"):
        as_probabilities([-0.5, 0.5, 1.5])


def test_many_rows_are_named_by_the_first_three():
    assert name_rows([4]) == "row 4"
    assert name_rows([4, 5, 6]) == "rows 4, 5, 6"
    assert name_rows(range(10), "image") == "images 0, 1, 2 and 7 more"


@pytest.mark.parametrize("text", ["0_9", "٣", "１", "0x10", "", "None"])
def test_text_that_only_python_reads_as_a_number_is_refused(text):
    with pytest.raises(StatisticsError, match="scores: not a number in row 1"):
        as_scores(["0.5", text])


def test_text_that_is_a_number_is_read():
    assert as_scores(["0.5", " 1e-3", "+2", ".25"]).tolist() == [0.5, 0.001, 2.0, 0.25]


@pytest.mark.parametrize("values", [np.array(["2020-01-01"], "datetime64[D]"), [b"1"], [None], [[1]]])
def test_dates_bytes_and_objects_are_no_numbers(values):
    with pytest.raises(StatisticsError):
        as_scores(values)


def test_percentages_and_logits_are_distinguished():
    with pytest.raises(StatisticsError, match="found 90 in image b; divide percentages by 100"):
        as_probabilities([0.5, 90], images=["a", "b"])
    with pytest.raises(StatisticsError, match="found -3 in rows 0, 1; turn logits into probabilities"):
        as_probabilities([-3, 90])


def test_blanks_around_a_name_can_be_seen():
    assert name_rows(["a ", "b"], "image") == "images 'a ', b"


def test_masked_values_are_refused():
    values = np.ma.array([0.1, 0.2, 0.3], mask=[False, True, False])
    with pytest.raises(StatisticsError, match="masked, so no value, in row 1"):
        as_scores(values)
    assert as_scores(np.ma.array([0.1, 0.2])).tolist() == [0.1, 0.2]


def test_patients_are_all_text_or_all_numbers_and_not_blank():
    with pytest.raises(StatisticsError, match="text in some rows and none in row 0"):
        as_groups([1, "1", "p"], 3)
    with pytest.raises(StatisticsError, match="no patient in row 1"):
        as_groups(["a", " ", "p"], 3)
