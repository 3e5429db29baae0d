"""PadChest: lists of words, 16-bit PNG, views with names of their own."""

import shutil

import numpy as np
import pytest

from cxrbench.datasets import load
from cxrbench.datasets.padchest import FINDINGS
from cxrbench.errors import DatasetError
from cxrbench.radiograph import read

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"


@pytest.fixture
def cohort(fixtures):
    return load("padchest", fixtures / "padchest")


def row(cohort, image):
    return cohort.table.set_index("image_id").loc[image]


def positives(cohort, image):
    return {label for label in cohort.labels if row(cohort, image)[label] == 1}


def test_what_is_left_out_is_counted_by_reason(cohort):
    assert (cohort.listed, len(cohort)) == (13, 6)
    assert dict(cohort.left_out) == {
        "lateral view": 1,
        "other view (oblique, decubitus, ...)": 1,
        "view not known": 1,
        "no label": 2,
        "marked 'exclude'": 1,
        "file missing": 1,
    }
    assert cohort.missing == ("912_a.png",)
    assert cohort.official_test == frozenset()


def test_words_count_with_a_blank_before_them_and_under_the_broader_label(cohort):
    assert cohort.labels == tuple(FINDINGS)
    assert positives(cohort, "902_a.png") == {"pleural effusion", "atelectasis"}
    assert positives(cohort, "903_a.png") == {"pneumonia", "infiltrates"}
    assert not row(cohort, "901_a.png")[list(cohort.labels)].any()


def test_unchanged_leaves_what_is_not_named_unknown(cohort):
    labels = row(cohort, "904_a.png")[list(cohort.labels)]
    assert labels["cardiomegaly"] == 1
    assert labels.drop("cardiomegaly").isna().all()


def test_views_ages_sexes_and_who_labelled(cohort):
    supine = row(cohort, "902_a.png")
    assert supine[["view", "sex", "age", "label_method"]].tolist() == ["AP supine", "M", 65, "RNN_model"]
    assert row(cohort, "905_a.png")[["sex", "age"]].isna().all()
    assert supine["path"] == "1/902_a.png"
    assert load("padchest", cohort.pixels.root, laterals=True).table["view"].eq("lateral").sum() == 1


def test_normal_with_a_further_label_is_noted_and_the_label_counts(cohort):
    assert positives(cohort, "911_a.png") == {"nodule"}
    assert cohort.notes == ("images that are called normal and have a further label: 1",)


def test_other_words_can_be_the_labels(fixtures):
    cohort = load("padchest", fixtures / "padchest", labels=["goiter", "atelectasis"])
    assert cohort.labels == ("goiter", "atelectasis")
    assert positives(cohort, "905_a.png") == {"goiter"}
    assert positives(cohort, "902_a.png") == {"atelectasis"}
    with pytest.raises(DatasetError, match="no image is labelled 'goitre'; did you mean 'goiter'"):
        load("padchest", fixtures / "padchest", labels=["goitre"])
    with pytest.raises(DatasetError, match=r"labels must be a list of words, not 'goiter'"):
        load("padchest", fixtures / "padchest", labels="goiter")


def test_the_sixteen_bits_of_the_png_are_read(fixtures):
    image = read(fixtures / "padchest" / "0" / "901_a.png")
    assert image.dtype == np.uint16
    assert image.max() > 20_000


def test_images_may_all_lie_in_one_folder(copied):
    root = copied("padchest")
    for path in [*root.glob("*/*.png")]:
        shutil.move(path, root / path.name)
    cohort = load("padchest", root)
    assert (len(cohort), row(cohort, "902_a.png")["path"]) == (6, "902_a.png")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\"['pneumonia', 'infiltrates']\"", "pneumonia", r"'Labels' must be a list .* \(row 5; 1 in all\)"),
        ("903_a.png", "904_a.png", r"an image appears twice \(row 5, 6; 2 in all\)"),
        ("P903", "", r"column 'PatientID' is empty \(row 5"),
        ("Projection,", "View,", "columns missing: Projection"),
    ],
)
def test_a_table_that_is_not_as_published_is_refused_by_row(old, new, message, copied, edited):
    root = copied("padchest")
    edited(root / TABLE, old, new)
    with pytest.raises(DatasetError, match=message):
        load("padchest", root)


def test_a_table_without_any_image_is_refused(copied):
    root = copied("padchest")
    for folder in ("0", "1"):
        shutil.rmtree(root / folder)
    with pytest.raises(DatasetError, match="no PNG files in it or below it"):
        load("padchest", root)
