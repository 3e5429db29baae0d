from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.datasets.phantom import (
    CovidConfig,
    FindingsConfig,
    ImagingConfig,
    PhantomConfig,
    PneumoniaConfig,
)
from cxrbench.errors import DatasetError


def test_an_empty_table_gives_the_defaults():
    assert PhantomConfig.from_mapping({}) == PhantomConfig()


def test_defaults_of_the_target_are_the_papers_size():
    assert PhantomConfig().covid.n_images == 1060


def test_knobs_are_read_and_the_rest_keeps_its_default():
    config = PhantomConfig.from_mapping(
        {"covid": {"severity_median": 0.3, "n_test_images": 0}, "imaging": {"noise": 2}}
    )
    assert config.covid == CovidConfig(severity_median=0.3, n_test_images=0)
    assert config.imaging == ImagingConfig(noise=2.0)
    assert config.findings == FindingsConfig()


def test_whole_numbers_are_taken_for_fractions_and_made_floats():
    knobs = ImagingConfig(noise=2)
    assert isinstance(knobs.noise, float)
    assert repr(knobs) == repr(ImagingConfig(noise=2.0))


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"covit": {}}, r"^phantom: unknown knob 'covit'; did you mean 'covid'\? "),
        (
            {"covid": {"severity_mdian": 0.1}},
            r"^phantom.covid: unknown knob 'severity_mdian'; did you mean 'severity_median'\? ",
        ),
        ({"covid": {"zzz": 1}}, r"^phantom.covid: unknown knob 'zzz' \(known: n_images, n_test_images, "),
        ({"covid": 3}, r"^phantom.covid must be a table of knobs, not 3$"),
        ([1], r"^phantom must be a table of knobs, not \[1\]$"),
        (
            {"covid": {"n_images": 10.5}},
            r"^phantom.covid: n_images must be a whole number, not 10.5$",
        ),
        ({"findings": {"n_images": True}}, r"^phantom.findings: n_images must be a whole number, not True$"),
        ({"imaging": {"noise": "loud"}}, r"^phantom.imaging: noise must be a number, not 'loud'$"),
        ({"imaging": {"noise": -1}}, r"^phantom.imaging: noise must be between 0 and 10, not -1$"),
        ({"imaging": {"noise": float("nan")}}, r"^phantom.imaging: noise must be between 0 and 10, not nan$"),
        ({"covid": {"label_noise": 0.6}}, r"label_noise must be between 0 and 0.5, not 0.6$"),
        ({"covid": {"n_images": 1}}, r"n_images must be between 2 and 1e\+06, not 1$"),
        ({"covid": {"n_test_images": 1}}, r"^phantom.covid: n_test_images must be 0 or at least 2"),
        (
            {"pneumonia": {"positive_share": 0.7, "not_normal_share": 0.5}},
            r"^phantom.pneumonia: positive_share and not_normal_share must not exceed 1 together$",
        ),
    ],
)
def test_a_wrong_table_is_refused_in_one_line(mapping, message):
    with pytest.raises(DatasetError, match=message) as caught:
        PhantomConfig.from_mapping(mapping)
    assert "\n" not in str(caught.value)


def test_the_place_in_messages_is_the_callers():
    with pytest.raises(DatasetError, match=r"^my\.toml, \[phantom\]\.covid: unknown knob"):
        PhantomConfig.from_mapping({"covid": {"x": 1}}, where="my.toml, [phantom]")


def test_knobs_cannot_be_changed_afterwards():
    with pytest.raises(FrozenInstanceError):
        PhantomConfig().covid.n_images = 3


@pytest.mark.parametrize("part", [ImagingConfig, FindingsConfig, PneumoniaConfig, CovidConfig])
@given(data=st.data())
def test_every_value_in_its_range_is_accepted_and_kept(part, data):
    knob = data.draw(st.sampled_from(fields(part)))
    low, high = knob.metadata["range"]
    if knob.metadata["whole"]:
        value = data.draw(st.integers(int(low), int(high)).filter(lambda n: n != 1))
    else:
        top = min(high, 0.5) if knob.name in ("positive_share", "not_normal_share") else high
        value = data.draw(st.floats(low, top))
    assert getattr(part.from_mapping({knob.name: value}, "here"), knob.name) == value
