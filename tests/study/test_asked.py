"""What is asked for on the command line and in pytest: the same options, which mean the same."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from cxrbench.commands import faults, study
from cxrbench.errors import CxrbenchError, ProfileError
from cxrbench.plugin import OPTIONS
from cxrbench.study.asked import Asked, read_seeds
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


@pytest.mark.parametrize("text", ["1_0", "１", "1.0", "1,,2", "", "one"])
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
