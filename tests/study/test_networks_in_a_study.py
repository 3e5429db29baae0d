"""A study with another network: from the profile's line to the report, and what makes it train again."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.errors import TrainingError
from cxrbench.trace.records import read_trace
from cxrbench.training.networks import architecture

NET = """
from torch import nn

def small():
    trunk = nn.Sequential(nn.Conv2d(3, {width}, 5, stride=4, bias=False), nn.BatchNorm2d({width}), nn.ReLU())
    trunk.num_features = {width}
    return trunk
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes the module ``studied`` with a network of a width."""
    folder = tmp_path / "modules"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    # A compiled file is taken for current by its source's length and second.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def written(width):
        sys.modules.pop("studied", None)
        architecture.cache_clear()
        (folder / "studied.py").write_text(NET.format(width=width))

    yield written
    sys.modules.pop("studied", None)
    architecture.cache_clear()


def stage_of(out):
    (note,) = (out / "stages").glob("*/stage.json")
    return json.loads(note.read_text())


def test_another_network_or_another_source_of_it_is_trained_again(
    tiny_profile, write, tmp_path, run_tiny, log
):
    profile = tiny_profile.with_network("studied:small")
    write(4)
    first = run_tiny(profile, tmp_path / "out", ("control",), log)
    assert stage_of(tmp_path / "out")["network"].startswith("studied:small source ")
    write(4)
    again = run_tiny(profile, tmp_path / "out", ("control",), log)
    assert again.stages == first.stages
    write(5)
    other = run_tiny(profile, tmp_path / "out", ("control",), log)
    assert {stage.key for stage in other.stages}.isdisjoint(stage.key for stage in first.stages)
    assert other.scheme("control").seeds[0].sha256 != first.scheme("control").seeds[0].sha256


def test_a_network_that_is_none_is_refused_before_any_image_is_read(tiny_profile, tmp_path, run_tiny):
    with pytest.raises(TrainingError, match="no network 'resnet19'; did you mean 'resnet18'"):
        run_tiny(tiny_profile.with_network("resnet19"), tmp_path, ("control",))
    assert list(tmp_path.iterdir()) == []


def test_a_stage_that_was_begun_again_is_said_to_be(tiny_profile, write, tmp_path, run_tiny, log):
    write(4)
    profile = tiny_profile.with_network("studied:small")
    first = run_tiny(profile, tmp_path / "out", ("control",))
    (best,) = (tmp_path / "out").glob("stages/*/best.safetensors")
    content = bytearray(best.read_bytes())
    content[-1] ^= 1
    best.write_bytes(content)
    again = run_tiny(profile, tmp_path / "out", ("control",), log)
    assert len(log.lines) == 1
    assert "best.safetensors is damaged" in log.lines[0]
    assert again.scheme("control").seeds[0].sha256 == first.scheme("control").seeds[0].sha256


def test_the_network_that_predicts_is_the_one_that_a_pooled_stage_kept(
    tiny_profile, write, tmp_path, run_tiny
):
    write(4)
    out = tmp_path / "out"
    run_tiny(tiny_profile.with_network("studied:small"), out, ("both=init > findings + covid",))
    trace = read_trace(out / "trace.json")
    (stage,) = trace.stages
    assert stage.roles == ("covid", "findings")
    assert {entry.path.network for entry in trace.predictions} == {stage.trace.kept}


@pytest.mark.slow
def test_the_command_runs_it_to_the_report(tiny_text, write, tmp_path):
    write(4)
    (tmp_path / "tiny.toml").write_text(tiny_text)
    arguments = ["--profile", str(tmp_path / "tiny.toml"), "--network", "studied:small", "--jobs", "1"]
    out = tmp_path / "out"
    result = CliRunner().invoke(main, ["study", *arguments, "--scheme", "control", "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert (out / "report" / "index.html").exists()
    assert stage_of(out)["network"].startswith("studied:small source ")


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("network", ["resnet18", "timm:resnet10t"])
def test_the_quick_profile_with_another_network_is_reported_and_gated(network, tmp_path):
    out, baseline = tmp_path / "out", tmp_path / "baseline"
    options = ("--scheme", "control", "--scheme", "findings", "--jobs", "1", "--quiet")
    run("study", "--profile", "phantom-small", "--network", network, *options, "--out", out)
    assert network in (out / "report" / "index.html").read_text()
    run("baseline", "save", baseline, "--study", out)
    shown = run("gate", out, "--baseline", baseline)
    assert "the same experiment: 7 stages and predictions compared, the same bits" in shown
