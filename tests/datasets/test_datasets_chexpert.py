"""CheXpert: three tables, four layouts, -1 and empty cells."""

import shutil

import pytest

from cxrbench.datasets import discover, load
from cxrbench.errors import DatasetError

ARCHIVE = "CheXpert-v1.0-small"
FIRST = "train/patient90001/study1/view1_frontal.jpg"


def row(cohort, image):
    return cohort.table.set_index("image_id").loc[image]


@pytest.fixture
def cohort(fixtures):
    return load("chexpert", fixtures / "chexpert")


def test_what_is_not_frontal_or_not_here_is_counted(cohort):
    assert (cohort.listed, len(cohort)) == (13, 9)
    assert dict(cohort.left_out) == {
        "lateral view": 2,
        "other view (oblique, decubitus, ...)": 1,
        "file missing": 1,
    }
    assert cohort.missing == ("train/patient90005/study3/view2_frontal.jpg",)
    assert cohort.unlisted == ()


def test_patients_views_sexes_ages_and_parts(cohort):
    table = cohort.table
    assert table["patient_id"].nunique() == 8
    assert table["view"].value_counts().to_dict() == {"AP": 5, "PA": 2}
    assert row(cohort, FIRST)[["sex", "age", "source", "view"]].tolist() == ["F", 68, "train", "AP"]
    unknown = row(cohort, "train/patient90003/study1/view1_frontal.jpg")
    assert unknown[["sex", "age"]].isna().all()
    assert table["source"].value_counts().to_dict() == {"train": 5, "valid": 2, "test": 2}
    assert row(cohort, "test/patient94741/study1/view1_frontal.jpg")[["view", "sex", "age"]].isna().all()


def test_the_test_set_is_the_official_test_where_it_is_here(cohort, copied):
    assert {name.split("/")[0] for name in cohort.official_test} == {"test"}
    assert "the official test is the test set" in cohort.notes
    root = copied("chexpert")
    (root / ARCHIVE / "test_labels.csv").unlink()
    without = load("chexpert", root)
    assert {name.split("/")[0] for name in without.official_test} == {"valid"}
    assert without.unlisted == (
        f"{ARCHIVE}/test/patient94741/study1/view1_frontal.jpg",
        f"{ARCHIVE}/test/patient94742/study1/view1_frontal.jpg",
    )


def test_the_training_set_alone_has_no_official_test(copied):
    root = copied("chexpert") / ARCHIVE
    (root / "test_labels.csv").unlink()
    (root / "valid.csv").unlink()
    cohort = load("chexpert", root)
    assert (len(cohort), cohort.official_test) == (5, frozenset())
    assert "no official test: neither the test set nor the validation set is here" in cohort.notes


def test_laterals_stay_where_asked_for(fixtures):
    cohort = load("chexpert", fixtures / "chexpert", laterals=True)
    assert (cohort.table["view"] == "lateral").sum() == 2
    assert "lateral view" not in cohort.left_out
    with pytest.raises(DatasetError, match="laterals must be true or false, not 'yes'"):
        load("chexpert", fixtures / "chexpert", laterals="yes")


def test_an_empty_cell_is_unknown_unless_the_user_says_otherwise(fixtures):
    devices = "train/patient90005/study3/view1_frontal.jpg"
    sick = "train/patient90002/study2/view1_frontal.jpg"
    expected = {
        "unknown": (None, None, None, 1),
        "negative": (0, 0, 0, 1),
        "negative-if-no-finding": (0, 0, None, 1),
    }
    for unmentioned, (healthy_edema, healthy_fracture, sick_fracture, sick_edema) in expected.items():
        cohort = load("chexpert", fixtures / "chexpert", unmentioned=unmentioned)
        healthy = row(cohort, devices)
        seen = (
            healthy["Edema"],
            healthy["Fracture"],
            row(cohort, sick)["Fracture"],
            row(cohort, sick)["Edema"],
        )
        assert [None if value != value else value for value in seen] == [
            healthy_edema,
            healthy_fracture,
            sick_fracture,
            sick_edema,
        ], unmentioned
        assert healthy["Support Devices"] == 1
    with pytest.raises(DatasetError, match="unmentioned must be 'unknown', 'negative' or"):
        load("chexpert", fixtures / "chexpert", unmentioned="zero")


def test_no_finding_is_never_unknown(cohort):
    train = cohort.table[cohort.table["source"] == "train"]
    assert train["No Finding"].tolist() == [1, 0, 0, 0, 1]


def test_the_batches_of_the_full_size_download_are_read_as_they_are(copied, tmp_path):
    small = copied("chexpert") / ARCHIVE
    root = tmp_path / "chexpertchestxrays"
    first = root / "CheXpert-v1.0 batch 1 (validate & csv)"
    first.mkdir(parents=True)
    for name in ("train.csv", "valid.csv"):
        text = (small / name).read_text(encoding="utf-8")
        (first / name).write_text(text.replace(ARCHIVE, "CheXpert-v1.0"), encoding="utf-8")
    shutil.move(small / "valid", first / "valid")
    for number, patients in ((2, ("patient90001", "patient90002")), (3, ("patient90003", "patient90005"))):
        batch = root / f"CheXpert-v1.0 batch {number} (train {number - 1})"
        batch.mkdir()
        for patient in patients:
            shutil.move(small / "train" / patient, batch / patient)
    shutil.rmtree(small.parent)
    cohort = load("chexpert", discover(tmp_path, "chexpert"))
    assert len(cohort) == 7
    assert row(cohort, FIRST)["path"] == (
        "CheXpert-v1.0 batch 2 (train 1)/patient90001/study1/view1_frontal.jpg"
    )
    assert all((root / path).is_file() for path in cohort.table["path"])


def test_the_folder_of_the_tables_itself_can_be_named(fixtures):
    cohort = load("chexpert", fixtures / "chexpert" / ARCHIVE)
    assert row(cohort, FIRST)["path"] == FIRST


def test_another_train_csv_is_not_taken_for_it(tmp_path):
    (tmp_path / "train.csv").write_text("image_id,class_name\na,b\n", encoding="utf-8")
    with pytest.raises(DatasetError, match="no chexpert data"):
        discover(tmp_path, "chexpert")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Frontal,AP,1.0", "Frontal,AP,2.0", r"label 'No Finding' must be 1, 0, -1 .* \(row 2; 1 in all\)"),
        ("Frontal,AP,1.0", "Front,AP,1.0", r"column 'Frontal/Lateral' must say so \(row 2"),
        ("train/patient90001/", "train/p1/", r"'Path' must end like train/patient00001/.* \(row 2"),
        ("train/patient90001/", "valid/patient90001/", r"a path of another part than train \(row 2"),
        ("patient90002/study2", "patient90002/study1", r"an image appears twice \(row 3, 5; 2 in all\)"),
        ("Pneumothorax,", "Ptx,", "columns missing: Pneumothorax"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_by_row(old, new, message, copied, edited):
    root = copied("chexpert")
    edited(root / ARCHIVE / "train.csv", old, new)
    with pytest.raises(DatasetError, match=message):
        load("chexpert", root)


def test_tables_without_any_image_are_refused(copied):
    root = copied("chexpert")
    for part in ("train", "valid", "test"):
        shutil.rmtree(root / ARCHIVE / part)
    with pytest.raises(DatasetError, match="no JPEG files in train/, valid/ or test/"):
        load("chexpert", root)
