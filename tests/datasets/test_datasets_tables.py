"""Fields that every data set spells its own way."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.datasets.folder import Selection
from cxrbench.datasets.tables import ages, read_table, sexes, views
from cxrbench.errors import DatasetError
from cxrbench.radiograph.header import age_in_years


def test_views_in_the_contracts_words():
    texts = ["PA", "ap", "AP Supine", "AP  Erect", "AP semi erect", "L", "LL", "Lateral", "Axial", "?", None]
    assert views(pd.Series(texts, dtype=object)).tolist() == [
        *["PA", "AP", "AP supine", "AP", "AP", "lateral", "lateral", "lateral"],
        *[None] * 3,
    ]


def test_sexes_in_the_contracts_words():
    texts = ["M", "f", "Female", "male", "O", "", None]
    assert sexes(pd.Series(texts, dtype=object)).tolist() == ["M", "F", "F", "M", None, None, None]


def test_ages_in_years():
    texts = ["58", "058Y", "6M", "365.25D", "0", "120", "121", "-4", "?", None]
    values = ages(pd.Series(texts, dtype=object)).tolist()
    assert values[:6] == [58.0, 58.0, 0.5, 1.0, 0.0, 120.0]
    assert all(math.isnan(value) for value in values[6:])


@given(st.integers(0, 120))
def test_any_age_in_years_reads_the_same_in_all_spellings(years):
    assert {age_in_years(text) for text in (str(years), f"{years:03d}Y", f" {years}y ", f"{years}.0")} == {
        years
    }


@given(st.text())
def test_no_text_breaks_the_reading_of_an_age(text):
    value = age_in_years(text)
    assert math.isnan(value) or 0 <= value <= 120


@given(st.lists(st.sampled_from(["a", "b", "c", "stay"]), max_size=40))
def test_every_row_of_a_selection_stays_or_is_counted(fates):
    selection = Selection(pd.DataFrame({"fate": fates}, dtype=object))
    for reason in ("a", "b", "c"):
        out = selection.leave_out(selection.frame["fate"] == reason, reason)
        assert len(out) == fates.count(reason)
    assert selection.frame["fate"].tolist() == [fate for fate in fates if fate == "stay"]
    assert selection.left_out == {reason: fates.count(reason) for reason in "abc" if reason in fates}
    assert selection.listed == len(fates)


def test_a_table_that_the_system_cannot_read_is_named_with_its_reason(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    (tmp_path / "films.csv").touch()
    monkeypatch.setattr(pd, "read_csv", fail)
    with pytest.raises(DatasetError, match=r"films\.csv: cannot be read: Input/output error"):
        read_table(tmp_path / "films.csv", ("path",), hint="")


@pytest.mark.parametrize("function", [views, sexes, ages])
def test_a_column_without_values_stays_without(function):
    assert function(pd.Series([None, None], dtype=object)).isna().all()
