"""``cxrbench doctor``: what it says is so."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import imagecodecs
import pytest
import torch
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.doctor import speed
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
def test_the_measured_speed_is_one_and_is_shown():
    (found, *_) = json.loads(doctor("--json").stdout)["speeds"]
    assert found["training"] > 0
    assert found["predicting"] > found["training"]
    shown = re.search(
        r"trains [\d,]+ \(in batches of \d+\) and predicts [\d,]+ images a second; measured in [\d.]+ s",
        doctor().stdout,
    )
    assert shown is not None


@pytest.fixture
def slow_device(monkeypatch):
    """A device whose clock alone passes: 0.1 s per image trained and 0.02 s per image predicted."""
    now = [0.0]

    class Stepping:
        def __init__(self, *_, **__):
            self.loss = torch.zeros(())

        def begin(self, order, draws, rates):  # noqa: ARG002
            self.images = order.numel()

        def take(self):
            now[0] += self.per_image * self.images

    def predict(_role, _network, images, *_):
        now[0] += Stepping.per_image / 5 * len(images)
        return None, Stepping.per_image / 5 * len(images)

    monkeypatch.setattr(speed, "Stepper", Stepping)
    monkeypatch.setattr(speed, "predict_images", predict)
    monkeypatch.setattr(speed, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    return Stepping


@pytest.mark.parametrize(("per_image", "batch"), [(0.001, 16), (0.02, 16), (0.1, 8), (0.2, 2), (0.8, 2)])
def test_a_slow_device_is_timed_on_smaller_batches_within_the_seconds(slow_device, per_image, batch):
    slow_device.per_image = per_image
    found = speed.measure(torch.device("cpu"), 32, seconds=5.0)
    assert found.batch == batch
    assert found.training == pytest.approx(1 / per_image)
    assert found.predicting == pytest.approx(5 / per_image)
    assert found.seconds <= 5.0
