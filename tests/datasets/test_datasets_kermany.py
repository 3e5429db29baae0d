"""Kermany's folders: patients from file names, causes, the test folder, what does not fit."""

import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.errors import DatasetError


def test_label_patient_and_cause_come_from_folder_and_name(fixtures):
    table = load("kermany", fixtures / "kermany").table.set_index("image_id")
    columns = ["patient_id", "Pneumonia", "source", "path"]
    assert table.loc["train/PNEUMONIA/person9003_bacteria_90010.jpeg", [*columns, "cause"]].tolist() == [
        "person9003",
        1.0,
        "train",
        "chest_xray/train/PNEUMONIA/person9003_bacteria_90010.jpeg",
        "bacteria",
    ]
    assert table.loc["test/NORMAL/IM-9001-0001.jpeg", columns].tolist() == [
        "IM-9001",
        0.0,
        "test",
        "chest_xray/test/NORMAL/IM-9001-0001.jpeg",
    ]
    assert table["cause"].value_counts().to_dict() == {"bacteria": 5, "virus": 2}
    assert table["cause"].isna().equals(table["Pneumonia"] == 0)


def test_images_of_one_study_are_one_patient(fixtures):
    cohort = load("kermany", fixtures / "kermany")
    assert cohort.table["patient_id"].nunique() == 12
    assert (cohort.table["patient_id"] == "NORMAL2-IM-9529").sum() == 2


def test_the_test_folder_is_the_official_test(fixtures):
    cohort = load("kermany", fixtures / "kermany")
    assert sorted(cohort.official_test) == [
        "test/NORMAL/IM-9001-0001.jpeg",
        "test/NORMAL/NORMAL2-IM-9023-0001.jpeg",
        "test/PNEUMONIA/person9016_virus_90047.jpeg",
        "test/PNEUMONIA/person9078_bacteria_90378.jpeg",
    ]
    assert cohort.notes == ()


def test_there_is_no_official_test_where_a_patient_is_on_both_sides(copied):
    root = copied("kermany")
    folder = root / "chest_xray"
    shutil.copy(
        folder / "test/PNEUMONIA/person9016_virus_90047.jpeg",
        folder / "train/PNEUMONIA/person9016_bacteria_90001.jpeg",
    )
    cohort = load("kermany", root)
    assert cohort.official_test == frozenset()
    assert cohort.notes == ("test/ is not the official test: it shares 1 patient with train/ or val/",)


def test_val_may_be_absent(copied):
    root = copied("kermany")
    shutil.rmtree(root / "chest_xray" / "val")
    assert len(load("kermany", root)) == 12


def test_the_root_may_be_chest_xray_itself(fixtures):
    cohort = load("kermany", fixtures / "kermany" / "chest_xray")
    assert len(cohort) == 14
    assert cohort.table.loc[0, "path"] == cohort.table.loc[0, "image_id"] == "train/NORMAL/IM-9115-0001.jpeg"


def test_the_names_of_the_third_edition(tmp_path):
    for name in (
        "train/NORMAL/NORMAL-900001-0001.jpeg",
        "train/PNEUMONIA/BACTERIA-900002-0001.jpeg",
        "train/PNEUMONIA/BACTERIA-900002-0002.jpeg",
        "test/PNEUMONIA/VIRUS-900003-0001.jpeg",
    ):
        path = tmp_path / "chest_xray" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    table = load("kermany", tmp_path).table
    assert table["patient_id"].tolist() == ["900001", "900002", "900002", "900003"]
    assert table["cause"].fillna("").tolist() == ["", "bacteria", "bacteria", "virus"]
    assert table["Pneumonia"].tolist() == [0.0, 1.0, 1.0, 1.0]


def test_hidden_and_other_files_are_no_images(copied):
    root = copied("kermany")
    for name in (".DS_Store", "._IM-9115-0001.jpeg", "notes.txt"):
        (root / "chest_xray/train/NORMAL" / name).touch()
    assert len(load("kermany", root)) == 14


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "train/NORMAL/film.jpeg",
            "1 file names give no patient, such as chest_xray/train/NORMAL/film.jpeg; expected",
        ),
        ("train/NORMAL/person9_virus_1.jpeg", "1 file names contradict their folder"),
        ("train/PNEUMONIA/IM-9999-0001.jpeg", "1 file names contradict their folder"),
        ("train/COVID/person9_virus_1.jpeg", "unknown label folder; the classes are NORMAL, PNEUMONIA"),
    ],
)
def test_a_name_or_folder_that_does_not_fit_is_refused(name, message, copied):
    root = copied("kermany")
    path = root / "chest_xray" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(DatasetError, match=message):
        load("kermany", root)


def test_empty_class_folders_are_refused(tmp_path):
    (tmp_path / "chest_xray/train/NORMAL").mkdir(parents=True)
    with pytest.raises(DatasetError, match="no images in train, test, val; unpack the archive again"):
        load("kermany", tmp_path)
