"""Shenzhen and Montgomery: labels in names, people in small texts."""

import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.errors import DatasetError


@pytest.fixture
def table(fixtures):
    return load("nlm-tuberculosis", fixtures / "nlm-tuberculosis").table.set_index("image_id")


def test_the_last_figure_of_the_name_is_the_label(table):
    assert table["Tuberculosis"].to_dict() == {
        "MCUCXR_9001_0": 0,
        "MCUCXR_9002_1": 1,
        "CHNCXR_9001_0": 0,
        "CHNCXR_9002_1": 1,
        "CHNCXR_9003_1": 1,
        "CHNCXR_9004_0": 0,
        "CHNCXR_9005_1": 1,
    }
    assert table["source"].value_counts().to_dict() == {"Shenzhen": 5, "Montgomery": 2}
    assert set(table["view"]) == {"PA"}


@pytest.mark.parametrize(
    ("image", "sex", "age", "reading"),
    [
        ("MCUCXR_9001_0", "F", 27, "normal"),
        ("MCUCXR_9002_1", "M", 40, "cavitary infiltrate, left"),
        ("CHNCXR_9001_0", "M", 45, "normal"),
        ("CHNCXR_9002_1", "F", 28, "right PTB"),
        ("CHNCXR_9003_1", "F", 32, "normal"),
        ("CHNCXR_9004_0", "M", 16 / 12, "normal"),
    ],
)
def test_readings_of_both_forms_give_sex_age_and_finding(image, sex, age, reading, table):
    assert table.loc[image, ["sex", "age", "reading"]].tolist() == [sex, age, reading]


def test_what_readings_lack_or_contradict_is_noted(fixtures, table):
    assert table.loc["CHNCXR_9005_1", ["sex", "age", "reading"]].isna().all()
    assert load("nlm-tuberculosis", fixtures / "nlm-tuberculosis").notes == (
        "images without a reading, so without sex and age: 1",
        "images named as tuberculosis whose reading is 'normal': 1",
    )


@pytest.mark.parametrize("number", ["9" * 400, "1234", "140"])
def test_an_age_that_cannot_be_is_unknown(number, copied, edited):
    root = copied("nlm-tuberculosis")
    edited(root / "ChinaSet_AllFiles" / "ClinicalReadings" / "CHNCXR_9001_0.txt", "45", number)
    table = load("nlm-tuberculosis", root).table.set_index("image_id")
    assert table.loc["CHNCXR_9001_0", ["age"]].isna().all()
    assert table.loc["CHNCXR_9001_0", "sex"] == "M"


@pytest.mark.parametrize("folder", ["MontgomerySet", "ChinaSet_AllFiles"])
def test_one_set_alone_is_read_from_its_own_folder(folder, fixtures):
    cohort = load("nlm-tuberculosis", fixtures / "nlm-tuberculosis" / folder)
    assert cohort.table["path"].str.startswith("CXR_png/").all()
    assert cohort.table["source"].nunique() == 1


def test_a_name_that_is_not_as_published_is_refused(copied):
    root = copied("nlm-tuberculosis")
    images = root / "MontgomerySet" / "CXR_png"
    shutil.copy(images / "MCUCXR_9001_0.png", images / "MCUCXR_9001_2.png")
    with pytest.raises(DatasetError, match=r"1 file names are not as published, such as .*9001_2\.png"):
        load("nlm-tuberculosis", root)


def test_palette_images_are_read(fixtures):
    cohort = load("nlm-tuberculosis", fixtures / "nlm-tuberculosis")
    assert all(cohort.pixels.read(row, 16).shape == (16, 16) for row in range(len(cohort)))
