"""The record of a split and its file: nobody on two sides, every fold in turn, a hash that is checked."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrbench.cohort.split import PARTS, Division, Split, check_split, load_split, save_split
from cxrbench.errors import CohortError, LeakError

THREE = (0.4, 0.3, 0.3)


def small(**changes: object) -> Split:
    values: dict[str, object] = {
        "division": Division("d", ("covid",), 0, THREE),
        "image_ids": ("1", "2", "3"),
        "patient_ids": ("a", "b", "c"),
        "parts": PARTS,
    }
    return Split(**{**values, **changes})  # type: ignore[arg-type]


def three_folds(**changes: object) -> Split:
    return small(division=Division("d", ("covid",), 0, folds=3), parts=("1", "2", "3"), **changes)


def test_the_hash_is_of_image_patient_and_part_only() -> None:
    rows = json.dumps(
        [["1", "a", "train"], ["2", "b", "validation"], ["3", "c", "test"]], separators=(",", ":")
    )
    assert small().hash == hashlib.sha256(rows.encode()).hexdigest()
    assert small(division=Division("other", ("covid",), 5, THREE)).hash == small().hash
    others = [
        {"image_ids": ("1", "2", "4")},
        {"patient_ids": ("a", "b", "d")},
        {"parts": ("train", "test", "test")},
    ]
    assert len({small(**o).hash for o in [{}, *others]}) == 4


def test_a_split_that_leaks_cannot_be_made() -> None:
    with pytest.raises(LeakError, match=r"1 patient \(a\) is in more than one part"):
        small(patient_ids=("a", "a", "c"))


def test_names_beyond_ten_are_counted() -> None:
    ids = tuple(f"{n:02d}" for n in range(24))
    with pytest.raises(LeakError, match=r"12 patients \(00, 01, .*, 09 and 2 more\) are"):
        small(
            image_ids=ids, patient_ids=tuple(f"{n // 2:02d}" for n in range(24)), parts=("train", "test") * 12
        )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"image_ids": ("1", "1", "3")}, r"1 image \(1\) is in it twice"),
        ({"image_ids": ("2", "1", "3")}, "ascending"),
        ({"parts": ("train", "dev", "test")}, "part 'dev' is not one of train, validation, test"),
        ({"parts": ("train",)}, "one length"),
    ],
)
def test_malformed_splits(changes: dict[str, object], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        small(**changes)


def test_check_split_by_the_tables_own_patients() -> None:
    table = pd.DataFrame(
        {"image_id": ["3", "1", "2"], "patient_id": ["x", "x", "y"], "covid": [1.0, 0.0, 1.0]}
    )
    with pytest.raises(LeakError, match=r"1 patient \(x\)"):
        check_split(small(), table)


def test_check_split_wants_every_image_assigned_but_allows_fewer() -> None:
    table = pd.DataFrame({"image_id": ["1", "9"], "patient_id": ["a", "z"], "covid": [1.0, 0.0]})
    with pytest.raises(CohortError, match=r"1 image \(9\) is not in the split"):
        check_split(small(), table)
    check_split(small(), table.head(1))


def test_check_split_wants_both_classes_where_asked() -> None:
    table = pd.DataFrame(
        {"image_id": ["1", "2", "3"], "patient_id": ["a", "b", "c"], "covid": [1.0, 0.0, np.nan]}
    )
    check_split(small(), table)
    with pytest.raises(
        CohortError, match="in the train part 'covid' is 1 for 1 and 0 for 0 of 1 images; an AUC needs both"
    ):
        check_split(small(), table, ["covid"])
    with pytest.raises(CohortError, match="no label column 'x'"):
        check_split(small(), table, ["x"])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"fractions": (0.5, 0.5)}, "three numbers"),
        ({"fractions": (1.2, -0.1, -0.1)}, "three numbers"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, "three numbers"),
        ({"fractions": ()}, "three numbers"),
        ({"fractions": (0.0, 0.5, 0.5)}, "train fraction is 0"),
        ({"fractions": (0.7, 0.1, 0.1)}, "add up to 1, not 0.9"),
        ({"fractions": (), "folds": 2}, "at least 3 folds and no fractions, not 2"),
        ({"folds": 3}, "at least 3 folds and no fractions"),
        ({"labels": ()}, "no label to stratify by"),
    ],
)
def test_impossible_divisions(changes: dict[str, object], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        replace(Division("d", ("covid",), 0, THREE), **changes)  # type: ignore[arg-type]


def test_a_fold_tests_on_its_images_and_validates_on_the_next() -> None:
    table = pd.DataFrame({"image_id": ["3", "1", "2"]})
    split = three_folds()
    assert {fold: split.parts_of(table, fold).tolist() for fold in split.turns} == {
        1: ["train", "test", "validation"],
        2: ["validation", "train", "test"],
        3: ["test", "validation", "train"],
    }
    for fold in (None, 0, 4):
        with pytest.raises(CohortError, match=f"no fold {fold}; they are numbered 1 to 3"):
            split.parts_of(table, fold)


def test_folds_that_contradict_themselves_are_refused() -> None:
    with pytest.raises(CohortError, match="part '4' is not one of 1, 2, 3"):
        replace(three_folds(), parts=("1", "2", "4"))
    with pytest.raises(CohortError, match="no image is in fold 3"):
        replace(three_folds(), parts=("1", "2", "2"))
    with pytest.raises(LeakError, match=r"1 patient \(a\) is in more than one part"):
        three_folds(patient_ids=("a", "a", "c"))


def test_a_part_of_one_class_is_named_with_its_fold() -> None:
    table = pd.DataFrame({"image_id": list("123"), "patient_id": list("abc"), "covid": [1.0, 0.0, 1.0]})
    with pytest.raises(CohortError, match=r"split of 'd', fold 1 of 3: .*an AUC needs both"):
        check_split(three_folds(), table, ["covid"])


# The file.


def test_a_stored_split_reads_back_equal_and_shows_its_hash(tmp_path: Path) -> None:
    split = small(
        division=Division("d", ("Lung Opacity",), 0, THREE),
        image_ids=("007", 'a,"b"', "é"),
        patient_ids=("0012", "1e5", "NA"),
    )
    save_split(split, tmp_path / "sub" / "split.csv")
    assert load_split(tmp_path / "sub" / "split.csv") == split
    lines = (tmp_path / "sub" / "split.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# cxrbench split, format 2"
    header = json.loads(lines[1][2:])
    assert len(header.pop("seal")) == 64
    assert header == {
        "dataset": "d",
        "folds": 0,
        "fractions": [0.4, 0.3, 0.3],
        "hash": split.hash,
        "labels": ["Lung Opacity"],
        "seed": 0,
    }
    assert lines[2:] == [
        "image_id,patient_id,part",
        "007,0012,train",
        '"a,""b""",1e5,validation',
        "é,NA,test",
    ]


def test_stored_folds_read_back_equal(tmp_path: Path) -> None:
    save_split(three_folds(), tmp_path / "folds.csv")
    assert load_split(tmp_path / "folds.csv") == three_folds()


def test_pandas_reads_the_file_too(tmp_path: Path) -> None:
    save_split(small(), tmp_path / "split.csv")
    frame = pd.read_csv(tmp_path / "split.csv", comment="#", dtype=str)
    assert frame["part"].tolist() == list(PARTS)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("3,c,test", "3,c,train", "changed after it was written"),
        ("3,c,test\n", "", "changed after it was written"),
        ("3,c,test", "3,a,test", "1 patient .a. is in more than one part"),
        ("3,c,test", "3,c", "damaged"),
        ("3,c,test", '3,"c,test', "damaged"),
        ("image_id,patient_id,part", "image_id,part,patient_id", "damaged"),
        ('"seed":0', '"seed":', "damaged"),
        ('"seed":0', '"sead":0', "damaged"),
        ('"seed":0', '"seed":1', "header does not match its seal"),
        ('"dataset":', '"more":1,"dataset":', "header does not match its seal"),
        ('"seal":', '"seel":', "damaged"),
        ('"seed":0', '"seed":Infinity', "damaged"),
        ("format 2", "format 1", "not a split file of this version"),
    ],
)
def test_a_file_that_was_tampered_with(tmp_path: Path, old: str, new: str, match: str) -> None:
    path = tmp_path / "split.csv"
    save_split(small(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(CohortError, match=match) as caught:
        load_split(path)
    assert str(caught.value).startswith(str(path))


def test_a_pipe_in_place_of_a_split_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "split.csv")
    with pytest.raises(CohortError, match="cannot be read: it is no file, but a pipe"):
        load_split(tmp_path / "split.csv")


def test_files_that_are_no_split(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no such split file"):
        load_split(tmp_path / "absent.csv")
    with pytest.raises(CohortError, match="cannot be read"):
        load_split(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CohortError, match="not a split file"):
        load_split(tmp_path / "binary")
