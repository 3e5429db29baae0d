"""``cxrbench doctor``: what it says is so."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import imagecodecs
import pytest
import torch
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.doctor.decoders import decoders
from cxrbench.doctor.machine import EXTRAS

ROOT = Path(__file__).parents[2]


def doctor(*arguments: object):
    return CliRunner().invoke(main, ["doctor", *map(str, arguments)])


def test_every_way_of_storing_pixels_is_tried_and_read():
    tried = list(decoders())
    assert len(tried) == 11
    assert [one for one in tried if one.fault] == []


def test_a_decoder_that_fails_is_a_problem(monkeypatch):
    def broken(_):
        raise RuntimeError("no such codec")

    monkeypatch.setattr(imagecodecs, "jpegls_decode", broken)
    result = doctor("--no-speed")
    assert result.exit_code == 1
    assert "Error: DICOM, JPEG-LS cannot be read" in result.stderr


def test_json_holds_what_torch_says(tmp_path):
    found = json.loads(doctor("--no-speed", "--json", "--out", tmp_path).stdout)
    assert found["torch"]["version"] == torch.__version__
    assert len(found["torch"]["gpus"]) == torch.cuda.device_count()
    assert found["torch"]["precision"]["cpu"] in ("float32", "bfloat16")
    assert found["disk"][str(tmp_path)] > 0


def test_data_sets_are_looked_for():
    found = json.loads(doctor("--no-speed", "--json", "--data-root", ROOT / "fixtures").stdout)["data_sets"]
    assert found["chestxray14"].endswith("chestxray14")
    assert "phantom" not in found


def test_a_data_root_that_is_none_is_said(tmp_path):
    result = doctor("--no-speed", "--data-root", tmp_path / "none")
    assert result.exit_code == 2
    assert "check --data-root" in result.stderr


def test_the_extras_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    own = {
        name: {re.split(r"[\[><= ]", package)[0] for package in packages} - {"cxrbench"}
        for name, packages in extras.items()
        if name not in ("docs", "test", "dev")
    }
    assert {name: set(packages) for name, packages in EXTRAS.items()} == own


@pytest.mark.slow
def test_the_measured_speed_is_one():
    (speed, *_) = json.loads(doctor("--json").stdout)["speeds"]
    assert speed["training"] > 0
    assert speed["predicting"] > speed["training"]
