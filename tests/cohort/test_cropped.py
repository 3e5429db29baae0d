"""Cropping to the film is part of a pack's key, and of what a trained network asks of new images."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cxrbench.cohort.pack import pack
from cxrbench.cohort.table import cropped
from cxrbench.datasets import load


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(4):
        values = np.zeros((120, 120), dtype=np.uint8)
        values[20:100, 20:100] = rng.integers(60, 200, (80, 80))
        Image.fromarray(values).save(tmp_path / f"{number}.png")
    table = {"path": [f"{n}.png" for n in range(4)], "patient_id": list("abcd"), "COVID-19": [0, 1, 0, 1]}
    pd.DataFrame(table).to_csv(tmp_path / "manifest.csv", index=False)
    return tmp_path


def test_cropped_and_whole_images_lie_in_packs_of_their_own(folder, tmp_path):
    whole = pack(load("manifest", folder), 32, tmp_path / "packs")
    crop = pack(load("manifest", folder, crop=True), 32, tmp_path / "packs")
    assert whole.key != crop.key
    assert whole.pixels[:, 0].max() == 0
    assert crop.pixels[:, 0].min() > 40
    again = pack(cropped(load("manifest", folder)), 32, tmp_path / "packs")
    assert again.key == crop.key
