"""Labels agree image by image with those of torchxrayvision, where it is installed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cxrbench.datasets import discover, load
from cxrbench.datasets.chestxray14 import LABEL_FILES
from cxrbench.datasets.tables import views
from cxrbench.datasets.vocabulary import find_label

FIXTURES = Path(__file__).parents[2] / "fixtures"
ROOTS = [FIXTURES, *(Path(root) for root in [os.environ.get("CXRBENCH_DATA_ROOT", "")] if root)]


@pytest.fixture(scope="module")
def theirs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("torchxrayvision").datasets


def by_image(names, labels):
    """Return image -> its label, where every row of an image says the same."""
    found: dict[str, float] = {}
    for name, label in zip(names, labels, strict=True):
        assert found.setdefault(name, float(label)) == float(label)
    return found


@pytest.mark.parametrize("root", ROOTS, ids=["fixture", "data root"][: len(ROOTS)])
def test_chestxray14(root, theirs):
    folder = discover(root, "chestxray14")
    cohort = load("chestxray14", folder)
    table = next(folder / name for name in LABEL_FILES if (folder / name).is_file())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs.NIH_Dataset(
            imgpath=str(folder / "images"), csvpath=str(table), views=["PA", "AP"], unique_patients=False
        )
    for column, label in enumerate(other.pathologies):
        ours = dict(
            zip(cohort.table["image_id"], cohort.table[find_label(label, cohort.labels)], strict=True)
        )
        assert ours == by_image(other.csv["Image Index"], other.labels[:, column]), label


@pytest.mark.parametrize("root", ROOTS, ids=["fixture", "data root"][: len(ROOTS)])
def test_covid_image_collection(root, theirs):
    folder = discover(root, "covid-image-collection")
    cohort = load("covid-image-collection", folder)
    # They take views as the table spells them.
    spelled = pd.read_csv(folder / "metadata.csv", dtype=str)["view"].dropna()
    frontal = spelled[views(spelled).isin(("PA", "AP", "AP supine"))].unique().tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = theirs.COVID19_Dataset(
            imgpath=str(folder / "images"),
            csvpath=str(folder / "metadata.csv"),
            views=frontal,
        )
    column = next(i for i, name in enumerate(other.pathologies) if name == "COVID-19")
    known = by_image(other.csv["filename"], np.asarray(other.labels)[:, column])
    ours = dict(zip(cohort.table["image_id"], cohort.table["COVID-19"], strict=True))
    # They list rows whose file is not here, too.
    assert set(ours) <= set(known)
    assert ours == {image: known[image] for image in ours}
