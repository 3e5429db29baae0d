"""VinDr-CXR: several readers per image, two editions."""

import shutil

import pytest

from cxrbench.datasets import discover, load
from cxrbench.datasets.vindr_cxr import FINDINGS
from cxrbench.errors import DatasetError

TRAIN, TEST = "annotations/image_labels_train.csv", "annotations/image_labels_test.csv"
SECOND, THIRD, FOURTH = (f"f0000000000000000000000{number}" for number in (2, 3, 4))


def labels(cohort, image):
    row = cohort.table.set_index("image_id").loc[image]
    return {label: row[label] for label in cohort.labels if row[label] != 0}


def test_both_parts_are_read_and_the_test_is_official(fixtures):
    cohort = load("vindr-cxr", fixtures / "vindr-cxr")
    assert (cohort.listed, len(cohort), cohort.labels) == (7, 6, FINDINGS)
    assert dict(cohort.left_out) == {"file missing": 1}
    assert cohort.missing == ("train/f00000000000000000000005.dicom",)
    tested = cohort.table[cohort.table["source"] == "test"]
    assert cohort.official_test == set(tested["image_id"])
    assert tested["Pneumothorax"].tolist() == [0, 1]
    assert set(cohort.table["view"]) == {"PA"}
    assert cohort.table["patient_id"].tolist() == cohort.table["image_id"].tolist()


def test_more_than_half_of_the_readers_decide(fixtures):
    cohort = load("vindr-cxr", fixtures / "vindr-cxr")
    assert labels(cohort, SECOND) == {"Cardiomegaly": 1}
    assert labels(cohort, THIRD) == {"No finding": 1}
    assert labels(cohort, FOURTH) == {"Lung Opacity": 1}


def test_one_reader_may_be_enough_but_not_for_no_finding(fixtures):
    cohort = load("vindr-cxr", fixtures / "vindr-cxr", readers="any")
    assert labels(cohort, SECOND) == {"Cardiomegaly": 1, "Pleural effusion": 1}
    assert labels(cohort, THIRD) == {"Nodule/Mass": 1}
    assert set(labels(cohort, FOURTH)) == {"Lung Opacity", "Pneumonia", "Tuberculosis"}


def test_disagreement_is_not_known_where_all_must_agree(fixtures):
    cohort = load("vindr-cxr", fixtures / "vindr-cxr", readers="unanimous")
    row = cohort.table.set_index("image_id").loc[SECOND]
    assert (row["Cardiomegaly"], row["Atelectasis"]) == (1, 0)
    assert row["Pleural effusion"] not in (0, 1)
    with pytest.raises(DatasetError, match="readers must be 'majority', 'any' or 'unanimous', not 'two'"):
        load("vindr-cxr", fixtures / "vindr-cxr", readers="two")


def test_the_challenges_boxes_give_the_same_labels(fixtures):
    root = fixtures / "other-layouts" / "vindr-cxr"
    for readers in ("majority", "any"):
        challenge = load("vindr-cxr", root, readers=readers)
        physionet = load("vindr-cxr", fixtures / "vindr-cxr", readers=readers)
        for image in (SECOND, THIRD):
            assert labels(challenge, image) == labels(physionet, image), (readers, image)
    assert challenge.labels == (
        "Cardiomegaly",
        "Lung Opacity",
        "Nodule/Mass",
        "Pleural effusion",
        "No finding",
    )
    assert challenge.official_test == frozenset()
    assert challenge.unlisted == ("test/e00000000000000000000001.dicom",)


def test_the_training_part_alone_is_a_cohort(copied):
    root = copied("vindr-cxr")
    (root / TEST).unlink()
    cohort = load("vindr-cxr", root)
    assert (len(cohort), cohort.official_test) == (4, frozenset())
    assert len(cohort.unlisted) == 2


def test_either_edition_is_known_by_its_table(copied, fixtures, tmp_path):
    copied("vindr-cxr")
    assert discover(tmp_path, "vindr-cxr") == tmp_path / "vindr-cxr"
    assert discover(fixtures / "other-layouts", "vindr-cxr").name == "vindr-cxr"


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (TRAIN, f"{SECOND},R8,0", f"{SECOND},R8,2", r"label 'Aortic enlargement' must be 0 or 1 \(row 5"),
        (
            TRAIN,
            f"{SECOND},R8",
            f"{SECOND},R9",
            r"an image appears twice for one reader \(row 5, 6; 2 in all\)",
        ),
        (TRAIN, "Edema,", "Oedema,", "columns missing: Edema"),
        (TEST, "e00000000000000000000002", "e00000000000000000000001", r"appears twice for one reader"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_by_row(table, old, new, message, copied, edited):
    root = copied("vindr-cxr")
    edited(root / table, old, new)
    with pytest.raises(DatasetError, match=message):
        load("vindr-cxr", root)


def test_an_unknown_class_of_the_challenge_is_refused(copied, edited):
    root = copied("other-layouts/vindr-cxr")
    edited(root / "train.csv", "Nodule/Mass", "Nodule")
    with pytest.raises(DatasetError, match=r"unknown class; those of VinDr-CXR are Aortic .* \(row 10"):
        load("vindr-cxr", root)


def test_tables_without_any_image_are_refused(copied):
    root = copied("vindr-cxr")
    for part in ("train", "test"):
        shutil.rmtree(root / part)
    with pytest.raises(DatasetError, match="no DICOM files in train/ or test/"):
        load("vindr-cxr", root)
