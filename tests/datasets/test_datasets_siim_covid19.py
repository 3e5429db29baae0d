"""The SIIM-FISABIO-RSNA challenge: a study's labels, an image's boxes."""

import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.datasets.siim_covid19 import APPEARANCES, OPACITY
from cxrbench.errors import DatasetError

IMAGES, STUDIES = "train_image_level.csv", "train_study_level.csv"


def test_images_have_the_labels_of_their_study(fixtures):
    cohort = load("siim-covid19", fixtures / "siim-covid19")
    assert (cohort.listed, len(cohort), cohort.labels) == (6, 5, (*APPEARANCES, OPACITY))
    assert dict(cohort.left_out) == {"file missing": 1}
    assert cohort.missing == ("f00000000051.dcm",)
    table = cohort.table.set_index("image_id")
    assert table.loc["f00000000011", list(APPEARANCES)].tolist() == [0, 1, 0, 0]
    assert table.loc["f00000000021", list(APPEARANCES)].tolist() == [1, 0, 0, 0]
    assert table["Indeterminate Appearance"].sum() == 2
    assert table.loc["f00000000011", "path"] == "train/f0000000001/a1/f00000000011.dcm"
    assert table.loc["f00000000031", "patient_id"] == table.loc["f00000000032", "patient_id"] == "f0000000003"
    assert table[["view", "sex", "age"]].isna().all().all()


def test_an_image_without_boxes_next_to_one_with_boxes_is_not_known_to_be_clear(fixtures):
    table = load("siim-covid19", fixtures / "siim-covid19").table.set_index("image_id")
    assert table["boxes"].to_dict() == {
        "f00000000011": 2,
        "f00000000021": 0,
        "f00000000031": 1,
        "f00000000032": 0,
        "f00000000041": 0,
    }
    assert table.loc[["f00000000011", "f00000000021", "f00000000031", "f00000000041"], OPACITY].tolist() == [
        1,
        0,
        1,
        0,
    ]
    assert table.loc["f00000000032", OPACITY] not in (0, 1)


def test_studies_count_as_patients_and_that_is_noted(fixtures):
    cohort = load("siim-covid19", fixtures / "siim-covid19")
    assert cohort.notes == ("a study counts as a patient; studies with several images: 1",)
    assert cohort.official_test == frozenset()


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (STUDIES, "f0000000001_study,0,1", "f0000000001_study,1,1", r"one of the four labels \(row 2"),
        (STUDIES, "f0000000001_study,0,1", "f0000000001_study,0,x", r"must be 0 or 1 \(row 2"),
        (STUDIES, "f0000000002_study", "f0000000001_study", r"a study appears twice \(row 2, 3"),
        (STUDIES, "f0000000002_study", "f0000000009_study", rf"{IMAGES}: a study that is not in .* \(row 3"),
        (IMAGES, "none 1 0 0 1 1", "clear 1 0 0 1 1", r"must begin with opacity or none \(row 3; 1 in all\)"),
        (IMAGES, "f00000000021_image", "f00000000011_image", r"an image appears twice \(row 2, 3"),
        (IMAGES, "StudyInstanceUID", "Study", "columns missing: StudyInstanceUID"),
    ],
)
def test_tables_that_are_wrong_or_do_not_belong_together_are_refused(
    table, old, new, message, copied, edited
):
    root = copied("siim-covid19")
    edited(root / table, old, new)
    with pytest.raises(DatasetError, match=message):
        load("siim-covid19", root)


def test_tables_without_any_image_are_refused(copied):
    root = copied("siim-covid19")
    shutil.rmtree(root / "train")
    with pytest.raises(DatasetError, match="no DICOM files in train/"):
        load("siim-covid19", root)
