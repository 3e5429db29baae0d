"""Fields that every data set spells its own way."""

import gzip
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.datasets.folder import Selection
from cxrbench.datasets.tables import (
    ages,
    match_names,
    read_flags,
    read_ids,
    read_names,
    read_table,
    sexes,
    views,
)
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
    monkeypatch.setattr(Path, "open", fail)
    with pytest.raises(DatasetError, match=r"films\.csv: cannot be read: Input/output error"):
        read_table(tmp_path / "films.csv", ("path",), hint="")


@pytest.mark.parametrize("function", [views, sexes, ages])
def test_a_column_without_values_stays_without(function):
    assert function(pd.Series([None, None], dtype=object)).isna().all()


def table(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path, ("path", "id"), hint="write one")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfpath,id\na.png,1\n",
        "path,id\na.png,1\n".encode("utf-16"),
        b"path,id\r\na.png,1\r\n",
        b"\n\r\npath,id\na.png,1\n",
        b",path,id\n0,a.png,1\n",
        b"path,id,\na.png,1,\n",
    ],
)
def test_a_table_is_read_whatever_wrote_it(content, tmp_path):
    frame = table(tmp_path / "t.csv", content)
    assert frame[["path", "id"]].to_numpy().tolist() == [["a.png", "1"]]


def test_rows_are_counted_from_the_top_of_the_file(tmp_path):
    frame = table(tmp_path / "t.csv", "\n\npath,id\na.png,1\nb.png,2\n")
    assert frame.index.tolist() == [4, 5]


def test_a_column_of_row_numbers_is_dropped_and_one_of_anything_else_kept(tmp_path):
    assert list(table(tmp_path / "t.csv", ",path,id\n0,a,1\n1,b,2\n2,c,3\n")) == ["path", "id"]
    assert len(table(tmp_path / "t.csv", ",path,id\n1,a,1\n1,b,2\n").columns) == 3
    assert len(table(tmp_path / "t.csv", ",path,id\nward,a,1\nhome,b,2\n").columns) == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; write one"),
        (b"\n\n", "is empty; write one"),
        ("path;id;age\na.png;1;58,5\n", "its columns are separated by semicolons; save it as CSV"),
        ("path\tid\na.png\t1\n", "its columns are separated by tabs"),
        (
            "Path,id\na.png,1\n",
            "columns missing: path (there is 'Path': letters must agree)",
        ),
        (b"path,id\na.p\x00ng,1\n", "line 2 holds a NUL character"),
        (b"path,id\nM\xfcller.png,1\n", "is not UTF-8 text"),
        (b"path,id\na.png,1,2\n", "rows have more cells than the header has names"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_in_one_line(content, message, tmp_path):
    with pytest.raises(DatasetError) as raised:
        table(tmp_path / "t.csv", content)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_pipe_in_place_of_a_table_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(DatasetError, match="is not a regular file"):
        read_table(tmp_path / "t.csv", ("path",), hint="")


def test_a_table_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cxrbench.datasets.tables.LARGEST", 10)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"path,id\n" + b"a,1\n" * 1000))
    with pytest.raises(DatasetError, match="no table is so large"):
        read_table(tmp_path / "t.csv.gz", ("path", "id"), hint="")


IMAGES = ("00090003_000.png", "00090004_000.png", "00090005_000.png")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "line", ["{}", "images/{}", "images_001\\images\\{}", "{}.png", "./images/{}.PNG", "  {}  "]
)
def test_a_list_of_names_is_matched_however_it_writes_them(line, encoding, tmp_path):
    path = tmp_path / "list.txt"
    stems = [image.removesuffix(".png") for image in IMAGES[:2]]
    path.write_text(
        "\r\n".join([*(line.format(stem) for stem in stems), "", "elsewhere.png"]), encoding=encoding
    )
    assert match_names(path, read_names(path), IMAGES)[0] == list(IMAGES[:2])


@pytest.mark.parametrize(
    ("content", "what"), [("", "nothing in it"), ("x.png\ny.png\n", "none of its 2 names")]
)
def test_a_list_that_matches_nothing_is_an_error(content, what, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text(content)
    with pytest.raises(DatasetError, match=rf"list\.txt: {what}.* is an image of this data set"):
        match_names(path, read_names(path), IMAGES)


def ids(values, tmp_path):
    """Read a table's one column of ids: what comes out, and the notes."""
    frame, notes = read_ids(tmp_path, pd.DataFrame({"patient": values}, dtype=object), ("patient",))
    return frame["patient"].tolist(), notes


@pytest.mark.parametrize("values", [["7", "7.0"], ["8", "7.0", "7."], ["007", "007.00"]])
def test_one_number_written_in_two_ways_is_refused(values, tmp_path):
    with pytest.raises(DatasetError, match=r"'patient' writes one number as .* \(row "):
        ids([*values, *values], tmp_path)


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "NULL", "<NA>", "NaT"])
def test_words_for_nothing_are_not_ids(word, tmp_path):
    with pytest.raises(DatasetError, match=rf"'patient' holds '{word}', .* \(row 1, 2; 2 in all\)"):
        ids(["P7", word, word], tmp_path)
    assert ids(["Nan-1", "Nolan", "NA"], tmp_path) == (["Nan-1", "Nolan", "NA"], ())
    with pytest.raises(DatasetError, match="'patient' is empty"):
        ids(["P7", None], tmp_path)


@pytest.mark.parametrize("shortened", ["8.39860488694292E+35", "8.4e35", "1E+12"])
def test_an_id_that_has_lost_its_digits_is_refused(shortened, tmp_path):
    with pytest.raises(DatasetError, match=r"a long number that a program shortened; .* \(row 1;"):
        ids(["839860488694292331637988235681460987", shortened], tmp_path)
    assert ids(["1e5", "12E7", "1.2.840"], tmp_path) == (["1e5", "12E7", "1.2.840"], ())


@pytest.mark.parametrize(
    ("values", "noted"),
    [
        (["7", "007", "8"], True),
        (["7", "007.0", "x"], True),
        (["p1", "P1"], True),
        (["P 1", "P\u00a01"], True),
        (["7", "70", "0", "00a", "7.5"], False),
        (["7.0", "8.5"], False),
    ],
)
def test_ids_that_differ_by_little_are_kept_apart_and_noted(values, noted, tmp_path):
    read, notes = ids(values, tmp_path)
    assert read == values
    assert bool(notes) == noted


def test_ids_that_are_all_numbers_may_have_gone_through_a_float(tmp_path):
    read, [note] = ids(["7.0", "12.", "8", "7.0"], tmp_path)
    assert read == ["7", "12", "8", "7"]
    assert "decimal numbers read as whole numbers (7.0 as 7)" in note
    read, notes = ids(["7.0", "007.0"], tmp_path)
    assert read == ["7", "007"]
    assert len(notes) == 2


@pytest.mark.parametrize(
    ("cells", "flags"),
    [
        (
            ["1", "0", "1.0", "0.0", "1.", "-0", "+1", "1e0", "1.000000e+00", "10E-1"],
            [1, 0, 1, 0, 1, 0, 1, 1, 1, 1],
        ),
        (["1", None, "-1", "-1.0"], [1, None, -1, -1]),
    ],
)
def test_a_label_is_read_however_its_number_is_written(cells, flags, tmp_path):
    read = read_flags(tmp_path, pd.Series(cells, dtype=object, name="Mass"), unknown=True)
    assert [None if np.isnan(value) else value for value in read] == flags


@pytest.mark.parametrize(
    "cell", ["0_9", "1.5", "1 e0", "2", "1,0", "1.0000000000000000001", "0x1", "inf", "True", "\u0661", "-1"]
)
def test_what_is_nearly_a_label_is_refused(cell, tmp_path):
    with pytest.raises(DatasetError, match=r"label 'Mass' must be 0 or 1 \(row 1; 1 in all\)"):
        read_flags(tmp_path, pd.Series(["1", cell], dtype=object, name="Mass"))


def test_a_word_for_nothing_in_a_label_is_named(tmp_path):
    with pytest.raises(DatasetError, match="label 'Mass' holds 'NA'; leave the cell empty"):
        read_flags(tmp_path, pd.Series(["1", "NA"], dtype=object, name="Mass"), unknown=True)
    with pytest.raises(DatasetError, match="label 'Mass' holds 'nan', not 0 or 1"):
        read_flags(tmp_path, pd.Series(["1", "nan"], dtype=object, name="Mass"))


def test_names_of_a_list_that_no_table_has_are_counted(tmp_path):
    names = [IMAGES[0], "another.png", "a third.png"]
    found, [note] = match_names(tmp_path / "test_list.txt", names, IMAGES)
    assert found == [IMAGES[0]]
    assert note == "names in test_list.txt that no table lists: 2 of 3"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('a,b\n1,"x\n2,"y\n3,z\n', "line 2 has a quotation mark that is not closed"),
        ('\n\na,b\n1,z\n1,"x\n2,""u"" y"v\n3,z\n', "line 5 has a quotation mark that is not closed"),
        ("a,b\n1,x\n2\n", r"fewer cells than the header has names \(row 3\)"),
        ("a,b\n1\n2\n3\n4\n5,y\n", r"\(row 2, 3, 4 and 1 more\)"),
        ("a,b,b\n1,x,y\n", "column 'b' appears twice"),
        ("a,b,b \n1,x,y\n", "column 'b' appears twice"),
    ],
)
def test_rows_that_are_torn_and_columns_that_are_there_twice_are_refused(text, reason, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DatasetError, match=reason):
        read_table(path, ("a", "b"), hint="")


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ('a,b\n1,"two\nlines"\n2,y\n', ["two\nlines", "y"]),
        ('a,b\n1,"he said ""no""\n"\n2,y\n', ['he said "no"', "y"]),
        ('a,b\n1,5" tube\n2,6" tube\n', ['5" tube', '6" tube']),
        ('a,b\n1,"x" y\n2,z\n', ["x y", "z"]),
        ("a,b,\n1,x\n2,y,\n", ["x", "y"]),
        ("a,b\n1,x\n\n2,y\n", ["x", "y"]),
        ("a,b\n1,x\n2,y\n \n", ["x", "y"]),
        # As Excel saves a table whose last column is mostly empty.
        ("a,b,notes\n1,x,n\n2,y\n3,z,\n", ["x", "y", "z"]),
    ],
)
def test_quotations_and_rows_that_only_look_odd_are_read(text, cells, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(text)
    assert read_table(path, ("a", "b"), hint="")["b"].tolist() == cells


def test_a_spreadsheets_marks_of_a_text_make_ids_look_alike(tmp_path):
    assert ids(["'007", "007"], tmp_path)[1]
    assert ids(['="7"', "7"], tmp_path)[1]
