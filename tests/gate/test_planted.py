"""The gate on studies with a planted fault: what was trained wrongly is caught, another seed is not.

Images are noise with a faint bright patch where the label is 1: easy enough for seconds of training, hard
enough that a fault shows.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from cxrbench.gate.baseline import Stored
from cxrbench.gate.rules import gate
from cxrbench.study.prepare import RoleData
from cxrbench.study.profile import parse_profile
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.training.augment import augment
from cxrbench.training.data import LabelledImages
from cxrbench.training.network import Network

pytestmark = pytest.mark.slow

IMAGES = 1700
CONTRAST = 40

PROFILE = """
[study]
name = "patch"
title = "A faint patch"
image_size = 32
init = { kind = "random" }
data_seed = 1
seeds = [0]
target = "patch"
label = "patch"
patient_ids = "plain"
gate_margin = 0.02

[roles.patch]
dataset = "manifest"
validation = 0.05
test = 0.7

[stages.default]
epochs = 6
batch_size = 16
learning_rate = 1e-3

[schemes]
direct = "init > patch"
"""


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "patches"
    root.mkdir()
    random = np.random.default_rng(4)
    rows = []
    for i in range(IMAGES):
        label = i % 2
        pixels = random.normal(100, 40, (32, 32))
        top, left = random.integers(4, 20, 2)
        pixels[top : top + 8, left : left + 8] += CONTRAST * label
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / f"{i:04d}.png")
        rows.append({"path": f"{i:04d}.png", "patient_id": f"p{i:04d}", "patch": label, "top": top})
    pd.DataFrame(rows).to_csv(root / "manifest.csv", index=False)
    return root.parent


@pytest.fixture(scope="module")
def study(data_root):
    """Return a function that runs the study with a seed into a folder."""

    def run(out, seed=0):
        profile = parse_profile(PROFILE, "patch.toml").with_seeds((seed,))
        results = run_study(
            profile,
            out,
            data_root=data_root,
            schemes=("direct",),
            device=torch.device("cpu"),
            progress=Silent(),
        )
        return Stored(results, out)

    return run


@pytest.fixture(scope="module")
def baseline(study, tmp_path_factory):
    return study(tmp_path_factory.mktemp("baseline"))


def check_of(now, baseline):
    (check,) = gate(now, baseline).schemes
    return check


def test_the_baseline_learnt_something(baseline):
    assert baseline.results.scheme("direct").auc > 0.8


def test_another_seed_passes_at_the_profiles_margin(study, baseline, tmp_path):
    check = check_of(study(tmp_path, seed=1), baseline)
    assert check.verdict.outcome == "pass", check.verdict.sentence
    assert check.difference != 0


def test_a_broken_augmentation_is_caught(study, baseline, tmp_path, monkeypatch):
    """Training images come out as negatives: what is dense is dark in training and bright in the test."""

    def broken(images, settings, generator):
        return 1 - augment(images, settings, generator)

    monkeypatch.setattr("cxrbench.training.loop.augment", broken)
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence


def test_a_tenth_of_labels_gone_wrong_is_caught(study, baseline, tmp_path, monkeypatch):
    """Positives with the patch near the top, a tenth of all training images, are labelled negative."""
    honest = RoleData.images

    def mislabelled(self, part):
        images = honest(self, part)
        if part != "train":
            return images
        near_top = self.pack.table.loc[self.rows(part), "top"].astype(float).to_numpy() < 7
        assert 0.05 < (near_top & (images.labels[:, 0] == 1)).mean() < 0.15
        return LabelledImages(images.pixels, np.where(near_top[:, None], 0, images.labels).astype(np.float32))

    monkeypatch.setattr(RoleData, "images", mislabelled)
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence


def test_the_wrong_checkpoint_is_caught(study, baseline, tmp_path, monkeypatch):
    """Predictions are made by a network that nobody trained."""

    def untrained(_path, heads, device):
        return Network(heads, seed=5).to(device=device, memory_format=torch.channels_last)

    monkeypatch.setattr("cxrbench.study.predictions.load_network", untrained)
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence
