"""ChestX-ray14 in both published layouts, in part, and broken."""

import shutil
import time
from contextlib import nullcontext
from types import SimpleNamespace

import pandas as pd
import pytest

from cxrbench.datasets import folder, load
from cxrbench.datasets.chestxray14 import FINDINGS
from cxrbench.errors import CohortError, DatasetError


def test_the_list_of_2020_and_one_folder(fixtures):
    cohort = load("chestxray14", fixtures / "chestxray14")
    assert (cohort.listed, len(cohort), dict(cohort.left_out)) == (16, 16, {})
    assert cohort.labels == FINDINGS
    assert len(FINDINGS) == 14
    assert cohort.table["patient_id"].nunique() == 10
    first = cohort.table.iloc[0]
    assert first[["image_id", "patient_id", "view", "sex", "age", "path"]].tolist() == [
        "00090001_000.png",
        "90001",
        "AP",
        "M",
        61.0,
        "images/00090001_000.png",
    ]
    assert first[list(FINDINGS)].to_dict() == {
        name: float(name in ("Cardiomegaly", "Edema")) for name in FINDINGS
    }


def test_no_finding_is_zero_in_all_fourteen(fixtures):
    table = load("chestxray14", fixtures / "chestxray14").table.set_index("image_id")
    assert table.loc["00090002_000.png", list(FINDINGS)].tolist() == [0.0] * 14


def test_the_official_test_list_is_honoured(fixtures):
    cohort = load("chestxray14", fixtures / "chestxray14")
    assert cohort.official_test == {
        "00090003_000.png",
        "00090003_001.png",
        "00090005_000.png",
        "00090005_001.png",
        "00090005_002.png",
        "00090009_000.png",
    }


def test_without_the_official_list_there_is_no_official_test(copied):
    root = copied("chestxray14")
    (root / "test_list.txt").unlink()
    assert load("chestxray14", root).official_test == frozenset()


def test_the_official_test_holds_only_images_that_are_here(copied):
    root = copied("chestxray14")
    (root / "images" / "00090003_000.png").unlink()
    assert "00090003_000.png" not in load("chestxray14", root).official_test


def test_the_list_of_2017_and_numbered_folders(fixtures):
    cohort = load("chestxray14", fixtures / "other-layouts" / "chestxray14")
    assert cohort.listed == 6
    assert dict(cohort.left_out) == {"file missing": 2}
    assert cohort.missing == ("00090011_000.png", "00090012_000.png")
    assert cohort.table["path"].tolist() == [
        "images_001/images/00090001_000.png",
        "images_001/images/00090001_001.png",
        "images_002/images/00090002_000.png",
        "images_002/images/00090003_000.png",
    ]
    ages = cohort.table["age"].tolist()
    assert ages[:2] == [61.0, 61.0]
    assert pd.isna(ages[2])
    assert ages[3] == 0.5
    assert cohort.notes == ("ages that cannot be right, taken as unknown: 1",)


def test_the_newer_list_is_taken_where_both_are_here(copied):
    root = copied("chestxray14")
    (root / "Data_Entry_2017.csv").write_text("nonsense", encoding="utf-8")
    assert len(load("chestxray14", root)) == 16


def test_a_part_of_the_images_is_a_cohort_and_the_rest_is_counted(copied):
    root = copied("chestxray14")
    for name in ("00090001_000.png", "00090010_000.png"):
        (root / "images" / name).unlink()
    cohort = load("chestxray14", root)
    assert (cohort.listed, len(cohort), cohort.left_out["file missing"]) == (16, 14, 2)
    assert cohort.missing == ("00090001_000.png", "00090010_000.png")


def test_images_in_no_list_are_named_and_hidden_files_are_not(copied):
    root = copied("chestxray14")
    for name in ("00099999_000.png", "._00090001_000.png", "README.txt"):
        shutil.copy(root / "images" / "00090001_000.png", root / "images" / name)
    cohort = load("chestxray14", root)
    assert cohort.unlisted == ("00099999_000.png",)
    assert len(cohort) == 16


CSV = "Data_Entry_2017_v2020.csv"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Hernia|Emphysema",
            "Hernia|Covid",
            r"unknown finding 'Covid'; the 14 of ChestX-ray14 .* \(row 7; 1 in all",
        ),
        ("Hernia|Emphysema", "Hernia|No Finding", r"says both no finding and a finding \(row 7"),
        ("Hernia|Emphysema", "", r"column 'Finding Labels' is empty \(row 7"),
        ("Finding Labels", "Findings", "columns missing: Finding Labels; it has Image Index, Findings"),
    ],
)
def test_a_label_file_that_is_not_as_published_is_refused(old, new, message, copied, edited):
    root = copied("chestxray14")
    edited(root / CSV, old, new)
    with pytest.raises(DatasetError, match=message):
        load("chestxray14", root)


def test_an_image_listed_twice_is_refused(copied, edited):
    root = copied("chestxray14")
    edited(root / CSV, "00090001_001.png", "00090001_000.png")
    with pytest.raises(CohortError, match=r"image_id appears twice in 2 rows, first: 00090001_000\.png"):
        load("chestxray14", root)


def test_a_missing_label_file_says_what_to_download(copied):
    root = copied("chestxray14")
    (root / CSV).unlink()
    with pytest.raises(DatasetError, match=r"Data_Entry_2017_v2020.csv: no such file; download"):
        load("chestxray14", root)


def test_labels_without_any_image_are_refused(copied):
    root = copied("chestxray14")
    shutil.rmtree(root / "images")
    with pytest.raises(DatasetError, match="no PNG files in images/"):
        load("chestxray14", root)


def test_images_that_are_all_others_are_refused(copied):
    root = copied("chestxray14")
    for number, path in enumerate(sorted((root / "images").iterdir())):
        path.rename(path.with_name(f"other{number}.png"))
    with pytest.raises(DatasetError, match="none of the 16 images listed can be used: 16 file missing"):
        load("chestxray14", root)


def test_the_full_size_indexes_in_seconds_and_opens_no_file(tmp_path, monkeypatch):
    count = 112_120
    findings = ["No Finding", *FINDINGS, *(f"{a}|{b}" for a in FINDINGS for b in FINDINGS if a < b)]
    header = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
    names = [f"{number // 4 + 1:08d}_{number % 4:03d}.png" for number in range(count)]
    lines = (
        f"{name},{findings[number % len(findings)]},{number % 4},{number // 4 + 1},{number % 90},M,PA\n"
        for number, name in enumerate(names)
    )
    (tmp_path / CSV).write_text(header + "".join(lines), encoding="utf-8")
    listings = {}
    for part in range(12):
        images = tmp_path / f"images_{part + 1:03d}" / "images"
        images.mkdir(parents=True)
        listings[images] = [SimpleNamespace(name=name) for name in names[part::12]]
    # The files are only in the listings: whatever opened one to build the table would fail.
    scandir = folder.os.scandir
    monkeypatch.setattr(
        folder.os,
        "scandir",
        lambda path: nullcontext(listings[path]) if path in listings else scandir(path),
    )
    start = time.perf_counter()
    cohort = load("chestxray14", tmp_path)
    seconds = time.perf_counter() - start
    assert len(cohort) == count
    assert cohort.table["patient_id"].nunique() == count // 4
    assert seconds < 10


@pytest.mark.parametrize("sex", ["Patient Gender", "Patient Sex"])
def test_the_column_of_the_sex_has_two_names(sex, copied, edited):
    root = copied("chestxray14")
    edited(root / CSV, "Patient Gender", sex)
    assert set(load("chestxray14", root).table["sex"]) == {"M", "F"}


def test_a_list_with_neither_name_or_with_both_is_refused(copied, edited):
    root = copied("chestxray14")
    edited(root / CSV, "Patient Gender", "Gender")
    with pytest.raises(DatasetError, match="columns missing: Patient Gender or Patient Sex"):
        load("chestxray14", root)


def test_the_test_list_is_read_with_a_byte_order_mark_and_folders_and_refused_where_it_fits_nothing(copied):
    root = copied("chestxray14")
    official = load("chestxray14", root).official_test
    names = (root / "test_list.txt").read_text()
    (root / "test_list.txt").write_text("\n".join(f"images/{n}" for n in names.split()), encoding="utf-16")
    assert load("chestxray14", root).official_test == official != frozenset()
    (root / "test_list.txt").write_text("elsewhere.png\n")
    with pytest.raises(DatasetError, match=r"test_list\.txt: none of its 1 names, such as 'elsewhere\.png'"):
        load("chestxray14", root)
    (root / "test_list.txt").write_text("")
    with pytest.raises(DatasetError, match=r"test_list\.txt: nothing in it"):
        load("chestxray14", root)


def test_a_second_file_of_one_name_is_not_read_and_said(copied):
    root = copied("chestxray14")
    first, second = sorted((root / "images").glob("*.png"))[:2]
    (root / "images_012" / "images").mkdir(parents=True)
    (root / "images_012" / "images" / first.name).write_bytes(second.read_bytes())
    cohort = load("chestxray14", root)
    assert cohort.table.loc[cohort.table["image_id"] == first.name, "path"].item() == f"images/{first.name}"
    assert "files of a name that a file in another folder has, not read: 1" in cohort.notes
