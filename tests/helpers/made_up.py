"""Finished studies whose scores nobody trained for: results and prediction files with numbers made here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cxrbench.files import file_sha256
from cxrbench.statistics import auc
from cxrbench.statistics.predictions import read_predictions, write_predictions
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.evaluate import scheme_pairs, seed_comparisons
from cxrbench.study.finished import FinishedStudy, join_curves
from cxrbench.study.results import (
    PartResult,
    Results,
    RoleResult,
    SchemeResult,
    SeedResult,
    StageResult,
    Timing,
    save_results,
)

NOTATIONS = {
    "control": "init > covid",
    "findings": "init > findings > covid",
    "sequential": "init > findings > pneumonia > covid",
}


def study(
    folder: Path,
    noises: Mapping[str, tuple[float, int] | list[tuple[float, int]]],
    *,
    images: int = 600,
    image_ids: list[str] | None = None,
    slower: float = 1.0,
    apart: float = 1.5,
    **changes: Any,
) -> FinishedStudy:
    """Write a study with made-up scores and return it: nothing is trained.

    Half of the images are positive, each patient has two. ``noises``: scheme -> (noise, its seed), or a list
    of such pairs, one per training seed. ``slower``: how many times as long everything took. ``apart``: the
    distance of the classes.
    """
    labels = np.repeat(np.arange(images // 2) % 2, 2)
    patients = [f"p{i // 2}" for i in range(images)]
    truth = np.random.default_rng(11)
    signal = labels * apart + np.repeat(truth.normal(size=images // 2), 2)
    ids = image_ids or [f"image-{i:04d}" for i in range(images)]
    by_seed = {name: of if isinstance(of, list) else [of] for name, of in noises.items()}
    seeds = changes.pop("seeds", tuple(range(len(next(iter(by_seed.values()))))))
    clock = np.random.default_rng(5)

    def took(count: int, seconds: float) -> Timing:
        return Timing(count, seconds * slower * clock.uniform(0.99, 1.01))

    schemes, curves, stages = [], {}, []
    for name, of in by_seed.items():
        parts, entries = {}, []
        for seed, (noise, randomness) in zip(seeds, of, strict=True):
            random = np.random.default_rng(randomness)
            scores = 1 / (1 + np.exp(-(signal + noise * random.normal(size=images))))
            path = f"predictions/seed-{seed}/test/{name}.csv"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            write_predictions(folder / path, ids, patients, labels, scores)
            parts[f"{name}, seed {seed}"] = read_predictions(folder / path)
            entries.append(
                SeedResult(
                    seed=seed,
                    curve=auc(labels, scores, patients, name=str(seed)),
                    image_se=auc(labels, scores).se,
                    points=(),
                    predictions=path,
                    sha256=file_sha256(folder / path),
                    predicting=(took(images, 1.0), took(images, 1.0)),
                )
            )
            stages.append(
                StageResult(
                    run=NOTATIONS.get(name, f"init > findings + {name} > covid"),
                    seed=seed,
                    key=f"{name}-{seed}",
                    best_epoch=2,
                    seconds=3.5 * slower,
                    epochs=tuple(took(100, 1.0) for _ in range(3)),
                    losses=(0.7, 0.6, 0.5),
                    validation_aucs=(0.6, 0.7, 0.8),
                )
            )
        curves[name] = join_curves(parts)
        low = min(entry.curve.ci_low for entry in entries)
        high = max(entry.curve.ci_high for entry in entries)
        schemes.append(
            SchemeResult(
                name=name,
                notation=stages[-1].run,
                auc=float(np.mean([entry.curve.auc for entry in entries])),
                se=entries[0].curve.se,
                ci_low=low,
                ci_high=high,
                sd_between_seeds=None,
                target=None,
                decided_by=None,
                verdict=Verdict("inconclusive", "no target"),
                train_seconds=3.5 * slower,
                seeds=tuple(entries),
            )
        )
    role = RoleResult(
        dataset="phantom",
        listed=images,
        images=images,
        patients=images // 2,
        labels=("COVID-19",),
        left_out={},
        bad_files={},
        duplicates_dropped=0,
        split_hash="0123456789abcdef" * 4,
        pack_key="fedcba9876543210" * 4,
        parts={"test": PartResult(images, images // 2, {"COVID-19": images // 2})},
    )
    results = Results(
        profile="made-up",
        title="Made up",
        synthetic=True,
        settings={"study": {"name": "made-up"}},
        network="densenet121",
        init="random",
        image_size=32,
        training={
            stage: {"epochs": 3, "precision": "float32"} for stage in ("covid", "findings", "pneumonia")
        },
        gate_margin=0.05,
        calibrated=True,
        seeds=seeds,
        roles={"covid": role, "findings": role},
        target="covid",
        schemes=tuple(schemes),
        pairs=scheme_pairs(curves),
        comparisons=seed_comparisons(curves, seeds),
        stages=tuple(stages),
        sample="0123456789abcdef",
        n_images=images,
        n_positive=int(labels.sum()),
        n_patients=images // 2,
        device={"type": "cpu", "name": "made up", "threads": 2},
        code="0" * 64,
        versions={"cxrbench": "0.1.0", "torch": "2.11.0", "torchvision": "0.26.0"},
        seconds={"total": 10.0 * slower},
    )
    results = replace(results, **changes)
    save_results(results, folder / "results.json")
    return FinishedStudy(folder, results)
