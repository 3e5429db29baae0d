"""Tables that read back as they were."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.cohort.jsonlines import dump_table, parse_table


def test_a_table_of_every_kind_of_column_reads_back_as_it_was() -> None:
    table = pd.DataFrame(
        {
            "patient_id": ["007", "1e5", "NA"],
            "view": ["PA", None, "AP supine"],
            "age": [63.5, np.nan, np.inf],
            "label": [1.0, 0.0, np.nan],
            "boxes": [2, 0, -1],
            "adult": [True, False, True],
            "nothing": [None, None, None],
            "mixed": pd.Series([1, "1", None], dtype=object),
            "é\n": ["line\nbreak", "\u2028", "\x85"],
        }
    )
    back = parse_table(dump_table(table))
    assert back["nothing"].isna().all()
    same = [column for column in table if column not in ("nothing", "mixed")]
    pd.testing.assert_frame_equal(back[same], table[same], check_dtype=False)
    assert [back[c].dtype for c in ("age", "label", "boxes", "adult")] == [float, float, np.int64, bool]
    assert back["mixed"].tolist()[:2] == [1, "1"]
    assert back["view"].isna().tolist() == [False, True, False]


def test_file_names_that_are_not_utf8_survive() -> None:
    table = pd.DataFrame({"path": pd.Series(["a\udcff.png", None, "b"], dtype=object)})
    back = parse_table(dump_table(table))
    assert back["path"].tolist()[0] == "a\udcff.png"
    assert back["path"].isna().tolist() == [False, True, False]


def test_the_text_is_one_line_a_row_and_a_header() -> None:
    table = pd.DataFrame({"image_id": ["a", "é"], "age": [1.5, np.nan]})
    assert dump_table(table).decode() == (
        '{"columns":["image_id","age"],"kinds":["object","float"]}\n["a",1.5]\n["\\u00e9",null]\n'
    )


def test_equal_content_gives_equal_bytes_whatever_pandas_type_holds_it() -> None:
    plain = pd.DataFrame({"a": pd.Series(["x", None], dtype=object)})
    assert dump_table(plain) == dump_table(plain.astype("string")) == dump_table(plain.astype("category"))
    whole = pd.DataFrame({"n": pd.Series([1, 2], dtype=np.int32)})
    assert dump_table(whole) == dump_table(whole.astype(np.uint8))


def test_other_objects_become_their_text() -> None:
    table = pd.DataFrame(
        {"date": pd.to_datetime(["2020-03-01", None]), "n": pd.array([1, None], dtype="Int64")}
    )
    back = parse_table(dump_table(table))
    assert back["date"].tolist()[0] == "2020-03-01 00:00:00"
    assert back["date"].isna().tolist() == [False, True]
    assert back["n"].tolist()[0] == 1
    assert back["n"].isna().tolist() == [False, True]


def test_a_table_without_rows_keeps_its_columns() -> None:
    back = parse_table(
        dump_table(pd.DataFrame({"a": pd.Series([], dtype=float), "b": pd.Series([], dtype=str)}))
    )
    assert back.columns.tolist() == ["a", "b"]
    assert len(back) == 0


@given(st.lists(st.tuples(st.text(), st.floats(allow_nan=True)), min_size=1))
def test_any_text_and_number_survive(rows: list[tuple[str, float]]) -> None:
    back = parse_table(dump_table(pd.DataFrame(rows, columns=["t", "x"])))
    assert back["t"].tolist() == [t for t, _ in rows]
    np.testing.assert_array_equal(back["x"].to_numpy(), np.array([x for _, x in rows]))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"a,b\n1,2\n",
        b"[]\n",
        b'{"columns":["a"],"kinds":["int"]}\n[1,2]\n',
        b'{"columns":["a"]}\n[1]\n',
        b"\xff",
    ],
)
def test_other_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_table(content)
