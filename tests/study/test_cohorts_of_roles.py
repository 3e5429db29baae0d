"""What a role asks of its data set: labels by their common names, uncertain labels decided, images chosen."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_study
from PIL import Image

from cxrbench.cohort.table import SMOOTHED
from cxrbench.errors import CohortError, ProfileError, RadiographError
from cxrbench.study.cohorts import role_cohort

LIST = """path,patient_id,Effusion,COVID-19,view,age,ward
a.png,p1,1,1,PA,20,ICU
b.png,p2,-1,0,PA,30,ED
c.png,p3,0,-1,AP,40,ICU
d.png,p4,,0,,50,
"""


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    root = tmp_path_factory.mktemp("films")
    for name in "abcd":
        Image.fromarray(np.full((8, 8), 9, np.uint8)).save(root / f"{name}.png")
    (root / "manifest.csv").write_text(LIST)
    return root


@pytest.fixture
def cohort(films):
    def make(role="others", **settings):
        profile = tiny_study.profile(
            {
                "roles.findings": None,
                "roles.covid": {"dataset": "manifest", "validation": 0.2, "test": 0.2},
                "roles.others": {"dataset": "manifest", "validation": 0.2},
                f"roles.{role}": {"dataset": "manifest", "validation": 0.2, "test": 0.1, **settings},
            }
        )
        return role_cohort(profile, role, films)

    return make


@pytest.mark.parametrize(
    ("policy", "values"),
    [
        ({}, {"a": 1.0, "c": 0.0}),
        ({"default": "leave-out"}, {"a": 1.0, "c": 0.0}),
        ({"default": "zeros"}, {"a": 1.0, "b": 0.0, "c": 0.0}),
        ({"Effusion": "ones"}, {"a": 1.0, "b": 1.0, "c": 0.0}),
        ({"Effusion": "smoothed", "default": "zeros"}, {"a": 1.0, "b": SMOOTHED, "c": 0.0}),
    ],
)
def test_uncertain_labels_are_decided_before_images_without_a_label_are_left_out(policy, values, cohort):
    made = cohort(labels=["Effusion"], uncertain=policy)
    names = made.table["path"].str[0]
    assert dict(zip(names, made.table["Effusion"], strict=True)) == values
    assert dict(made.left_out) == {"label not known": 4 - len(values)}
    assert made.uncertain["Effusion"].sum() == ("b" in values)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"uncertain": {"Efusion": "ones"}}, "no label 'Efusion'; did you mean 'Effusion'?"),
        ({"uncertain": {"Effusion": "one"}}, "must be one of .*, not 'one'; did you mean 'ones'?"),
        ({"views": ["PAA"]}, "'views' must be among PA, AP"),
        ({"ages": [50, 20]}, "'ages' must be the lowest and the highest age"),
        ({"ages": [50]}, "'ages' must be the lowest and the highest age"),
        ({"labels": ["Mas"]}, "has no label 'Mas'"),
    ],
)
def test_a_mistake_is_named(settings, message, cohort):
    with pytest.raises(ProfileError, match=message.replace("?", r"\?")):
        cohort(**settings)


def test_labels_that_are_tested_cannot_be_smoothed(cohort):
    with pytest.raises(ProfileError, match="'COVID-19' is tested"):
        cohort("covid", uncertain={"default": "smoothed"})
    assert len(cohort("covid", uncertain={"default": "ones"})) == 4


def test_images_are_chosen_by_view_age_and_any_other_column(cohort):
    chosen = cohort(views=["PA"], ages=[25, 90], where={"ward": ["ED", "ICU"]})
    assert chosen.table["path"].tolist() == ["b.png"]
    assert dict(chosen.left_out) == {"view not PA": 2, "age not known, or not 25 to 90 years": 1}
    with pytest.raises(CohortError, match="no image is left: ward not home"):
        cohort(where={"ward": "home"})


def test_a_label_may_be_asked_for_by_its_common_name_and_its_own_is_kept(cohort):
    made = cohort(labels=["Pleural Effusion"], uncertain={"Pleural Effusion": "ones"})
    assert made.labels == ("Pleural Effusion",)
    assert made.table["Pleural Effusion"].tolist() == [1.0, 1.0, 0.0]
    assert dict(made.names) == {"Pleural Effusion": "Effusion"}


def test_two_data_sets_give_one_label_one_name(films, fixtures_root):
    profile = tiny_study.profile(
        {
            "roles.findings": {
                "dataset": "chestxray14",
                "validation": 0.2,
                "labels": ["Pleural Effusion", "Pleural Thickening"],
            },
            "roles.others": {"dataset": "manifest", "validation": 0.2, "labels": ["Pleural Effusion"]},
        }
    )
    nih = role_cohort(profile, "findings", fixtures_root)
    assert nih.labels == ("Pleural Effusion", "Pleural Thickening")
    assert dict(nih.names) == {"Pleural Effusion": "Effusion", "Pleural Thickening": "Pleural_Thickening"}
    assert role_cohort(profile, "others", films).labels == ("Pleural Effusion",)


@pytest.fixture
def fixtures_root(request):
    return request.config.rootpath / "fixtures"


def test_a_role_says_how_large_a_picture_may_be(cohort):
    assert cohort(max_pixels=64).pixels.read(0, 8).shape == (8, 8)
    with pytest.raises(RadiographError, match="more than 63 pixels"):
        cohort(max_pixels=63).pixels.read(0, 8)
    with pytest.raises(ProfileError, match="max_pixels"):
        cohort(max_pixels=-1)
