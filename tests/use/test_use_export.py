"""What is exported scores as the network does, in the programs that it is meant for."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import tiny_study
import torch
import torchvision
from click.testing import CliRunner

from cxrbench.cli import main
from cxrbench.cohort.table import FilePixels
from cxrbench.records import read_record
from cxrbench.statistics.predictions import read_predictions
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.where import Where
from cxrbench.training.network import Network
from cxrbench.use.export import Preprocessing
from cxrbench.use.scorer import published_model, published_state
from cxrbench.use.trained import find_trained


def export(*arguments: object):
    return CliRunner().invoke(main, ["export", *map(str, arguments)])


@pytest.fixture(scope="module")
def exported(films, tmp_path_factory):
    """Return the folder of an exported network, seed 0, with its state dict."""
    out = tmp_path_factory.mktemp("exported")
    result = export(films.out, "--seed", 0, "--out", out, "--format", "state-dict")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def tested(films):
    """Return the study's test films as its reader gives them, uint8 (n, 32, 32), and their scores."""
    own = read_predictions(films.out / "predictions/seed-0/test/control.csv")
    source = FilePixels(films.folder, tuple(own.image_ids))
    return np.stack([source.read(row, 32) for row in range(len(own.labels))]), own.scores["control"]


def test_torchvisions_own_model_takes_the_state_dict(exported, tested):
    pixels, expected = tested
    facts = read_record(exported / "preprocessing.json", Preprocessing)
    model = torchvision.models.shufflenet_v2_x0_5(weights=None, num_classes=1)
    model.load_state_dict(safetensors.torch.load_file(exported / "model.safetensors"), strict=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (facts.mean, facts.std))
    grey = torch.from_numpy(pixels)[:, None].float() / 255
    with torch.inference_mode():
        scores = torch.sigmoid(model.eval()((grey - mean) / std)[:, 0]).numpy()
    np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.slow
def test_the_exported_program_scores_any_number_of_films(films, tested, tmp_path):
    pixels, expected = tested
    result = export(films.out, "--seed", 0, "--out", tmp_path, "--format", "torch")
    assert result.exit_code == 0, result.output
    program = torch.export.load(tmp_path / "model.pt2").module()
    for count in (1, len(expected)):
        images = torch.from_numpy(pixels[:count])[:, None]
        logit, score, calibrated = (output.detach().numpy() for output in program(images))
        np.testing.assert_allclose(score, expected[:count], atol=1e-5)
        temperature = find_trained(films.out, seed=0).temperature.temperature
        np.testing.assert_allclose(calibrated, 1 / (1 + np.exp(-logit / temperature)), atol=1e-6)


@pytest.mark.slow
def test_onnxruntime_scores_the_studys_test_films_to_1e_5(films, tested, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    pixels, expected = tested
    result = export(films.out, "--seed", 0, "--out", tmp_path, "--format", "onnx", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["differences"]["onnx"] <= 1e-5
    session = runtime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    for count in (1, len(expected)):
        (scores,) = session.run(["score"], {"images": pixels[:count, None]})
        np.testing.assert_allclose(scores, expected[:count], atol=1e-5)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["cxrbench"])
    assert (facts["size"], facts["label"]) == (32, "COVID-19")


def test_the_card_has_the_numbers_and_what_the_network_is_not_for(films, exported):
    text = (exported / "MODEL_CARD.md").read_text()
    curve = films.study.results.scheme("control").seeds[0].curve
    for number in (curve.auc, curve.ci_low, curve.ci_high):
        assert f"{number:.3f}" in text
    assert "must not be used" in text
    assert "init > covid" in text
    assert str(films.folder) not in text


def test_the_card_of_a_phantoms_network_says_that_it_knows_nothing(tiny, tmp_path):
    result = export(tiny.out, "--scheme", "control", "--out", tmp_path, "--format", "state-dict")
    assert result.exit_code == 0, result.output
    assert "It knows nothing of COVID-19" in (tmp_path / "MODEL_CARD.md").read_text()


def test_a_stage_alone_is_exported_with_a_card_that_knows_no_data(films, tmp_path):
    stage = find_trained(films.out, seed=0).folder.path
    result = export(stage, "--out", tmp_path, "--format", "state-dict")
    assert result.exit_code == 0, result.output
    assert "What it was trained on is not known here" in (tmp_path / "MODEL_CARD.md").read_text()


def test_a_file_that_scores_otherwise_is_not_kept(films, tmp_path, monkeypatch):
    def wrong(network, role):
        state = published_state(network, role)
        return {**state, "fc.bias": state["fc.bias"] + 0.01}

    monkeypatch.setattr("cxrbench.use.export.published_state", wrong)
    result = export(films.out, "--out", tmp_path, "--format", "state-dict")
    assert result.exit_code == 2
    assert "it was not kept" in result.stderr
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v3_small", "shufflenet_v2_x0_5", "timm:resnet18"])
def test_other_networks_fit_their_publishers_model(name):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    network = Network(name, {"covid": 1, "findings": 14}, seed=0).eval()
    model = published_model(name)
    model.load_state_dict(published_state(network, "covid"), strict=True)
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(images, ["covid"])
        found = model.eval()((images - network.mean) / network.std)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_normalisation_and_cropping_of_the_study_are_those_of_its_files(films, tmp_path):
    covid = {**films.changes["roles.covid"], "crop": True}
    changes = {**films.changes, "study.normalisation": "role", "study.seeds": [0], "roles.covid": covid}
    study = run_study(
        tiny_study.profile(changes),
        tmp_path / "study",
        schemes=("control",),
        where=Where(films.folder, devices=(torch.device("cpu"),)),
        progress=Silent(),
    )
    own = read_predictions(study.folder / "predictions/seed-0/test/control.csv")
    result = export(study.folder, "--out", tmp_path, "--format", "torch", "--format", "state-dict")
    assert result.exit_code == 0, result.output
    facts = read_record(tmp_path / "preprocessing.json", Preprocessing)
    assert facts.levels
    assert list(facts.levels) != list(range(256))
    assert "borders" in facts.crop
    source = FilePixels(films.folder, tuple(own.image_ids), crop=True)
    pixels = np.stack([source.read(row, 32) for row in range(len(own.labels))])
    _, scores, _ = torch.export.load(tmp_path / "model.pt2").module()(torch.from_numpy(pixels)[:, None])
    np.testing.assert_allclose(scores.detach().numpy(), own.scores["control"], atol=1e-5)
    pd.DataFrame({"path": own.image_ids}).to_csv(films.folder / "normalised.csv", index=False)
    arguments = ["predict", study.folder, films.folder / "normalised.csv", "--ids", "plain"]
    out = tmp_path / "s.csv"
    result = CliRunner().invoke(main, [*map(str, arguments), "--out", str(out)])
    (films.folder / "normalised.csv").unlink()
    assert result.exit_code == 0, result.output
    expected = pd.read_csv(study.folder / "predictions/seed-0/test/control.csv", dtype=str)["score"]
    assert pd.read_csv(out, dtype=str)["score"].tolist() == expected.tolist()
