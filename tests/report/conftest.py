"""A study that nobody ran: records with numbers written here, and prediction files of random scores."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from cxrbench.report import write_report
from cxrbench.statistics.records import Curve, Omnibus, Pair
from cxrbench.statistics.verdicts import Target, Verdict, verdict
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import (
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
)

# name -> notation, AUC, 95% interval, target of the profile, its text, outcome, seconds.
SCHEMES: dict[str, tuple[str, float, float, float, dict[str, Any] | None, str, str, float]] = {
    "control": (
        "init > covid",
        0.757,
        0.741,
        0.773,
        {"auc": 0.757, "tolerance": 0.03, "source": "Fricks et al. 2021, abstract"},
        "0.757 ± 0.030 (Fricks et al. 2021, abstract)",
        "pass",
        42.4,
    ),
    "findings": (
        "init > findings > covid",
        0.842,
        0.829,
        0.855,
        {"at_least": 0.86, "source": "calibration"},
        "at least 0.860 (calibration)",
        "fail",
        151.0,
    ),
    "pneumonia": (
        "init > pneumonia > covid",
        0.818,
        0.802,
        0.834,
        {"at_least": 0.81, "source": "calibration"},
        "at least 0.810 (calibration)",
        "inconclusive",
        118.2,
    ),
    "sequential": (
        "init > findings > pneumonia > covid",
        0.857,
        0.844,
        0.870,
        {"auc": 0.857, "tolerance": 0.03, "source": "Fricks et al. 2021, abstract"},
        "0.857 ± 0.030 (Fricks et al. 2021, abstract)",
        "pass",
        226.9,
    ),
    "pooled-supplement": (
        "init > findings + pneumonia > covid",
        0.846,
        0.832,
        0.860,
        {"auc": 0.84, "tolerance": 0.02, "source": "a guess", "calibrated": False},
        "0.840 ± 0.020 (a guess)",
        "inconclusive",
        231.5,
    ),
    "pooled-all": (
        "init > findings + pneumonia + covid",
        0.801,
        0.785,
        0.817,
        None,
        "",
        "inconclusive",
        1204.0,
    ),
}
ADJUSTED = (
    1e-9,
    2e-5,
    1e-8,
    3e-7,
    0.0213,
    0.034,
    0.11,
    0.62,
    0.0004,
    0.0008,
    0.021,
    0.16,
    0.53,
    1e-5,
    0.0002,
)
N_IMAGES, N_POSITIVE, N_PATIENTS = 1060, 801, 475
PATIENT = "MRN-4711"


MakeStudy = Callable[..., FinishedStudy]


@pytest.fixture(scope="session")
def make_study(tmp_path_factory: pytest.TempPathFactory) -> MakeStudy:
    """Return a function that writes prediction files to a new folder and returns their study."""

    def make(
        names: tuple[str, ...] = tuple(SCHEMES),
        seeds: tuple[int, ...] = (0,),
        targets: bool = True,
        synthetic: bool = True,
        title: str = "Six schemes on synthetic radiographs, 64 px",
    ) -> FinishedStudy:
        out = tmp_path_factory.mktemp("study")
        schemes = tuple(_scheme(name, seeds, targets, out) for name in names)
        runs = [stage for name in names for stage in _prefixes(SCHEMES[name][0])]
        results = Results(
            profile="phantom" if synthetic else "hospital",
            title=title,
            synthetic=synthetic,
            settings=_settings(title, names if targets else (), seeds, out),
            network="densenet121",
            init="file",
            image_size=64,
            training={"covid": {"epochs": 6, "precision": "float32"}},
            gate_margin=0.05,
            calibrated=True,
            seeds=seeds,
            roles=_roles(synthetic),
            target="covid",
            schemes=schemes,
            pairs=_pairs(schemes),
            comparisons=tuple(_comparison(schemes, i) for i in range(len(seeds)) if len(names) > 1),
            stages=tuple(_stage(run, seed) for seed in seeds for run in dict.fromkeys(runs)),
            n_images=N_IMAGES,
            n_positive=N_POSITIVE,
            n_patients=N_PATIENTS,
            sample="0123456789abcdef",
            code="0" * 64,
            device={"type": "cpu", "name": "x86_64 AVX2", "threads": 2},
            versions={"cxrbench": "0.1.0", "torch": "2.11.0+cpu", "torchvision": "0.26.0", "numpy": "2.4.1"},
            seconds={"data": 12.6, "training and prediction": 480.3, "total": 497.0},
        )
        return FinishedStudy(out, results)

    return make


@dataclass(frozen=True)
class Written:
    """A study and its report, which is written when it is first asked for.

    folder: of the report.
    """

    study: FinishedStudy
    folder: Path

    @cached_property
    def index(self) -> Path:
        return write_report(self.study, self.folder)

    @property
    def html(self) -> str:
        """The page."""
        return self.index.read_text(encoding="utf-8")

    @property
    def markdown(self) -> str:
        """The summary."""
        return (self.index.parent / "summary.md").read_text(encoding="utf-8")


def cross_validated(study: FinishedStudy, folds: int = 5) -> FinishedStudy:
    """Return ``study`` as if its target had been cross-validated."""
    results = study.results
    stages = [
        replace(stage, fold=fold, key=hashlib.sha256(f"{stage.key}{fold}".encode()).hexdigest())
        for stage in results.stages
        for fold in (range(1, folds + 1) if "covid" in stage.run else [None])
    ]
    covid = replace(results.roles["covid"], folds=folds)
    return replace(
        study, results=replace(results, stages=tuple(stages), roles={**results.roles, "covid": covid})
    )


# Two of the six come from a calibration of five seeds: t(4; 0.975) is 2.776.
SPREADS = {"control": 0.011, "sequential": 0.02}


def calibrated(study: FinishedStudy) -> FinishedStudy:
    """Return ``study`` as if the targets of :data:`SPREADS` came from a calibration, judged accordingly."""
    results = study.results
    schemes = []
    for scheme in results.schemes:
        if scheme.name in SPREADS:
            target = Target(auc=scheme.target.auc, sd=SPREADS[scheme.name], seeds=5, source="calibration")
            found = verdict(target, scheme.auc, scheme.ci_low, scheme.ci_high, len(scheme.seeds))
            ends = target.interval(len(scheme.seeds))
            scheme = replace(scheme, target=target, decided_by=ends, verdict=found)
        schemes.append(scheme)
    return replace(study, results=replace(results, schemes=tuple(schemes)))


HOSTILE = "A & B </title><script>alert(1)</script> /home/jane.doe/study"


@pytest.fixture(scope="session")
def reports(make_study: MakeStudy, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    """Reports of studies of every shape, each written once for all tests."""
    studies = {
        "six": make_study(title=HOSTILE),
        "seeds": make_study(seeds=(0, 1, 2), synthetic=False),
        "pair": make_study(names=("control", "sequential")),
        "single": make_study(names=("control",), targets=False),
        "folds": cross_validated(make_study(synthetic=False)),
        "calibrated": calibrated(make_study()),
        "calibrated-seeds": calibrated(make_study(names=("control", "sequential"), seeds=(0, 1, 2))),
    }
    return {name: Written(study, tmp_path_factory.mktemp(name) / "report") for name, study in studies.items()}


def _scheme(name: str, seeds: tuple[int, ...], targets: bool, out: Path) -> SchemeResult:
    notation, auc, low, high, stated, target, outcome, seconds = SCHEMES[name]
    results = tuple(
        _seed(name, seed, auc + 0.006 * (i - (len(seeds) - 1) / 2), out) for i, seed in enumerate(seeds)
    )
    return SchemeResult(
        name=name,
        notation=notation,
        auc=auc,
        se=0.0081,
        ci_low=low,
        ci_high=high,
        sd_between_seeds=0.006 if len(seeds) > 1 else None,
        target=Target(**stated) if targets and stated else None,
        decided_by=(low, high) if targets and stated and stated.get("calibrated", True) else None,
        verdict=Verdict(outcome, f"AUC {auc:.3f} [{low:.3f}, {high:.3f}] against {target or 'no target'}"),
        train_seconds=seconds,
        seeds=results,
    )


def _seed(name: str, seed: int, auc: float, out: Path) -> SeedResult:
    path = f"predictions/seed-{seed}/test/{name}.csv"
    random = np.random.default_rng([seed, list(SCHEMES).index(name)])
    label = np.arange(N_IMAGES) < N_POSITIVE
    # Two normal distributions this far apart have that AUC.
    score = 1 / (1 + np.exp(-random.normal(label * np.sqrt(2) * norm.ppf(auc), 1)))
    table = pd.DataFrame(
        {
            "image_id": [f"IMG-{i:05}" for i in range(N_IMAGES)],
            "patient_id": [f"{PATIENT}-{i % N_PATIENTS:04}" for i in range(N_IMAGES)],
            "label": label.astype(int),
            "score": score,
        }
    )
    (out / path).parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(out / path, index=False)
    points = []
    for rule, wanted in (("youden", 0.72), ("sensitivity 0.90", 0.90), ("sensitivity 0.95", 0.95)):
        threshold = float(np.quantile(score[label], 1 - wanted))
        sensitivity, specificity = (score[label] >= threshold).mean(), (score[~label] < threshold).mean()
        points.append(
            Point(
                chosen=rule,
                threshold=threshold,
                sensitivity=float(sensitivity),
                sensitivity_low=float(sensitivity) - 0.03,
                sensitivity_high=float(sensitivity) + 0.02,
                specificity=float(specificity),
                specificity_low=max(0.0, float(specificity) - 0.05),
                specificity_high=float(specificity) + 0.06,
            )
        )
    return SeedResult(
        seed=seed,
        curve=Curve(name=str(seed), auc=auc, se=0.0081, ci_low=auc - 0.016, ci_high=auc + 0.016),
        image_se=0.0063,
        points=tuple(points),
        predictions=path,
        sha256=hashlib.sha256((out / path).read_bytes()).hexdigest(),
        predicting=(Timing(N_IMAGES, 1.94), Timing(212, 0.4)),
    )


def _pairs(schemes: tuple[SchemeResult, ...]) -> tuple[SchemePair, ...]:
    return tuple(
        SchemePair(
            a=a.name,
            b=b.name,
            difference=a.auc - b.auc,
            se=0.006,
            ci_low=a.auc - b.auc - 0.012,
            ci_high=a.auc - b.auc + 0.012,
            p_value=p / 3,
            p_adjusted=p,
        )
        for (a, b), p in zip(combinations(schemes, 2), ADJUSTED, strict=False)
    )


def _comparison(schemes: tuple[SchemeResult, ...], i: int) -> SeedComparison:
    pairs = []
    for (a, b), p in zip(combinations(schemes, 2), ADJUSTED, strict=False):
        difference = a.seeds[i].curve.auc - b.seeds[i].curve.auc
        adjusted = min(1.0, p * (1 + 2 * i))
        pairs.append(
            Pair(
                a=a.name,
                b=b.name,
                difference=difference,
                se=0.006,
                ci_low=difference - 0.012,
                ci_high=difference + 0.012,
                z=difference / 0.006,
                p_value=adjusted / 3,
                p_adjusted=adjusted,
            )
        )
    return SeedComparison(schemes[0].seeds[i].seed, tuple(pairs), Omnibus(131.27, len(schemes) - 1, 2.1e-17))


def _prefixes(notation: str) -> list[str]:
    terms = notation.split(" > ")
    return [" > ".join(terms[: n + 1]) for n in range(1, len(terms))]


def _stage(run: str, seed: int) -> StageResult:
    random = np.random.default_rng([seed, len(run)])
    epochs = 6 if run.endswith("covid") else 3
    aucs = tuple(
        float(v) for v in 0.85 - 0.25 * np.exp(-np.arange(1, epochs + 1) / 2) + random.normal(0, 0.01, epochs)
    )
    best = int(np.argmax(aucs))
    return StageResult(
        run=run,
        seed=seed,
        key=hashlib.sha256(f"{run}{seed}".encode()).hexdigest(),
        best_epoch=best,
        seconds=17.3 * epochs,
        epochs=(Timing(6124, 10.0),) * epochs,
        losses=tuple(float(v) for v in 0.35 + 0.3 * np.exp(-np.arange(1, epochs + 1) / 2)),
        validation_aucs=aucs,
    )


def _roles(synthetic: bool) -> dict[str, RoleResult]:
    dataset = {
        "findings": "chestxray14",
        "pneumonia": "rsna-pneumonia",
        "covid": "covid-image-collection",
    }
    labels = {
        "findings": (
            "Atelectasis",
            "Cardiomegaly",
            "Effusion",
            "Infiltration",
            "Mass",
            "Nodule",
            "Pneumonia",
        ),
        "pneumonia": ("Lung Opacity",),
        "covid": ("COVID-19",),
    }
    roles = {}
    for role, names in labels.items():
        tested = role == "covid"
        parts = {
            "train": PartResult(848, 380, dict.fromkeys(names, 640)),
            "validation": PartResult(212, 95, dict.fromkeys(names, 161)),
            "test": PartResult(
                N_IMAGES if tested else 0,
                N_PATIENTS if tested else 0,
                dict.fromkeys(names, N_POSITIVE if tested else 0),
            ),
        }
        roles[role] = RoleResult(
            dataset="phantom" if synthetic else dataset[role],
            listed=2200 if tested else 1060,
            images=2120 if tested else 1060,
            patients=950 if tested else 475,
            labels=names,
            left_out={} if synthetic else {"not a frontal X-ray": 61, "no label": 12},
            bad_files={} if synthetic else {"not a DICOM file": 7},
            duplicates_dropped=3 if tested and not synthetic else 0,
            split_hash=hashlib.sha256(role.encode()).hexdigest(),
            pack_key=hashlib.sha256(role.upper().encode()).hexdigest(),
            parts=parts,
        )
    return roles


def _settings(title: str, names: tuple[str, ...], seeds: tuple[int, ...], out: Path) -> dict[str, Any]:
    return {
        "study": {
            "name": "phantom",
            "title": title,
            "image_size": 64,
            "init": {"kind": "file", "path": str(out / "weights" / "densenet121.safetensors")},
            "seeds": list(seeds),
            "target": "covid",
            "label": "COVID-19",
        },
        "roles": {
            "findings": {
                "dataset": "phantom",
                "validation": 0.1,
                "split": "C:\\Users\\Jane Doe\\findings.csv",
            },
            "pneumonia": {"dataset": "phantom", "validation": 0.1, "split": "../jane/pneumonia.csv"},
            "covid": {
                "dataset": "phantom",
                "validation": 0.2,
                "options": {"file": "/home/jane doe/covid list.csv", "labels": ["COVID-19"]},
            },
        },
        "stages": {"default": {"epochs": 3, "learning_rate": 1e-3}, "covid": {"epochs": 6}},
        "targets": {name: SCHEMES[name][4] for name in names if SCHEMES[name][4] is not None},
    }


@pytest.fixture(scope="session")
def with_further_test() -> Callable[[Results], Results]:
    """Return a function that adds a further test of 61 images to results."""

    def add(results: Results) -> Results:
        cohort = replace(
            results.roles["covid"],
            dataset="hospital-set",
            listed=77,
            left_out={"lateral view": 4},
            parts={"test": PartResult(61, 52, {"COVID-19": 23})},
        )
        schemes = {}
        for scheme in results.schemes:
            seeds = tuple(
                FurtherSeed(own.seed, own.curve, own.predictions, own.sha256) for own in scheme.seeds
            )
            schemes[scheme.name] = FurtherScheme(0.7, 0.03, 0.64, 0.76, 0.05, -0.02, 0.12, 0.2, seeds)
        test = FurtherTest(cohort, "digest", 61, 23, 52, schemes, ())
        return replace(results, tests={"hospital-b": test})

    return add
