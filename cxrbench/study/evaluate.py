"""From prediction files to results: the only input is what lies on disk after training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cxrbench.files import digest
from cxrbench.schemes import Plan, Scheme, StageRun
from cxrbench.statistics import across_seeds, auc, compare_all
from cxrbench.statistics.operating import OperatingPoint, operating_points
from cxrbench.statistics.predictions import Predictions
from cxrbench.statistics.verdicts import Verdict, verdict
from cxrbench.study.finished import join_curves, read_recorded
from cxrbench.study.graph import Trained
from cxrbench.study.predictions import Files, PredictionFile
from cxrbench.study.prepare import Prepared, RoleData
from cxrbench.study.profile import Profile
from cxrbench.study.results import (
    Point,
    RoleResult,
    SchemeResult,
    SeedComparison,
    SeedResult,
    StageResult,
)
from cxrbench.training.checkpoints import TrainedStage


def scheme_result(
    profile: Profile,
    scheme: Scheme,
    plan: Plan,
    files: Mapping[int, Files],
    trained: Mapping[int, Trained],
    out: Path,
    sample: str,
) -> SchemeResult:
    """Return one scheme's AUC, operating points and verdict over the seeds in ``files``.

    ``sample`` is that of the test images (:func:`sample_digest`).
    """
    seeds = tuple(_seed_result(out, seed, by_scheme[scheme.name]) for seed, by_scheme in files.items())
    first = seeds[0].curve
    mean, se, low, high = first.auc, first.se, first.ci_low, first.ci_high
    between: float | None = None
    if len(seeds) > 1:
        joined = join_curves(
            {str(seed.seed): read_recorded(out, seed.predictions, seed.sha256) for seed in seeds}
        )
        spread = across_seeds(joined.labels, joined.scores, joined.patients)
        mean, se, low, high = spread.mean, spread.se, spread.ci_low, spread.ci_high
        between = spread.sd_between_seeds
    settings = profile.targets.get(scheme.name)
    target = settings.on(sample) if settings else None
    return SchemeResult(
        name=scheme.name,
        notation=scheme.notation,
        auc=mean,
        se=se,
        ci_low=low,
        ci_high=high,
        sd_between_seeds=between,
        target=str(target) if target else None,
        verdict=verdict(target, mean, low, high, len(seeds)) if target else _no_target(mean, low, high),
        train_seconds=float(np.mean([_chain_seconds(plan.final[scheme.name], t) for t in trained.values()])),
        seeds=seeds,
    )


def seed_comparison(files: Files, seed: int, out: Path) -> SeedComparison:
    """Return all pairs of one seed's schemes, joined on image_id and adjusted together by Holm's method."""
    joined = join_curves({name: _read(out, parts["test"]) for name, parts in files.items()})
    comparison = compare_all(joined.labels, joined.scores, joined.patients, adjust="holm")
    return SeedComparison(seed, comparison.pairs, comparison.omnibus)


def stage_results(target: str, plan: Plan, trained: Mapping[int, Trained]) -> tuple[StageResult, ...]:
    """Return what every stage run took, seed by seed, and fold by fold where it has seen the ``target``."""
    return tuple(
        _stage_result(run, seed, fold + 1 if by_fold else None, folds[fold][run])
        for seed, folds in trained.items()
        for run in plan.runs
        for by_fold in [len(folds) > 1 and target in run.roles]
        for fold in range(len(folds) if by_fold else 1)
    )


def _stage_result(run: StageRun, seed: int, fold: int | None, stage: TrainedStage) -> StageResult:
    return StageResult(
        run=str(run),
        seed=seed,
        key=stage.key,
        epochs=len(stage.history),
        best_epoch=stage.best_epoch,
        validation_auc=stage.validation_auc,
        seconds=stage.seconds,
        images_per_second=stage.images_per_second,
        losses=tuple(epoch.loss for epoch in stage.history),
        validation_aucs=tuple(epoch.validation_auc for epoch in stage.history),
        fold=fold,
        processes=stage.processes,
    )


def role_result(turns: Sequence[RoleData]) -> RoleResult:
    """Return what a role's cohort held, how it was split and what was left out.

    Parameters
    ----------
    turns: the role's data, or that of each fold; a part then counts what is in it in any fold.
    """
    data = turns[0]
    parts: dict[str, dict[str, Any]] = {}
    for part in ("train", "validation", "test"):
        rows = data.pack.table.loc[np.unique(np.concatenate([turn.rows(part) for turn in turns]))]
        parts[part] = {
            "images": len(rows),
            "patients": int(rows["patient_id"].nunique()),
            "positive": {label: int((rows[label] == 1).sum()) for label in data.pack.labels},
        }
    return RoleResult(
        dataset=data.cohort.dataset,
        listed=data.cohort.listed,
        images=len(data.pack.table),
        patients=int(data.pack.table["patient_id"].nunique()),
        labels=data.pack.labels,
        left_out=dict(data.cohort.left_out),
        bad_files=dict(Counter(bad.reason for bad in data.pack.left_out)),
        duplicates_dropped=len(frozenset().union(*(turn.dropped for turn in turns))),
        split_hash=data.folds.hash if data.folds else data.split.hash,
        pack_key=data.pack.key,
        parts=parts,
        folds=data.folds.k if data.folds else 0,
    )


def role_results(prepared: Sequence[Prepared]) -> dict[str, RoleResult]:
    """Return :func:`role_result` of every role."""
    return {role: role_result([turn.roles[role] for turn in prepared]) for role in prepared[0].roles}


def _seed_result(out: Path, seed: int, parts: Mapping[str, PredictionFile]) -> SeedResult:
    test = _read(out, parts["test"])
    validation = _read(out, parts["validation"])
    (scores,) = test.scores.values()
    (validation_scores,) = validation.scores.values()
    points = operating_points(validation.labels, validation_scores, test.labels, scores, test.patients)
    return SeedResult(
        seed=seed,
        curve=auc(test.labels, scores, test.patients, name=str(seed)),
        image_se=auc(test.labels, scores).se,
        points=tuple(_point(point) for point in points),
        predictions=parts["test"].path,
        sha256=parts["test"].sha256,
        inference_seconds=parts["test"].seconds,
        processes=parts["test"].processes,
    )


def _read(out: Path, file: PredictionFile) -> Predictions:
    return read_recorded(out, file.path, file.sha256)


def _point(point: OperatingPoint) -> Point:
    return Point(
        chosen=point.rule,
        threshold=point.threshold,
        sensitivity=point.sensitivity.value,
        sensitivity_low=point.sensitivity.ci_low,
        sensitivity_high=point.sensitivity.ci_high,
        specificity=point.specificity.value,
        specificity_low=point.specificity.ci_low,
        specificity_high=point.specificity.ci_high,
    )


def _no_target(mean: float, low: float, high: float) -> Verdict:
    return Verdict(
        "inconclusive", f"AUC {mean:.3f} [{low:.3f}, {high:.3f}]: the profile states no target for it"
    )


def _chain_seconds(run: StageRun | None, trained: Trained) -> float:
    """Return the seconds of ``run`` and all before it, over all folds; what folds share counts once."""
    seconds: dict[str, float] = {}
    while run is not None:
        seconds |= {stages[run].key: stages[run].seconds for stages in trained}
        run = run.parent
    return sum(seconds.values())


def sample_digest(files: Files, out: Path) -> str:
    """Return 16 hex digits of the test part's image ids and labels: which images an AUC was measured on.

    What the images show does not go into it, so that a study whose pixels came out otherwise is held against
    the same target.
    """
    test = _read(out, next(iter(files.values()))["test"])
    rows = zip(test.image_ids.tolist(), test.labels.tolist(), strict=True)
    return digest(sorted([str(image_id), int(label)] for image_id, label in rows))[:16]


def sample_counts(files: Files, out: Path) -> tuple[int, int, int]:
    """Return images, positives and patients of the test part, as the first scheme's file has them."""
    test = _read(out, next(iter(files.values()))["test"])
    return len(test.labels), int(test.labels.sum()), test.n_patients or 0
