"""What is asked for on the command line and in pytest: the same options, which mean the same."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.commands import faults, study
from cxrbench.errors import CxrbenchError, ProfileError
from cxrbench.plugin import OPTIONS
from cxrbench.study.asked import Asked, read_seeds, write_seeds
from cxrbench.study.executor import choose_devices

NAMES = {field.name for field in fields(Asked)}


@pytest.fixture
def profile(tmp_path, tiny_text):
    (tmp_path / "tiny.toml").write_text(tiny_text)
    return str(tmp_path / "tiny.toml")


def test_commands_and_pytest_take_every_option():
    assert {parameter.name for parameter in study.command.params} >= NAMES
    assert NAMES - {"cluster"} <= {parameter.name for parameter in faults.command.params}
    assert {name.replace("_", "-") for name in NAMES} <= set(OPTIONS)


def test_a_command_asks_for_what_its_options_say(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(Asked, "load", lambda self: asked.append(self))
    options = ["--profile", "p", "--data-root", "d", "--scheme", "a", "--scheme", "b", "--schemes", "paths"]
    options += ["--seeds", "1,2", "--network", "n", "--init", "i", "--gpu", "--jobs", "3", "--devices", "cpu"]
    options += ["--cluster", "c", "--deterministic", "--out", str(tmp_path)]
    CliRunner().invoke(study.command, options)
    assert asked == [Asked("p", Path("d"), ("a", "b"), "paths", "1,2", "n", "i", True, 3, "cpu", "c", True)]
    CliRunner().invoke(study.command, ["--out", str(tmp_path)])
    assert asked[1] == Asked()


def test_the_profile_is_changed_as_asked(profile):
    loaded = Asked(profile, seeds="3, 4", network="resnet18", schemes="paths").load()
    assert (loaded.seeds, loaded.network) == ((3, 4), "resnet18")
    assert "pooled-all" not in {scheme.name for scheme in loaded.schemes.select(())}
    assert Asked(gpu=True).load().name == "phantom-gpu"
    assert Asked().load().name == "phantom"


@pytest.mark.parametrize("text", ["1_0", "１", "1.0", "1,,2", "", "one", "3-", "-", "1-2-3", "1 - 3", "0-１"])
def test_seeds_are_whole_numbers_as_a_person_writes_them(text):
    with pytest.raises(ProfileError, match="whole numbers"):
        Asked("gone.toml", seeds=text).load()


@pytest.mark.parametrize("option", ["profile", "schemes", "network", "init", "cluster"])
def test_an_option_that_names_nothing_is_not_the_default(profile, option):
    with pytest.raises(ProfileError, match=f"--{option}: it names nothing"):
        Asked(**{"profile": profile, option: ""}).load()


def test_seeds_are_read():
    assert read_seeds("0, 1,-2") == (0, 1, -2)
    assert read_seeds(None) == ()
    assert read_seeds("7, 200-203,-2-1") == (7, 200, 201, 202, 203, -2, -1, 0, 1)


@pytest.mark.parametrize("text", ["5-3", "0-10000", "0-1000000000", "0-" + "9" * 40])
def test_a_range_of_seeds_goes_upwards_and_is_of_some_size(text):
    with pytest.raises(ProfileError, match=r"must be a range upwards, of 10,000 at most"):
        read_seeds(text)


@given(st.lists(st.integers(-20, 20)))
def test_seeds_are_read_as_they_were_written(seeds):
    assert read_seeds(write_seeds(seeds) if seeds else None) == tuple(seeds)


def test_seeds_that_follow_one_another_are_written_as_a_range():
    assert write_seeds([0, 1, 5, 200, 201, 202, 7]) == "0,1,5,200-202,7"


@pytest.mark.parametrize(
    ("network", "name"), [("densenet121", "tiny+densenet121"), ("timm:resnet34", "tiny+timm+resnet34")]
)
def test_a_network_that_is_not_the_profiles_own_has_a_folder_of_its_own(profile, network, name):
    asked = Asked(profile)
    assert asked.folder_name() == replace(asked, network=asked.load().network).folder_name() == "tiny"
    assert replace(asked, network=network).folder_name() == name


def test_another_start_has_a_folder_of_its_own(profile):
    assert Asked(profile, init="random").folder_name() == "tiny"
    assert Asked(profile, init="random:7").folder_name() == "tiny+random+7"


def test_a_cluster_takes_one_device_and_by_default_its_own():
    assert Asked(cluster="c").where().devices is None
    assert Asked(cluster="c", devices="cpu").where().devices == (torch.device("cpu"),)
    assert Asked().where().devices == choose_devices()
    with pytest.raises(CxrbenchError, match="give one of the three"):
        Asked(jobs=1, devices="cpu").where()
