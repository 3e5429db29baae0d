"""From prediction files, and from what the training wrote down, to results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from cxrbench.files import digest, plain
from cxrbench.schemes import Plan, Scheme, StageRun
from cxrbench.statistics import across_seeds, adjust_p_values, auc, compare_all
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.operating import OperatingPoint, at_threshold, operating_points, thresholds
from cxrbench.statistics.predictions import Predictions, join_predictions
from cxrbench.statistics.records import Curve
from cxrbench.statistics.seeds import SeedSpread
from cxrbench.statistics.unpaired import Estimate, unpaired_difference
from cxrbench.statistics.verdicts import Verdict, verdict
from cxrbench.study.doubt import doubt, read_covariates, write_covariates
from cxrbench.study.finished import join_curves, read_recorded
from cxrbench.study.graph import Trained
from cxrbench.study.own_test import OwnTestPredictions, own_results
from cxrbench.study.predictions import Files, PredictionFile, test_part
from cxrbench.study.prepare import Prepared, RoleData
from cxrbench.study.profile import Profile
from cxrbench.study.results import (
    FormulaResult,
    FurtherScheme,
    FurtherSeed,
    FurtherTest,
    PartResult,
    Point,
    Results,
    RoleResult,
    SchemePair,
    SchemeResult,
    SeedComparison,
    SeedResult,
    StageResult,
    Timing,
    UncertainResult,
)
from cxrbench.study.stages import training_source, versions
from cxrbench.training.checkpoints import TrainedStage

FOLD = "fold"
"""The column of a cross-validation's prediction files that says which fold's network gave a score."""


@dataclass(frozen=True)
class Outcome:
    """What a study has trained and predicted.

    trained: seed -> runs, one mapping, or one per fold. files: seed -> scheme -> part -> prediction file.
    out: the study's folder. device: what the last bits depend on. own_tests: seed -> those of supplemental
    roles.
    initial: what made the initial parameters, where that was a stage.
    """

    profile: Profile
    schemes: tuple[Scheme, ...]
    plan: Plan
    prepared: Sequence[Prepared]
    trained: Mapping[int, Trained]
    files: Mapping[int, Files]
    out: Path
    device: Mapping[str, str | int]
    own_tests: Mapping[int, Sequence[OwnTestPredictions]]
    initial: TrainedStage | None = None

    def read(self, seed: int, scheme: str, part: str = "test") -> Predictions:
        """Read a prediction file."""
        file = self.files[seed][scheme][part]
        return read_recorded(self.out, file.path, file.sha256)


def evaluate(outcome: Outcome, seconds: Mapping[str, float]) -> Results:
    """Return the results of a study that has been trained and predicted; ``seconds``: what took how long."""
    profile = outcome.profile
    curves = {
        scheme.name: join_curves(
            {f"{scheme.name}, seed {seed}": outcome.read(seed, scheme.name) for seed in profile.seeds}
        )
        for scheme in outcome.schemes
    }
    first = next(iter(curves.values()))
    sample = sample_digest(first)
    covariates = write_covariates([turn.roles[profile.target] for turn in outcome.prepared], outcome.out)
    schemes = tuple(
        _scheme_result(outcome, scheme, curves[scheme.name], sample) for scheme in outcome.schemes
    )
    return Results(
        profile=profile.name,
        title=profile.title,
        synthetic=profile.synthetic,
        settings=_settings(profile),
        network=profile.network,
        init=str(profile.init),
        formula=_formula(outcome.initial),
        claims=dict(profile.claims),
        image_size=profile.image_size,
        training=_training(profile, outcome.plan),
        gate_margin=profile.gate_margin,
        calibrated=profile.calibrated,
        seeds=profile.seeds,
        roles={
            role: role_result([turn.roles[role] for turn in outcome.prepared])
            for role in outcome.prepared[0].roles
        },
        target=profile.target,
        schemes=schemes,
        pairs=scheme_pairs(curves),
        comparisons=seed_comparisons(curves, profile.seeds),
        stages=stage_results(profile.target, outcome.plan, outcome.trained),
        sample=sample,
        n_images=len(first.labels),
        n_positive=int(first.labels.sum()),
        n_patients=first.n_patients or 0,
        device=dict(outcome.device),
        code=training_source(),
        versions=versions(),
        seconds=dict(seconds),
        doubt=doubt(
            curves,
            read_covariates(outcome.out, covariates),
            covariates,
            reference_scheme(outcome.schemes, profile.target),
        ),
        own_tests=own_results(
            {role: data.cohort.dataset for role, data in outcome.prepared[0].roles.items()},
            outcome.own_tests,
            outcome.out,
        ),
        tests={name: _test_result(outcome, name, schemes) for name in profile.tests},
    )


def _test_result(outcome: Outcome, name: str, schemes: Sequence[SchemeResult]) -> FurtherTest:
    """Return every scheme on the further test ``name``, and against its own AUC in ``schemes``."""
    part = test_part(name)
    curves = {
        scheme.name: join_curves(
            {
                f"{scheme.name}, seed {seed}": outcome.read(seed, scheme.name, part)
                for seed in outcome.profile.seeds
            }
        )
        for scheme in schemes
    }
    first = next(iter(curves.values()))
    return FurtherTest(
        cohort=role_result([outcome.prepared[0].tests[name]]),
        sample=sample_digest(first),
        n_images=len(first.labels),
        n_positive=int(first.labels.sum()),
        n_patients=first.n_patients or 0,
        schemes={scheme.name: _test_scheme(outcome, part, scheme, curves[scheme.name]) for scheme in schemes},
        pairs=scheme_pairs(curves),
    )


def _test_scheme(outcome: Outcome, part: str, own: SchemeResult, curves: Predictions) -> FurtherScheme:
    seeds = []
    for (name, scores), seed in zip(curves.scores.items(), outcome.profile.seeds, strict=True):
        file = outcome.files[seed][own.name][part]
        curve = auc(curves.labels, scores, curves.patients, name=name)
        seeds.append(FurtherSeed(seed, replace(curve, name=str(seed)), file.path, file.sha256))
    of: Curve | SeedSpread = seeds[0].curve
    mean = seeds[0].curve.auc
    if len(seeds) > 1:
        of = spread = across_seeds(curves.labels, curves.scores, curves.patients)
        mean = spread.mean
    apart = unpaired_difference(
        Estimate(own.auc, own.se, own.ci_low, own.ci_high), Estimate(mean, of.se, of.ci_low, of.ci_high)
    )
    return FurtherScheme(
        auc=mean,
        se=of.se,
        ci_low=of.ci_low,
        ci_high=of.ci_high,
        difference=apart.difference,
        difference_low=apart.ci_low,
        difference_high=apart.ci_high,
        p_value=apart.p_value,
        seeds=tuple(seeds),
    )


def reference_scheme(schemes: Sequence[Scheme], target: str) -> str | None:
    """Return the scheme that trains the target alone in one stage, if there is one."""
    alone = [s.name for s in schemes if len(s.stages) == 1 and s.roles == {target}]
    return alone[0] if alone else None


def _formula(trained: TrainedStage | None) -> FormulaResult | None:
    if trained is None:
        return None
    return FormulaResult(
        key=trained.key,
        images=sum(epoch.images for epoch in trained.history),
        seconds=trained.seconds,
        validation_auc=trained.validation_auc,
    )


def _settings(profile: Profile) -> dict[str, Any]:
    """Return the profile's tables with the seeds that were really used."""
    settings: Any = plain(profile.settings)
    settings["study"]["seeds"] = list(profile.seeds)
    return dict(settings)


def _training(profile: Profile, plan: Plan) -> dict[str, dict[str, str | bool | int | float]]:
    """Return stage -> its settings; those of a table within them as ``table.setting``."""
    found: dict[str, dict[str, str | bool | int | float]] = {}
    for run in plan.runs:
        flat = found[str(run.stage)] = {}
        for name, value in asdict(profile.stage_config(run.stage)).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{inner}": of for inner, of in value.items()}
            else:
                flat[name] = value
    return found


def _scheme_result(outcome: Outcome, scheme: Scheme, curves: Predictions, sample: str) -> SchemeResult:
    """Return one scheme's AUC, operating points and verdict over all seeds.

    ``curves``: its test predictions, a curve per seed. ``sample`` is that of the test images.
    """
    profile = outcome.profile
    seeds = tuple(_seed_result(outcome, seed, scheme.name) for seed in profile.seeds)
    first = seeds[0].curve
    mean, se, low, high = first.auc, first.se, first.ci_low, first.ci_high
    between: float | None = None
    if len(seeds) > 1:
        spread = across_seeds(curves.labels, curves.scores, curves.patients)
        mean, se, low, high = spread.mean, spread.se, spread.ci_low, spread.ci_high
        between = spread.sd_between_seeds
    stated = profile.targets.get(scheme.name)
    target = stated.for_sample(sample) if stated else None
    final = outcome.plan.final[scheme.name]
    return SchemeResult(
        name=scheme.name,
        notation=scheme.notation,
        auc=mean,
        se=se,
        ci_low=low,
        ci_high=high,
        sd_between_seeds=between,
        target=target,
        decided_by=(target.interval(len(seeds)) or (low, high)) if target and target.band else None,
        verdict=verdict(target, mean, low, high, len(seeds)) if target else _no_target(mean, low, high),
        train_seconds=float(
            np.mean([_chain_seconds(final, trained) for trained in outcome.trained.values()])
        ),
        seeds=seeds,
    )


def scheme_pairs(curves: Mapping[str, Predictions]) -> tuple[SchemePair, ...]:
    """Return every two schemes, mean AUC over seeds, Holm-adjusted together.

    Two schemes may share a seed's first stages. Their AUCs then rise and fall together, and the interval,
    which takes them for independent, is too wide and never too narrow.

    Parameters
    ----------
    curves: scheme -> its test predictions, a curve per seed.
    """
    if len(curves) < 2:
        return ()
    joined = join_predictions(curves)
    found = {
        (a, b): compare_means(
            joined.labels,
            {curve: joined.scores[curve] for name in (a, b) for curve in curves[name].scores},
            list(curves[a].scores),
            list(curves[b].scores),
            joined.patients,
        )
        for a, b in combinations(curves, 2)
    }
    adjusted = adjust_p_values([means.p_value for means in found.values()], "holm")
    return tuple(
        SchemePair(a, b, m.difference, m.se, m.ci_low, m.ci_high, m.p_value, max(m.p_value, p))
        for ((a, b), m), p in zip(found.items(), adjusted, strict=True)
    )


def seed_comparisons(curves: Mapping[str, Predictions], seeds: Sequence[int]) -> tuple[SeedComparison, ...]:
    """Return all pairs of each seed's schemes, joined on image_id and adjusted together by Holm's method."""
    if len(curves) < 2:
        return ()
    joined = join_predictions(curves)
    found = []
    for seed in seeds:
        scores = {name: joined.scores[f"{name}, seed {seed}"] for name in curves}
        comparison = compare_all(joined.labels, scores, joined.patients, adjust="holm")
        found.append(SeedComparison(seed, comparison.pairs, comparison.omnibus))
    return tuple(found)


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
        best_epoch=stage.best_epoch,
        seconds=stage.seconds,
        epochs=tuple(Timing(epoch.images, epoch.train_seconds) for epoch in stage.history),
        losses=tuple(epoch.loss for epoch in stage.history),
        validation_aucs=tuple(epoch.validation_auc for epoch in stage.history),
        fold=fold,
        processes=stage.processes,
        parts=stage.record.parts,
        compile_seconds=stage.record.compile_seconds,
    )


def role_result(turns: Sequence[RoleData]) -> RoleResult:
    """Return what a role's cohort held, how it was split and what was left out.

    Parameters
    ----------
    turns: the role's data, or that of each fold; a part then counts what is in it in any fold.
    """
    data = turns[0]
    policies = data.settings.uncertain
    parts: dict[str, PartResult] = {}
    for part in ("train", "validation", "test"):
        rows = data.pack.table.loc[np.unique(np.concatenate([turn.rows(part) for turn in turns]))]
        parts[part] = PartResult(
            images=len(rows),
            patients=int(rows["patient_id"].nunique()),
            positive={label: int((rows[label] == 1).sum()) for label in data.pack.labels},
        )
    return RoleResult(
        dataset=data.cohort.dataset,
        listed=data.cohort.listed,
        images=len(data.pack.table),
        patients=int(data.pack.table["patient_id"].nunique()),
        labels=data.pack.labels,
        left_out=dict(data.cohort.left_out),
        bad_files=dict(Counter(bad.reason for bad in data.pack.left_out)),
        duplicates_dropped=len(frozenset().union(*(turn.dropped for turn in turns))),
        split_hash=data.split_hash,
        pack_key=data.pack.key,
        parts=parts,
        folds=data.folds,
        odd_pictures=dict(data.odd),
        names=dict(data.cohort.names),
        moments=tuple(turn.moments for turn in turns if turn.moments is not None),
        uncertain={
            label: UncertainResult(
                policy=policies.get(label, policies.get("default", "leave-out")), images=int(mask.sum())
            )
            for label, mask in data.cohort.uncertain.items()
        },
    )


def _seed_result(outcome: Outcome, seed: int, scheme: str) -> SeedResult:
    files = outcome.files[seed][scheme]
    test, validation = outcome.read(seed, scheme), outcome.read(seed, scheme, "validation")
    (scores,) = test.scores.values()
    return SeedResult(
        seed=seed,
        curve=auc(test.labels, scores, test.patients, name=str(seed)),
        image_se=auc(test.labels, scores).se,
        points=_points(test, validation),
        predictions=files["test"].path,
        sha256=files["test"].sha256,
        predicting=tuple(_timing(files[part]) for part in ("test", "validation")),
        processes=files["test"].processes,
    )


def _timing(file: PredictionFile) -> Timing:
    return Timing(file.images, file.seconds)


def _points(test: Predictions, validation: Predictions) -> tuple[Point, ...]:
    """Return the operating points on the test part, at thresholds chosen on the validation part.

    In a cross-validation each fold's network has its own thresholds, chosen on that fold's validation images,
    and its own test images; what is called positive is pooled over the folds.
    """
    (scores,) = test.scores.values()
    (validation_scores,) = validation.scores.values()
    if FOLD not in test.table.columns:
        found = operating_points(validation.labels, validation_scores, test.labels, scores, test.patients)
        return tuple(_point(point) for point in found)
    fold, validation_fold = (part.table[FOLD].astype(str).to_numpy() for part in (test, validation))
    # Above 0 where a score is above its own fold's threshold, exactly so in floating point too.
    above: dict[str, Any] = {}
    for number in np.unique(fold):
        chosen = validation_fold == number
        for rule, threshold in thresholds(validation.labels[chosen], validation_scores[chosen]):
            margin = above.setdefault(rule, np.empty_like(scores))
            margin[fold == number] = scores[fold == number] - threshold
    return tuple(
        replace(_point(at_threshold(test.labels, margin, 0.0, test.patients, rule=rule)), threshold=None)
        for rule, margin in above.items()
    )


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


def sample_digest(test: Predictions) -> str:
    """Return 16 hex digits of the test part's image ids and labels: which images an AUC was measured on.

    What the images show does not go into it, so that a study whose pixels came out otherwise is held against
    the same target.
    """
    rows = zip(test.image_ids.tolist(), test.labels.tolist(), strict=True)
    return digest(sorted([str(image_id), int(label)] for image_id, label in rows))[:16]
