"""The gate on studies with a planted fault: what was trained wrongly is caught, other seeds are not.

The task: 160 kinds of coarse pattern, half of which are positive, one training image of each, and noise on
every image. What the network knows of a kind hangs on one label, as it does of rare findings in a real set: a
tenth of labels gone wrong costs several hundredths of AUC, while seeds differ by thousandths. Where a class
has many like images, the wrong labels are outvoted and the fault hides among the seeds.

Settings and margin were chosen for power on pilot data, and fixed before they were first run on these: labels
shuffled cost 0.058 (95% interval 0.034 to 0.081), other seeds gain 0.002 (-0.006 to 0.010).
"""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from PIL import Image

from cxrbench.cohort.split import Division, Split, save_split
from cxrbench.gate.rules import gate
from cxrbench.study.prepare import RoleData
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.stages import Stage
from cxrbench.study.where import Where
from cxrbench.training.augment import augment
from cxrbench.training.network import Network
from cxrbench.training.steps import Steps

pytestmark = pytest.mark.slow

KINDS = 160
VALIDATION = KINDS // 2
TESTS_OF_A_KIND = 3
CONTRAST = 40
NOISE = 15
DATA_SEED = 2027
SEEDS = (0, 1, 2, 3)

PROFILE = {
    "study.name": "kinds",
    "study.title": "Many kinds of pattern, few images of each",
    "study.network": "densenet121",
    "study.data_seed": 1,
    "study.target": "kinds",
    "study.label": "positive",
    "study.patient_ids": "plain",
    "study.gate_margin": 0.02,
    "roles": None,
    "roles.kinds": {
        "dataset": "manifest",
        "validation": 0.1,
        "test": 0.6,
        "options": {"labels": ["positive"]},
    },
    "targets": None,
    "stages.default": {"epochs": 6, "batch_size": 16, "learning_rate": 1e-3, "precision": "float32"},
    "stages.default.augmentation": dict.fromkeys(
        ("rotation", "translation", "scale", "flip", "brightness", "contrast"), 0.0
    ),
    "schemes": {"direct": "init > kinds"},
}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    """Write the images, their list and their split: one training image per kind, the rest to judge by."""
    root = tmp_path_factory.mktemp("data") / "kinds"
    root.mkdir()
    random = np.random.default_rng(DATA_SEED)
    patterns = np.kron(random.normal(0, 1, (KINDS, 8, 8)), np.ones((4, 4)))
    parts = ["train"] * KINDS + ["validation"] * VALIDATION + ["test"] * KINDS * TESTS_OF_A_KIND
    rows = []
    for i in range(len(parts)):
        kind = i % KINDS if i < KINDS else (i - KINDS - VALIDATION) % KINDS
        pixels = random.normal(100, NOISE, (32, 32)) + CONTRAST * patterns[kind]
        Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(root / f"{i:04d}.png")
        rows.append({"path": f"{i:04d}.png", "patient_id": f"p{i:04d}", "positive": kind % 2})
    table = pd.DataFrame(rows)
    table.to_csv(root / "manifest.csv", index=False)
    split = Split(
        Division("manifest", ("positive",), seed=0, fractions=(0.3, 0.1, 0.6)),
        image_ids=tuple(table["path"]),
        patient_ids=tuple(table["patient_id"]),
        parts=tuple(parts),
    )
    save_split(split, root.parent / "split.csv")
    return root.parent


@pytest.fixture(scope="module")
def study(data_root):
    """Return a function that runs the study with some seeds into a folder."""

    def run(out, seeds=SEEDS):
        split = (data_root / "split.csv").as_posix()
        profile = tiny_study.profile({**PROFILE, "roles.kinds.split": split}).with_seeds(seeds)
        return run_study(
            profile,
            out,
            schemes=("direct",),
            where=Where(data_root, devices=(torch.device("cpu"),)),
            progress=Silent(),
        )

    return run


@pytest.fixture(scope="module")
def baseline(study, tmp_path_factory):
    return study(tmp_path_factory.mktemp("baseline"))


def check_of(now, baseline):
    (check,) = gate(now, baseline).schemes
    assert check.sources.startswith("the test sample and the training seeds")
    return check


def test_the_baseline_learnt_something(baseline):
    assert baseline.results.scheme("direct").auc > 0.9


def test_other_seeds_pass_at_the_profiles_margin(study, baseline, tmp_path):
    check = check_of(study(tmp_path, seeds=(4, 5, 6, 7)), baseline)
    assert check.verdict.outcome == "pass", check.verdict.sentence
    assert check.difference != 0


def test_a_tenth_of_labels_shuffled_is_caught(study, baseline, tmp_path, monkeypatch):
    """A tenth of the training images, drawn at random, swap their labels among themselves."""
    honest = RoleData.packed

    def shuffled(self, part):
        images = honest(self, part)
        if part != "train":
            return images
        random = np.random.default_rng(DATA_SEED)
        chosen = random.choice(len(images.labels), round(0.1 * len(images.labels)), replace=False)
        labels = images.labels.copy()
        labels[chosen] = labels[random.permutation(chosen)]
        assert 0.02 < (labels != images.labels).mean() < 0.09
        return replace(images, labels=labels)

    monkeypatch.setattr(RoleData, "packed", shuffled)
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence


def test_a_broken_augmentation_is_caught(study, baseline, tmp_path, monkeypatch):
    """Training images come out as negatives: what is dense is dark in training and bright in the test."""

    def broken(images, settings, generator):
        return 1 - augment(images, settings, generator)

    honest = Stage.job
    monkeypatch.setattr(Stage, "job", lambda stage: replace(honest(stage), steps=Steps(augment=broken)))
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence


def test_the_wrong_checkpoint_is_caught(study, baseline, tmp_path, monkeypatch):
    """Predictions are made by networks that nobody trained, in place of the baseline's."""
    shutil.copytree(baseline.folder / "stages", tmp_path / "stages")
    untrained = iter(range(100, 100 + len(SEEDS)))

    def load(_folder, kind, heads, device):
        return Network(kind, heads, seed=next(untrained)).to(device=device, memory_format=torch.channels_last)

    monkeypatch.setattr("cxrbench.study.predictions.load_network", load)
    check = check_of(study(tmp_path), baseline)
    assert check.verdict.outcome == "fail", check.verdict.sentence
