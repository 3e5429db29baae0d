"""The RSNA challenge: boxes, classes, and label files that disagree."""

import shutil

import pandas as pd
import pydicom
import pytest

from cxrbench.cohort.boxes import BOX_PLACES, parse_boxes
from cxrbench.datasets import load
from cxrbench.errors import DatasetError

BOXES, CLASSES = "stage_2_train_labels.csv", "stage_2_detailed_class_info.csv"
FIRST = "00000000-0000-4000-8000-000000000001"
SECOND = "00000000-0000-4000-8000-000000000002"


def test_several_boxes_are_one_positive_image(fixtures):
    cohort = load("rsna-pneumonia", fixtures / "rsna-pneumonia")
    table = cohort.table
    assert (cohort.listed, len(cohort), cohort.labels) == (8, 8, ("Lung Opacity",))
    assert table["Lung Opacity"].tolist() == [1, 0, 0, 0, 1, 0, 0, 1]
    assert table["boxes"].tolist() == [2, 0, 0, 0, 1, 0, 0, 3]
    assert table.loc[0, "path"] == f"stage_2_train_images/{FIRST}.dcm"


def _larger(root, side):
    """Make every film of ``root`` of ``side`` px: the made ones are smaller than the boxes' pixels say."""
    for path in (root / "stage_2_train_images").iterdir():
        film = pydicom.dcmread(path)
        film.Rows, film.Columns = side, side + 24
        film.save_as(path)


def test_boxes_lie_where_the_square_that_is_read_shows_them(copied):
    root = copied("rsna-pneumonia")
    _larger(root, 1000)
    table = load("rsna-pneumonia", root).table
    # x 160 and 360, y 150, 210 wide and 380 high; of 1024 columns the middle 1000 are read.
    first, second = parse_boxes(table.loc[0, BOX_PLACES])
    assert first == pytest.approx((0.148, 0.15, 0.358, 0.53))
    assert second == pytest.approx((0.348, 0.15, 0.558, 0.53))
    assert [len(parse_boxes(text)) for text in table[BOX_PLACES]] == table["boxes"].tolist()
    assert table.loc[1, BOX_PLACES] == ""


def test_boxes_that_reach_out_of_their_film_have_no_known_place(fixtures):
    cohort = load("rsna-pneumonia", fixtures / "rsna-pneumonia")
    assert cohort.table[BOX_PLACES].isna().all()
    (note,) = cohort.notes
    assert "some reach out of a film of" in note


def test_a_list_without_places_has_boxes_without_places(copied, edited):
    root = copied("rsna-pneumonia")
    edited(root / BOXES, "y,width", "top,width")
    cohort = load("rsna-pneumonia", root)
    assert cohort.table["boxes"].tolist() == [2, 0, 0, 0, 1, 0, 0, 3]
    assert cohort.table[BOX_PLACES].isna().all()
    assert cohort.notes == ("boxes: where they lie is not known (no columns x, y, width, height)",)


def test_the_three_classes_are_kept(fixtures):
    table = load("rsna-pneumonia", fixtures / "rsna-pneumonia").table
    assert table["class"].value_counts().to_dict() == {
        "Lung Opacity": 3,
        "No Lung Opacity / Not Normal": 3,
        "Normal": 2,
    }


def test_a_patient_id_names_an_image_and_the_header_stays_unread(fixtures):
    table = load("rsna-pneumonia", fixtures / "rsna-pneumonia").table
    assert table["patient_id"].tolist() == table["image_id"].tolist()
    assert table[["view", "sex", "age"]].isna().all().all()


def test_a_part_of_the_images_is_a_cohort(copied):
    root = copied("rsna-pneumonia")
    (root / "stage_2_train_images" / f"{FIRST}.dcm").unlink()
    shutil.copy(root / "stage_2_train_images" / f"{SECOND}.dcm", root / "stage_2_train_images" / "new.dcm")
    cohort = load("rsna-pneumonia", root)
    assert (cohort.listed, len(cohort), dict(cohort.left_out)) == (8, 7, {"file missing": 1})
    assert cohort.missing == (f"{FIRST}.dcm",)
    assert cohort.unlisted == ("new.dcm",)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            CLASSES,
            f"{FIRST},Lung Opacity",
            f"{FIRST},Opacity",
            "unknown class; the three are Lung Opacity, No Lung",
        ),
        (
            CLASSES,
            f"{FIRST},Lung Opacity",
            f"{FIRST},Normal",
            r"an image has two classes \(row 3; 1 in all\)",
        ),
        (
            CLASSES,
            f"{SECOND},No Lung Opacity / Not Normal",
            f"{SECOND},Lung Opacity",
            "1 images have a Target",
        ),
        (
            CLASSES,
            SECOND,
            "other",
            "2 images appear in only one of .*, first: .*; take both files from one download",
        ),
        (
            BOXES,
            f"{SECOND},,,,,0",
            f"{SECOND},,,,,1",
            f"1 images have a Target .* contradicts, first: {SECOND}",
        ),
        (BOXES, "380.0,1", "380.0,0", f"1 images have a Target .* contradicts, first: {FIRST}"),
        (BOXES, "380.0,1", "380.0,yes", r"label 'Target' must be 0 or 1 \(row 2; 1 in all\)"),
        (BOXES, FIRST, "", r"column 'patientId' is empty \(row 2"),
        (BOXES, "Target", "target", "columns missing: Target"),
    ],
)
def test_label_files_that_are_wrong_or_disagree_are_refused(file, old, new, message, copied, edited):
    root = copied("rsna-pneumonia")
    edited(root / file, old, new)
    with pytest.raises(DatasetError, match=message):
        load("rsna-pneumonia", root)


@pytest.mark.parametrize("file", [BOXES, CLASSES])
def test_either_label_file_is_needed(file, copied):
    root = copied("rsna-pneumonia")
    (root / file).unlink()
    with pytest.raises(DatasetError, match=f"{file}: no such file; download the challenge's"):
        load("rsna-pneumonia", root)


def test_labels_without_any_image_are_refused(copied):
    root = copied("rsna-pneumonia")
    shutil.rmtree(root / "stage_2_train_images")
    with pytest.raises(DatasetError, match="no DICOM files in stage_2_train_images/"):
        load("rsna-pneumonia", root)


def test_the_same_picture_is_in_chestxray14_under_another_name(fixtures):
    ours = load("rsna-pneumonia", fixtures / "rsna-pneumonia")
    theirs = load("chestxray14", fixtures / "chestxray14")
    twin = pd.Index(theirs.table["image_id"]).get_loc("00090009_000.png")
    difference = ours.pixels.read(0, 32).astype(int) - theirs.pixels.read(twin, 32)
    assert abs(difference).max() <= 6
