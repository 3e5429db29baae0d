"""An image that is tested and trained on under another name: the study stops, or drops the training copy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_study import MANIFEST, profile

from cxrbench.errors import LeakError
from cxrbench.study.prepare import prepare
from cxrbench.study.progress import Silent


@pytest.fixture
def copies(tmp_path):
    """Two manifests of phantoms; every film of the second stands in the first too, under another name."""
    from cxrbench.datasets.phantom import PhantomConfig, phantom_cohort

    config = PhantomConfig.from_mapping({"findings": {"n_images": 40, "images_per_patient": 1.0}})
    pixels = phantom_cohort("findings", config, seed=3).pixels.read_batch(range(40), 96)
    folder = tmp_path / "data" / "films"
    folder.mkdir(parents=True)
    rows = {"findings": [], "covid": []}
    for i, image in enumerate(pixels):
        Image.fromarray(np.asarray(image)).save(folder / f"f{i:02d}.png")
        rows["findings"].append({"path": f"f{i:02d}.png", "patient_id": f"f{i:02d}", "Mass": i % 2})
        if i < 20:
            Image.fromarray(np.asarray(image)).save(folder / f"c{i:02d}.jpg", quality=90)
            rows["covid"].append({"path": f"c{i:02d}.jpg", "patient_id": f"c{i:02d}", "COVID-19": i % 2})
    for role, table in rows.items():
        pd.DataFrame(table).to_csv(folder / f"{role}.csv", index=False)
    return tmp_path


def prepared(copies, action):
    study = profile({**MANIFEST, "study.on_leak": action})
    roles = frozenset({"findings", "covid"})
    (only,) = prepare(study, roles, copies / "out", copies / "data", Silent())
    return only


def test_the_study_stops_and_names_the_copies(copies):
    with pytest.raises(LeakError, match=r"training images that show a tested film: 10 .findings f\d\d"):
        prepared(copies, "stop")


def test_the_training_copies_are_dropped_and_nothing_else(copies):
    data = prepared(copies, "drop-train")
    findings, covid = data.roles["findings"], data.roles["covid"]
    tested = set(covid.pack.table.loc[covid.rows("test"), "image_id"])
    assert len(tested) == 10
    # A film's number is the same in both manifests.
    numbers = {image[1:3] for image in (name.rsplit("/", 1)[-1] for name in tested)}
    left = findings.pack.table.loc[
        np.concatenate([findings.rows("train"), findings.rows("validation")]), "image_id"
    ]
    assert len(left) == 30
    assert not numbers & {name.rsplit("/", 1)[-1][1:3] for name in left}
    assert len(findings.dropped) == 10
    assert not covid.dropped
