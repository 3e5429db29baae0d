"""Knobs by name: set on a profile, refused where there are none such."""

from __future__ import annotations

import pytest

from cxrbench.calibration.knobs import knobs_text, points, with_knobs
from cxrbench.errors import ProfileError
from cxrbench.study.profile import load_profile, parse_profile


@pytest.fixture
def profile(calibration_text):
    return parse_profile(calibration_text, "tiny.toml")


def test_a_knob_is_set_in_the_role_and_in_the_settings(profile):
    changed = with_knobs(profile, {"covid.severity_median": 0.5, "covid.imaging.noise": 2.0})
    expected = {
        "cohort": "covid",
        "n_images": 50,
        "n_test_images": 40,
        "severity_median": 0.5,
        "imaging": {"noise": 2.0},
    }
    assert dict(changed.roles["covid"].options) == expected
    assert changed.settings["roles"]["covid"] == {**profile.settings["roles"]["covid"], "options": expected}
    assert changed.roles["findings"] == profile.roles["findings"]
    assert changed.settings["roles"]["findings"] == profile.settings["roles"]["findings"]
    # The first profile is as it was.
    assert profile.roles["covid"].options["severity_median"] == 0.75
    assert profile.settings["roles"]["covid"]["options"]["severity_median"] == 0.75


def test_no_knobs_give_the_same_profile(profile):
    assert with_knobs(profile, {}) == profile


@pytest.mark.parametrize(
    ("knob", "value", "message"),
    [
        ("covid.severity_mediann", 0.5, "did you mean 'severity_median'"),
        ("covid.imaging.nois", 0.5, "did you mean 'noise'"),
        ("covit.severity_median", 0.5, "did you mean 'covid'"),
        ("severity_median", 0.5, "write ROLE.OPTION"),
        ("covid.", 0.5, "write ROLE.OPTION"),
        ("covid.severity_median.x", 0.5, "'severity_median' is one value and no table"),
        ("covid.severity_median", 1.5, "must be between 0.001 and 0.999"),
        ("covid.n_images", 100.0, "must be a whole number"),
    ],
)
def test_a_wrong_knob_is_refused(profile, knob, value, message):
    with pytest.raises(ProfileError, match=message):
        with_knobs(profile, {knob: value})


def test_a_data_set_has_the_knobs_that_are_its_options():
    with pytest.raises(ProfileError, match="'manifest' has no option 'severity_median'"):
        with_knobs(load_profile("paper"), {"covid.severity_median": 0.5})


def test_points_are_all_combinations():
    assert points({"a.x": (1.0, 2.0), "b.y": (3.0, 4.0)}) == (
        {"a.x": 1.0, "b.y": 3.0},
        {"a.x": 1.0, "b.y": 4.0},
        {"a.x": 2.0, "b.y": 3.0},
        {"a.x": 2.0, "b.y": 4.0},
    )
    assert points({}) == ({},)


def test_a_point_has_a_name():
    assert knobs_text({"covid.severity_median": 0.75, "imaging.noise": 1.0}) == (
        "covid.severity_median=0.75,imaging.noise=1"
    )
    assert knobs_text({}) == "as-in-the-profile"
