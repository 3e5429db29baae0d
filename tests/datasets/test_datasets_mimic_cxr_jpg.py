"""MIMIC-CXR-JPG: four tables that must belong together, compressed or not."""

import gzip
import shutil

import pytest

from cxrbench.datasets import load
from cxrbench.errors import DatasetError

METADATA, SPLIT = "mimic-cxr-2.0.0-metadata.csv", "mimic-cxr-2.0.0-split.csv"
CHEXPERT, NEGBIO = "mimic-cxr-2.0.0-chexpert.csv", "mimic-cxr-2.0.0-negbio.csv"
FIRST = "0000000a-00000000-00000000-00000000-00000001"
THIRD = "0000000a-00000000-00000000-00000000-00000003"


@pytest.fixture
def unpacked(copied):
    """Return a copy whose tables are not compressed, to edit."""
    root = copied("mimic-cxr-jpg")
    for packed in root.glob("*.gz"):
        packed.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        packed.unlink()
    return root


def test_what_is_left_out_is_counted_by_reason(fixtures):
    cohort = load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg")
    assert (cohort.listed, len(cohort)) == (11, 5)
    assert dict(cohort.left_out) == {
        "lateral view": 2,
        "other view (oblique, decubitus, ...)": 1,
        "view not known": 1,
        "study not labelled by chexpert": 1,
        "file missing": 1,
    }
    name = "0000000f-00000000-00000000-00000000-00000001.jpg"
    assert cohort.missing == (f"files/p98/p9800000006/s9800000061/{name}",)
    assert cohort.unlisted == ()


def test_a_studys_labels_hold_for_its_images(fixtures):
    table = load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg", laterals=True).table.set_index("image_id")
    assert table["patient_id"].nunique() == 3
    assert table.loc[FIRST, "path"] == f"files/p99/p9900000001/s9900000011/{FIRST}.jpg"
    same = table[table["study"] == "9900000011"]
    assert (same["view"].tolist(), same["No Finding"].tolist(), same["Pneumothorax"].tolist()) == (
        ["PA", "lateral"],
        [1, 1],
        [0, 0],
    )
    assert table.loc[THIRD, ["Edema", "Support Devices", "No Finding"]].tolist() == [1, 1, 0]
    assert table.loc[FIRST, ["sex", "age"]].isna().all()


def test_the_official_test_is_the_split_tables(fixtures):
    cohort = load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg")
    by_part = cohort.table.groupby("source")["image_id"].agg(set)
    assert cohort.official_test == by_part["test"]
    assert {part: len(images) for part, images in by_part.items()} == {"train": 2, "validate": 1, "test": 2}


def test_negbio_may_label_instead(fixtures):
    cohort = load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg", labeller="negbio")
    table = cohort.table.set_index("study")
    assert "study not labelled by negbio" not in cohort.left_out
    assert table.loc["9900000021", "Pneumonia"] == 1
    assert table.loc["9800000051", "No Finding"] == 1
    with pytest.raises(DatasetError, match="labeller must be 'chexpert' or 'negbio', not 'chexbert'"):
        load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg", labeller="chexbert")


def test_compressed_and_unpacked_tables_give_the_same(fixtures, unpacked):
    packed = load("mimic-cxr-jpg", fixtures / "mimic-cxr-jpg")
    assert packed.table.equals(load("mimic-cxr-jpg", unpacked).table)


def test_a_download_that_broke_off_is_refused_in_one_line(copied):
    root = copied("mimic-cxr-jpg")
    path = root / f"{CHEXPERT}.gz"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DatasetError, match=r"chexpert\.csv\.gz: .*download it again") as raised:
        load("mimic-cxr-jpg", root)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        (SPLIT, ",test\n", ",holdout\n", r"'split' must be train, validate, test \(row 6; 1 in all\)"),
        (SPLIT, ",test\n", ",train\n", r"a patient is in two parts \(row 6, 7, 8; 3 in all\)"),
        (SPLIT, FIRST, "gone", r"metadata\.csv: an image is not in .*split\.csv; .* \(row 2; 1 in all\)"),
        (METADATA, THIRD, FIRST, r"a dicom_id appears twice \(row 2, 4; 2 in all\)"),
        (METADATA, "ViewPosition", "View", "columns missing: ViewPosition"),
        (CHEXPERT, "9900000012,", "9900000011,", r"a study appears twice \(row 2, 3; 2 in all\)"),
        (
            CHEXPERT,
            "9900000001,9900000011,1.0",
            "9900000001,9900000011,3.0",
            r"'No Finding' must be 1, 0, -1",
        ),
    ],
)
def test_tables_that_are_wrong_or_do_not_belong_together_are_refused(
    table, old, new, message, unpacked, edited
):
    edited(unpacked / table, old, new)
    with pytest.raises(DatasetError, match=message):
        load("mimic-cxr-jpg", unpacked)


@pytest.mark.parametrize("name", [METADATA, SPLIT, CHEXPERT])
def test_each_of_the_three_tables_is_needed(name, unpacked):
    (unpacked / name).unlink()
    with pytest.raises(DatasetError, match=f"{name}: no such file; download it from PhysioNet"):
        load("mimic-cxr-jpg", unpacked)


def test_tables_without_any_image_are_refused(unpacked):
    shutil.rmtree(unpacked / "files")
    with pytest.raises(DatasetError, match="no JPEG files in files/"):
        load("mimic-cxr-jpg", unpacked)
