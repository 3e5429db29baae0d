"""Studies with made-up scores on the tiny study's frame: the gate reads nothing but files and results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrbench.files import file_sha256
from cxrbench.statistics import auc, compare_all
from cxrbench.statistics.predictions import write_predictions
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import SeedComparison, save_results

IMAGES = 600


@pytest.fixture(scope="session")
def truth():
    """Labels, patients (two images each) and what a good classifier sees."""
    rng = np.random.default_rng(11)
    labels = np.repeat(np.arange(IMAGES // 2) % 2, 2)
    signal = labels * 1.5 + np.repeat(rng.normal(size=IMAGES // 2), 2)
    return labels, np.repeat(np.arange(IMAGES // 2), 2), signal


@pytest.fixture
def make_study(tiny, truth, tmp_path):
    """Return a function that stores a study whose schemes have the given noise (scheme -> noise, seed)."""
    labels, patients, signal = truth

    def make(name, noises, image_ids=None, **changes):
        folder = tmp_path / name
        ids = image_ids or [f"image-{i:04d}" for i in range(IMAGES)]
        template = tiny.results.schemes[0]
        schemes, curves = [], {}
        for scheme, (noise, seed) in noises.items():
            random = np.random.default_rng(seed)
            scores = 1 / (1 + np.exp(-(signal + noise * random.normal(size=IMAGES))))
            path = folder / "predictions" / f"{scheme}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_predictions(path, ids, [f"p{p}" for p in patients], labels, scores)
            curve = auc(labels, scores, patients)
            entry = replace(
                template.seeds[0],
                curve=curve,
                predictions=f"predictions/{scheme}.csv",
                sha256=file_sha256(path),
                inference_seconds=1.0,
            )
            schemes.append(replace(template, name=scheme, auc=curve.auc, seeds=(entry,)))
            curves[scheme] = scores
        comparison = compare_all(labels, curves, patients)
        results = replace(
            tiny.results,
            schemes=tuple(schemes),
            comparisons=(SeedComparison(0, comparison.pairs, comparison.omnibus),),
            n_images=IMAGES,
            n_positive=int(labels.sum()),
            n_patients=IMAGES // 2,
        )
        results = replace(results, **changes)
        save_results(results, folder / "results.json")
        return FinishedStudy(folder, results)

    return make
