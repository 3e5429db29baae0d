"""Prediction files: read exactly, joined on the image id, refused with the rows named."""

from __future__ import annotations

import io
import os
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxrbench.errors import StatisticsError
from cxrbench.statistics import Columns, auc, read_all, read_predictions, write_predictions

GOOD = "image_id,patient_id,label,score\na,p,0,0.1\nb,p,1,0.7\nc,q,0,0.2\nd,r,1,0.9\n"


@pytest.fixture
def write(tmp_path):
    def write(text: str | bytes, name: str = "scores.csv") -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_good_file(write):
    found = read_predictions(write(GOOD, "control.csv"))
    assert found.image_ids.tolist() == ["a", "b", "c", "d"]
    assert found.labels.tolist() == [False, True, False, True]
    assert list(found.scores) == ["control"]
    assert found.scores["control"].tolist() == [0.1, 0.7, 0.2, 0.9]
    assert found.patients.tolist() == ["p", "p", "q", "r"]
    assert found.n_patients == 3


def test_what_other_programs_write_is_read(write):
    found = read_predictions(write(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode() + b"\r\n"))
    assert found.image_ids.tolist() == ["a", "b", "c", "d"]
    quoted = 'score,label,image_id\n1e-3,0.0,"a, left"\n2,1.0,"b ""x"""\n'
    found = read_predictions(write(quoted))
    assert found.image_ids.tolist() == ["a, left", 'b "x"']
    assert found.labels.tolist() == [False, True]


def test_ids_stay_as_they_are_written(write):
    text = "image_id,patient_id,label,score\n001,01,0,1\n01,1,1,2\n1,NA,1,3\nNA,none given,0,4\nnan,n/a,0,5\n"
    found = read_predictions(write(text))
    assert found.image_ids.tolist() == ["001", "01", "1", "NA", "nan"]
    assert found.patients.tolist() == ["01", "1", "NA", "none given", "n/a"]


@pytest.mark.parametrize("word", ["nan", "None", " NULL ", "<NA>"])
def test_those_without_a_patient_are_not_one_patient(write, word):
    with pytest.raises(StatisticsError, match=r"patient_id is a word for nothing, found .* in images b, d"):
        read_predictions(write(GOOD.replace("b,p", f"b,{word}").replace("d,r", f"d,{word}")))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("9007199254740993", "9007199254740992"),
        ("0.1000000000000000000001", "0.1000000000000000000002"),
        ("1e-400", "1e-401"),
    ],
)
def test_different_scores_never_become_a_tie(write, first, second):
    with pytest.raises(
        StatisticsError, match=f"float64 holds {first} and {second} as one number, in image c"
    ):
        read_predictions(write(GOOD.replace("0.1\n", f"{first}\n").replace("0.2\n", f"{second}\n")))
    # One number written in two ways is a tie.
    alike = read_predictions(write(GOOD.replace("0.1\n", "0.50\n").replace("0.2\n", " +5e-1\n")))
    assert alike.scores["scores"].tolist() == [0.5, 0.7, 0.5, 0.9]


@pytest.mark.parametrize(
    "scores",
    [
        np.array([2**53, 1, 2**53 + 1, 5]),
        np.array([2**63, 1, 2**63 + 1, 5], dtype=np.uint64),
        [Decimal(10**30), Decimal(1), Decimal(10**30 + 1), Decimal(5)],
    ],
)
def test_wide_numbers_of_parquet_never_become_a_tie(tmp_path, scores):
    table = pd.read_csv(io.StringIO(GOOD)).assign(score=scores)
    table.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(StatisticsError, match="as one number, in image c; rescale the scores"):
        read_predictions(tmp_path / "a.parquet")


def test_a_parquet_file_whose_index_is_a_column_as_well(tmp_path):
    table = pd.read_csv(io.StringIO(GOOD)).set_index("image_id", drop=False)
    table.to_parquet(tmp_path / "a.parquet")
    assert read_predictions(tmp_path / "a.parquet").image_ids.tolist() == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_folder_called_like_the_home_folder_is_not_it(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    place = Path("~") / name
    place.parent.mkdir()
    table = pd.read_csv(io.StringIO(GOOD))
    table.to_csv(tmp_path / place, index=False) if name.endswith("csv") else table.to_parquet(
        tmp_path / place
    )
    assert read_predictions(place).image_ids.tolist() == ["a", "b", "c", "d"]


def test_labels_as_r_writes_them(write):
    found = read_predictions(write("image_id,label,score\na,FALSE,1\nb,TRUE,2\n"))
    assert found.labels.tolist() == [False, True]


@pytest.mark.parametrize(
    "columns",
    [Columns(scores=("label",)), Columns(image="label"), Columns(patient="score"), Columns(patient="label")],
)
def test_a_column_is_not_two_things(write, columns):
    with pytest.raises(StatisticsError, match="is named for two things"):
        read_predictions(write(GOOD), columns)


def test_ids_that_are_all_digits_are_not_numbers(write):
    found = read_predictions(write("image_id,patient_id,label,score\n0010,007,0,1\n0020,1.50,1,2\n"))
    assert found.image_ids.tolist() == ["0010", "0020"]
    assert found.patients.tolist() == ["007", "1.50"]


def test_a_file_need_not_name_patients(write):
    found = read_predictions(write("image_id,label,score\na,0,1\nb,1,2\n"))
    assert found.patients is None
    assert found.n_patients is None


def test_other_columns_are_carried_along(write):
    found = read_predictions(write("image_id,view,label,score,age\na,PA,0,1,077\nb,,1,2,\n"))
    assert found.table.to_dict("list") == {"view": ["PA", ""], "age": ["077", ""]}


def test_column_names_are_options_and_several_scores_are_several_curves(write):
    path = write("file,truth,first,second,who\na,0,1,4,p\nb,1,2,3,p\n")
    columns = Columns(image="file", label="truth", scores=("second", "first"), patient="who")
    found = read_predictions(path, columns)
    assert {name: values.tolist() for name, values in found.scores.items()} == {
        "second": [4, 3],
        "first": [1, 2],
    }
    assert found.patients.tolist() == ["p", "p"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty; expected a header"),
        ("image_id,label,score\n", "no rows below the header"),
        ("image_id,label\na,0\nb,1\n", "no column 'score'; the file has image_id, label"),
        ("name,label,score\na,0,1\n", "no column 'image_id'; the file has name, label, score"),
        ("image_id,label,score,score\na,0,1,2\n", "column appears twice: score"),
        ("image_id,label,score\na,0,1\n,1,2\nc,1,2\n  ,1,2\n", "no image_id in rows 2, 4, counted from 1"),
        ("image_id,label,score\na,0,1\nb,1,2\na,0,1\n", "image_id appears more than once: image a"),
        ("image_id,label,score\na,0,1\nb,2,2\nc,3,1\n", "label must be 0 or 1, found 2.0 in images b, c"),
        ("image_id,label,score\na,0,1\nb,yes,2\n", "label is not a number, found yes in image b"),
        ("image_id,label,score\na,0,1\nb,,2\n", "label is not a number in image b"),
        ("image_id,label,score\na,0,1\nb,nan,2\n", "label must be 0 or 1, found nan in image b"),
        ("image_id,label,score\na,0,1\nb,1,\nc,1,\n", "score is not a number in images b, c"),
        ("image_id,label,score\na,0,1\nb,1,nan\n", "score must be finite, found nan in image b"),
        ("image_id,label,score\na,0,-inf\nb,1,2\n", "score must be finite, found -inf in image a"),
        ("image_id,label,score\na,0,high\nb,1,2\n", "score is not a number, found high in image a"),
        (
            "image_id,label,score\na,1,1\nb,1,2\n",
            "label: every image is positive (images a, b), none negative",
        ),
        ("image_id,label,score\na,0,1\nb,0,2\n", "every image is negative (images a, b), none positive"),
        ("image_id,patient_id,label,score\na,p,0,1\nb,,1,2\n", "no patient_id in image b"),
        ("image_id,label,score\na,0,1\nb,1,2,3,4\n", "not a readable CSV file"),
        ("image_id,label,score\na,0,1,9\nb,1,2,9\n", "not a readable CSV file"),
        ("image_id,label,score\na,0,1\nb,1\n", "in image b"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\xff\xfe", "not a readable CSV file: it is not UTF-8 text"),
        (GOOD.encode("utf-16"), "it is not UTF-8 text; save it as CSV UTF-8"),
        (GOOD.replace("a,p", "\xe9,p").encode("latin-1"), "it is not UTF-8 text"),
        (GOOD.replace(",", ";").replace("0.", "0,"), "separated by semicolons; save it as CSV separated by"),
        (GOOD.replace(",", "\t"), "its columns are separated by tabs"),
        ("# made by hand\n" + GOOD, "rows have more cells than the header has names"),
        (b"PK\x03\x04\x00\x00", "no column"),
    ],
)
def test_bad_files_are_refused_with_the_rows(write, text, message):
    path = write(text)
    with pytest.raises(StatisticsError) as caught:
        read_predictions(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("p", "p "),
        ("p 1", "p  1"),
        ("\u00e9", "e\u0301"),
        ("p", "p\u200b"),
        ("p1", "p\uff11"),
        ("p", "\u00a0p"),
        ("7", "7.0"),
    ],
)
@pytest.mark.parametrize("column", ["image_id", "patient_id"])
def test_two_ids_that_look_like_one_are_refused(write, column, one, other):
    rows = [(one, "q", 0, 0.1), (other, "r", 1, 0.7), ("c", "s", 0, 0.2), ("d", "t", 1, 0.9)]
    if column == "patient_id":
        rows = [(patient, image, *rest) for image, patient, *rest in rows]
    table = pd.DataFrame(rows, columns=["image_id", "patient_id", "label", "score"])
    with pytest.raises(
        StatisticsError, match=rf"{column}: .* look like one; write each id in one way"
    ) as found:
        read_predictions(write(table.to_csv(index=False)))
    assert str(found.value).isprintable()


def test_ids_that_a_person_tells_apart_are_two(write):
    text = GOOD.replace("b,p", "b,P").replace("c,q", "c,7").replace("d,r", "d,007")
    assert read_predictions(write(text)).n_patients == 4


@pytest.mark.parametrize(
    "text",
    [
        f"image_id,label,score\n{'x' * 10**6},0,1\n{'x' * 10**6},1,2\n",
        f"{','.join(f'column-{i}' for i in range(5000))}\n{','.join('1' * 5000)}\n",
        f"image_id,label,score\n{'x' * 10**6},9,1\n",
    ],
)
def test_a_message_stays_short_whatever_the_file_holds(write, text):
    path = write(text)
    with pytest.raises(StatisticsError) as found:
        read_predictions(path)
    assert len(str(found.value)) - len(str(path)) < 1000


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(StatisticsError, match="no such file"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(StatisticsError, match="is a folder; name one prediction file"):
        read_predictions(tmp_path)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(StatisticsError, match="is a pipe or a device, which is not read; write it to a file"):
        read_predictions(tmp_path / "pipe.csv")
    for name, target in (("loose.csv", "none.csv"), ("loop.csv", "loop.csv")):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(StatisticsError, match="is a link that leads to no file"):
            read_predictions(tmp_path / name)
    with pytest.raises(StatisticsError, match="no prediction files given"):
        read_all([])


def test_a_patient_column_that_is_required_must_be_there(write):
    with pytest.raises(StatisticsError, match="no column 'site'; the file has image_id, patient_id"):
        read_predictions(write(GOOD), Columns(patient="site", patient_required=True))


def test_a_score_column_named_twice_is_refused(write):
    with pytest.raises(StatisticsError, match="a score column is named twice"):
        read_predictions(write(GOOD), Columns(scores=("score", "score")))


def test_files_are_joined_on_the_image_id_and_never_on_the_order(write):
    first = write(GOOD, "first.csv")
    other = write("score,image_id,label\n4,d,1\n3,c,0\n1,a,0\n2,b,1\n", "other.csv")
    found = read_all([first, other])
    assert found.image_ids.tolist() == ["a", "b", "c", "d"]
    assert found.scores["other"].tolist() == [1, 2, 3, 4]
    assert found.patients.tolist() == ["p", "p", "q", "r"]
    # Patients may come from any of the files.
    backwards = read_all([other, first])
    assert backwards.image_ids.tolist() == ["d", "c", "a", "b"]
    assert backwards.patients.tolist() == ["r", "q", "p", "p"]
    assert backwards.scores["first"].tolist() == [0.9, 0.2, 0.1, 0.7]


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (GOOD.replace("c,q,0,0.2\n", ""), "not of the same images: image c of first not in other"),
        (GOOD + "e,s,0,1\nf,s,0,1\n", "not of the same images: images e, f of other not in first"),
        (GOOD.replace("c,", "x,"), "image c of first not in other; image x of other not in first"),
        (GOOD.replace("c,q,0", "c,q,1"), "first and other give a different label for image c"),
        (GOOD.replace("d,r,", "d,s,").replace("a,p", "a,t"), "give a different patient for images a, d"),
    ],
)
def test_files_that_do_not_agree_are_refused_with_the_images(write, other, message):
    with pytest.raises(StatisticsError) as caught:
        read_all([write(GOOD, "first.csv"), write(other, "other.csv")])
    assert message in str(caught.value)


def test_curves_are_called_after_their_file(write):
    assert list(read_all([write(GOOD, "b.csv"), write(GOOD, "a.csv")]).scores) == ["b", "a"]


def test_files_of_one_name_are_distinguished_by_their_folder(write):
    paths = [write(GOOD, name) for name in ("old/control.csv", "new/control.csv", "new/best.csv")]
    assert list(read_all(paths).scores) == ["old/control", "new/control", "best"]


def test_a_file_against_itself_gives_two_curves(write):
    path = write(GOOD, "a.csv")
    assert list(read_all([path, path]).scores) == ["a", "a (2)"]
    assert list(read_all([path, path, write(GOOD, "a (2).csv")]).scores) == ["a", "a (2)", "a (2) (2)"]


def test_several_score_columns_in_several_files_are_distinguished(write):
    text = "image_id,label,x,y\na,0,1,2\nb,1,3,4\n"
    found = read_all([write(text, "one.csv"), write(text, "two.csv")], Columns(scores=("x", "y")))
    assert list(found.scores) == ["one:x", "one:y", "two:x", "two:y"]


def test_parquet_is_read_like_csv(write, tmp_path):
    table = pd.DataFrame(
        {
            "image_id": ["a", "b", "c"],
            "label": [False, True, True],
            "score": [0.1, 0.2, 1 / 3],
            "patient_id": [1, 1, 2],
        }
    )
    table.to_parquet(tmp_path / "scores.parquet")
    found = read_predictions(tmp_path / "scores.parquet")
    assert found.scores["scores"].tolist() == [0.1, 0.2, 1 / 3]
    assert found.labels.tolist() == [False, True, True]
    assert found.patients.tolist() == ["1", "1", "2"]
    csv = write("image_id,label,score\nc,1,3\nb,1,2\na,0,1\n", "csv.csv")
    assert read_all([tmp_path / "scores.parquet", csv]).scores["csv"].tolist() == [1, 2, 3]


def test_missing_values_in_parquet_are_named(tmp_path):
    table = pd.DataFrame({"image_id": ["a", None, "c"], "label": [0, 1, 1], "score": [0.1, 0.2, 0.3]})
    table.to_parquet(tmp_path / "scores.parquet")
    with pytest.raises(StatisticsError, match="no image_id in row 2, counted from 1"):
        read_predictions(tmp_path / "scores.parquet")
    table = pd.DataFrame({"image_id": ["a", "b", "c"], "label": [0, 1, 1], "score": [0.1, None, 0.3]})
    table.to_parquet(tmp_path / "scores.parquet")
    with pytest.raises(StatisticsError, match="image b"):
        read_predictions(tmp_path / "scores.parquet")


@pytest.mark.parametrize("column", ["image_id", "patient_id", "label", "score"])
@pytest.mark.parametrize("cell", [[1, 2], [], {"a": 1}, "\r", "\u2028", "9" * 400 + "x"])
def test_a_cell_that_is_no_number_or_name_is_refused_in_one_short_line(column, cell, tmp_path):
    pytest.importorskip("pyarrow")
    rows = {"image_id": ["a", "b"], "patient_id": ["p", "q"], "label": [0, 1], "score": [0.1, 0.2]}
    path = tmp_path / "odd.parquet"
    pd.DataFrame({**rows, column: [cell, cell]}).to_parquet(path)
    if column == "patient_id" and cell in ([1, 2], [], {"a": 1}, "9" * 400 + "x"):
        # Any text names a patient.
        assert len(set(read_predictions(path).patients)) == 1
        return
    with pytest.raises(StatisticsError) as raised:
        read_predictions(path)
    assert len(str(raised.value).splitlines()) == 1
    assert column == "image_id" or len(str(raised.value)) < len(str(path)) + 200


def test_a_broken_parquet_file_is_refused_in_one_line(tmp_path):
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(StatisticsError, match="not a readable Parquet file") as caught:
        read_predictions(tmp_path / "scores.parquet")
    assert "\n" not in str(caught.value)


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    def without_pyarrow(_):
        raise ImportError("no engine")

    monkeypatch.setattr(pd, "read_parquet", without_pyarrow)
    (tmp_path / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(StatisticsError, match=r"pip install 'cxrbench\[parquet\]'"):
        read_predictions(tmp_path / "scores.parquet")


def test_a_file_that_the_system_does_not_give_out_is_refused(write, monkeypatch):
    path = write(GOOD)

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StatisticsError, match="cannot be read: Permission denied"):
        read_predictions(path)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=20))
def test_scores_come_back_bit_for_bit(tmp_path, scores):
    n = len(scores)
    path = tmp_path / "scores.csv"
    write_predictions(path, [f"i{k}" for k in range(n)], ["p"] * n, [0] + [1] * (n - 1), scores)
    found = read_predictions(path).scores["scores"]
    assert found.tobytes() == np.array(scores).tobytes()


def test_float32_scores_come_back_as_the_float64_that_they_are(tmp_path):
    scores = np.array([0.1, 1 / 3, 16777217, 1e-40], dtype=np.float32)
    write_predictions(tmp_path / "s.csv", list("abcd"), list("pqrs"), [0, 1, 0, 1], scores)
    assert read_predictions(tmp_path / "s.csv").scores["s"].tolist() == scores.astype(np.float64).tolist()


def test_the_written_format(tmp_path):
    path = write_predictions(tmp_path / "s.csv", ["001", "b,c"], ["p", "q"], [False, True], [0.1, 2])
    assert path.read_bytes() == b'image_id,patient_id,label,score\n001,p,0,0.1\n"b,c",q,1,2.0\n'
    assert [file.name for file in tmp_path.iterdir()] == ["s.csv"]


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "s.csv"
    write_predictions(path, ["a", "b"], ["p", "q"], [0, 1], [1, 2])
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(StatisticsError, match="cannot be written: No space left on device"):
        write_predictions(path, ["a", "b"], ["p", "q"], [0, 1], [3, 4])
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["s.csv"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a", "a"], ["p", "q"], [0, 1], [1, 2]), "image_ids: more than once: image a"),
        ((["a", ""], ["p", "q"], [0, 1], [1, 2]), "image_ids: empty in row 1"),
        ((["a", "b"], ["p", None], [0, 1], [1, 2]), "patient_ids: empty in row 1"),
        ((["a"], ["p", "q"], [0, 1], [1, 2]), "image_ids: 1 values for 2 labels"),
        ((["a", "b"], ["p", "q"], [0, 1], [1, np.nan]), "scores: must be finite, found nan in row 1"),
        ((["a", "b"], ["p", "q"], [0, 3], [1, 2]), "labels: must be 0 or 1, found 3 in row 1"),
        ((["a", "b"], ["p", "q"], [0, 1], [1, 2, 3]), "scores: 3 values for 2 labels"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, arguments, message):
    with pytest.raises(StatisticsError, match=message):
        write_predictions(tmp_path / "s.csv", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StatisticsError, match="cannot be written"):
        write_predictions(tmp_path / "file" / "s.csv", ["a", "b"], ["p", "q"], [0, 1], [1, 2])


def test_from_file_to_number(write):
    found = read_predictions(write(GOOD, "control.csv"))
    assert auc(found.labels, found.scores["control"]).auc == 1.0


@pytest.mark.parametrize("text", ["0_9", "٣", "１"])
@pytest.mark.parametrize("column", ["score", "label"])
def test_text_that_only_python_reads_as_a_number_is_refused_by_image(write, column, text):
    rows = {"score": f"a,p,0,0.1\nb,q,1,{text}\n", "label": f"a,p,0,0.1\nb,q,{text},0.9\n"}
    path = write("image_id,patient_id,label,score\n" + rows[column])
    with pytest.raises(StatisticsError, match=f"{column} is not a number, found {text} in image b"):
        read_predictions(path)


def test_booleans_are_labels_in_csv_as_in_parquet(tmp_path):
    table = pd.DataFrame({"image_id": ["a", "b"], "label": [False, True], "score": [0.1, 0.9]})
    table.to_csv(tmp_path / "s.csv", index=False)
    table.to_parquet(tmp_path / "s.parquet")
    for name in ("s.csv", "s.parquet"):
        assert read_predictions(tmp_path / name).labels.tolist() == [False, True]


def test_an_id_that_is_the_index_of_a_parquet_table_is_read(tmp_path):
    table = pd.DataFrame({"image_id": ["a", "b"], "label": [0, 1], "score": [0.1, 0.9]}).set_index("image_id")
    table.to_parquet(tmp_path / "s.parquet")
    assert read_predictions(tmp_path / "s.parquet").image_ids.tolist() == ["a", "b"]


@pytest.mark.parametrize("row", ["a\x00,p,0,0.1\nb,q,1,0.9\n", "a,p\x1b,0,0.1\nb,q,1,0.9\n"])
def test_a_control_character_in_an_id_is_refused(write, row):
    with pytest.raises(StatisticsError, match="a control character in id '") as caught:
        read_predictions(write("image_id,patient_id,label,score\n" + row))
    assert str(caught.value).isprintable()


def test_a_blank_in_a_column_name_can_be_seen(write):
    with pytest.raises(StatisticsError, match="no column 'label'; the file has image_id, ' label', score"):
        read_predictions(write("image_id, label,score\na,0,0.1\nb,1,0.9\n"))
