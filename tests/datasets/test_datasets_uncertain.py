"""Which archives call labels uncertain, and that a policy decides them."""

import numpy as np
import pytest

from cxrbench.datasets import adapter, load
from cxrbench.datasets.vocabulary import common_name, find_label

MIMIC = "0000000a-00000000-00000000-00000000-00000003", "0000000b-00000000-00000000-00000000-00000001"
CASES = {
    "chexpert": (
        {},
        {
            "Edema": {"train/patient90002/study1/view1_frontal.jpg"},
            "Consolidation": {"train/patient90002/study2/view1_frontal.jpg"},
        },
    ),
    "mimic-cxr-jpg": ({}, {"Pleural Effusion": {MIMIC[0]}, "Pneumonia": {MIMIC[1]}}),
    "vindr-cxr": (
        {"readers": "unanimous"},
        {
            "Pleural effusion": {"f00000000000000000000002"},
            "Nodule/Mass": {"f00000000000000000000003"},
            "No finding": {"f00000000000000000000003"},
            "Lung Opacity": {"f00000000000000000000004"},
            "Pneumonia": {"f00000000000000000000004"},
            "Tuberculosis": {"f00000000000000000000004"},
        },
    ),
    "midrc-ricord-1c": (
        {},
        {
            label: {"1.2.826.0.1.3680043.10.474.50003.1/1"}
            for label in ("Negative for Pneumonia", "Typical Appearance", "Indeterminate Appearance")
        },
    ),
    "bimcv-covid19": ({}, {"COVID 19": {"sub-S90001_ses-E90002_acq-2_run-1_bp-chest_vp-pa_cr"}}),
}
NONE = ("padchest", "siim-covid19", "covidx", "openi", "nlm-tuberculosis")


def uncertain(cohort):
    """Return label -> the images of which it is uncertain."""
    images = cohort.table["image_id"].to_numpy()
    return {label: set(images[mask]) for label, mask in cohort.uncertain.items() if mask.any()}


@pytest.mark.parametrize("name", CASES)
def test_uncertain_labels_are_kept_apart_from_unknown_ones(name, fixtures):
    options, expected = CASES[name]
    cohort = load(name, fixtures / name, **options)
    assert uncertain(cohort) == expected
    for label, images in expected.items():
        rows = cohort.table["image_id"].isin(images)
        assert cohort.table.loc[rows, label].isna().all()
        assert (cohort.decided({label: "ones"}).table.loc[rows, label] == 1).all()
        assert (cohort.decided({"default": "zeros"}).table.loc[rows, label] == 0).all()
        others = cohort.decided({"default": "ones"}).table.loc[~rows, label]
        assert np.array_equal(others, cohort.table.loc[~rows, label], equal_nan=True)


@pytest.mark.parametrize("name", NONE)
def test_the_others_have_none(name, fixtures):
    assert uncertain(load(name, fixtures / name)) == {}


@pytest.mark.parametrize(
    ("name", "asked", "own"),
    [
        ("chexpert", "Effusion", "Pleural Effusion"),
        ("padchest", "Pleural Effusion", "pleural effusion"),
        ("padchest", "Edema", "pulmonary edema"),
        ("padchest", "Hernia", "hiatal hernia"),
        ("vindr-cxr", "Fibrosis", "Pulmonary fibrosis"),
        ("openi", "Atelectasis", "Pulmonary Atelectasis"),
        ("openi", "Fracture", "Fractures, Bone"),
        ("openi", "Hernia", "Hernia, Hiatal"),
        ("siim-covid19", "Lung Opacity", "Opacity"),
        ("bimcv-covid19", "COVID-19", "COVID 19"),
        ("nlm-tuberculosis", "TB", "Tuberculosis"),
    ],
)
def test_a_label_is_found_by_its_common_name(name, asked, own, fixtures):
    labels = load(name, fixtures / name).labels
    assert find_label(asked, labels, name) == own
    assert common_name(own, name) == common_name(asked)


def test_no_archive_has_two_labels_of_one_common_name(fixtures):
    for name in (*CASES, *NONE):
        labels = load(name, fixtures / name).labels
        common = [common_name(label, adapter(name).name) for label in labels]
        assert len(set(common)) == len(labels), name
