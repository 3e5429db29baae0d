"""A tiny study of films in files, run once: its networks are what people use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_study
import torch
from PIL import Image

from cxrbench.study.finished import FinishedStudy
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.where import Where

FILMS = 40


@dataclass(frozen=True)
class Films:
    """A study of PNG films, and where its films lie. Half of the films have a bright spot: the positive.

    changes: of the tiny study's profile.
    """

    folder: Path
    study: FinishedStudy
    changes: dict[str, Any]

    @property
    def out(self) -> Path:
        return self.study.folder


@pytest.fixture(scope="session")
def films(tmp_path_factory) -> Films:
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("films")
    lines = ["path,patient_id,COVID-19"]
    for number in range(FILMS):
        film = random.integers(0, 200, (48, 40), dtype=np.uint8)
        if number % 2:
            film[10:20, 10:20] = 255
        Image.fromarray(film).save(folder / f"film-{number}.png")
        lines.append(f"film-{number}.png,p{number // 2 * 2},{number % 2}")
    (folder / "covid.csv").write_text("\n".join(lines))
    (folder / "findings.csv").write_text("\n".join(lines).replace("COVID-19", "Mass").replace(",p", ",q"))
    changes = {
        **tiny_study.MANIFEST,
        "study.image_size": 32,
        "study.network": "shufflenet_v2_x0_5",
        "study.seeds": [0, 1],
        "study.on_leak": "drop-train",
        # As exported files compute, so that scores can be compared.
        "stages.default.precision": "float32",
        "targets": None,
    }
    study = run_study(
        tiny_study.profile(changes),
        tmp_path_factory.mktemp("study"),
        schemes=("control",),
        where=Where(folder, devices=(torch.device("cpu"),)),
        progress=Silent(),
    )
    return Films(folder, study, changes)
