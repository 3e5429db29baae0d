"""The stage of one supplemental role on its own test part, label by label: is it as good as others' are?

Only a role with a test part is tested so: its data set's official list, or a fraction that the profile gives.
Its first stage alone is tested, which has seen no other role. It is a health check, and no result.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from cxrbench.files import digest
from cxrbench.schemes import Plan, StageRun
from cxrbench.statistics import across_seeds, auc
from cxrbench.statistics.predictions import write_predictions
from cxrbench.study.finished import join_curves, read_recorded
from cxrbench.study.predictions import (
    PredictionFile,
    kept_file,
    path_trace,
    prediction_source,
    record_file,
)
from cxrbench.study.prepare import PackedImages, Prepared
from cxrbench.study.privacy import written_patients
from cxrbench.study.profile import Profile
from cxrbench.study.published import published
from cxrbench.study.results import FurtherSeed, OwnTest
from cxrbench.study.stages import heads, only_one
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import pool
from cxrbench.training.device import deterministic
from cxrbench.training.loop import Progress, load_network
from cxrbench.training.predict import predict_logits, probabilities
from cxrbench.training.tracer import norms, watched_inputs

FEWEST = 5
"""Patients of each class that a label needs, so that its AUC says anything."""


@dataclass(frozen=True)
class OwnTestPredictions:
    """What is predicted of one role's test part with one seed: a file per label. Small enough to hand on.

    run: the stage run whose network predicts, in the notation.
    paths: label -> its file, relative to the study's folder ``out``. known: label -> rows of ``images``.
    """

    out: Path
    role: str
    run: str
    folder: StageFolder
    network: str
    outputs: Mapping[str, int]
    precision: PrecisionChoice
    key: str
    images: PackedImages
    image_ids: list[str]
    patients: list[str]
    labels: tuple[str, ...]
    paths: Mapping[str, str]
    processes: int = 1
    deterministic: bool = False

    def kept(self) -> dict[str, PredictionFile]:
        """Return label -> file for what is there already and is of the same network and images."""
        found = {label: kept_file(self.out, path, self.key) for label, path in self.paths.items()}
        return {label: file for label, file in found.items() if file is not None}

    def work(self, device: torch.device, progress: Progress) -> None:
        """Predict the part once and write a file per label."""
        lock = self.out / "predictions" / f".{self.role}-{self.folder.key[:12]}.lock"
        with deterministic(device, self.deterministic), only_one(lock, "predicting", progress):
            network = load_network(self.folder, self.network, self.outputs, device)
            kept, images = norms(network, network.heads), self.images.load()
            pooled = pool({self.role: images}, [self.role], device)
            with watched_inputs(network) as inputs:
                logits = predict_logits(network, pooled.pixels, [self.role], self.precision)
            trace = path_trace(self.role, network, kept, inputs.moments(), images, self.precision)
            scores = probabilities(logits)
            for label, name in self.paths.items():
                column = self.labels.index(label)
                truth = self.images.labels[:, column]
                rows = np.flatnonzero(np.isin(truth, (0, 1)))
                path = self.out / name
                path.parent.mkdir(parents=True, exist_ok=True)
                write_predictions(
                    path,
                    [self.image_ids[row] for row in rows],
                    [self.patients[row] for row in rows],
                    truth[rows],
                    scores[rows, column],
                )
                record_file(path, self.out, self.key, len(rows), 0.0, self.processes, trace)


def own_tests(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    folders: Mapping[StageRun, StageFolder],
    seed: int,
    out: Path,
) -> Iterator[OwnTestPredictions]:
    """Yield what is to be predicted of the supplemental roles' own test parts, with one seed."""
    for run in plan.runs:
        (role, *others) = run.stage.roles
        if (
            len(run.path) > 1
            or others
            or role == profile.target
            or not len(prepared.roles[role].rows("test"))
        ):
            continue
        data = prepared.roles[role]
        rows = data.pack.table.loc[data.rows("test")]
        patients = written_patients(profile, role, rows["patient_id"])
        labels = [label for label in data.pack.labels if _enough(rows[label].to_numpy(), patients)]
        if not labels:
            continue
        yield OwnTestPredictions(
            out=out,
            role=role,
            run=str(run),
            folder=folders[run],
            network=profile.network,
            outputs=heads(run, prepared),
            precision=profile.stage_config(run.stage).precision,
            key=digest([folders[run].key, data.identity("test"), digest(patients), prediction_source()]),
            images=data.packed("test"),
            image_ids=rows["image_id"].tolist(),
            patients=patients,
            labels=tuple(data.pack.labels),
            paths={
                label: f"predictions/seed-{seed}/own/{role}/{re.sub('[^A-Za-z0-9]+', '-', label)}.csv"
                for label in labels
            },
            deterministic=profile.deterministic,
        )


def _enough(truth: np.ndarray, patients: Sequence[str]) -> bool:
    names = np.asarray(patients, dtype=object)
    return all(len(set(names[truth == kind])) >= FEWEST for kind in (0, 1))


def own_results(
    dataset: Mapping[str, str], seeds: Mapping[int, Sequence[OwnTestPredictions]], out: Path
) -> tuple[OwnTest, ...]:
    """Return each label's AUC over the seeds, and what was published for its data set.

    dataset: role -> its data set.
    """
    found: dict[tuple[str, str], dict[int, PredictionFile]] = {}
    for seed, parts in seeds.items():
        for part in parts:
            for label, file in part.kept().items():
                found.setdefault((part.role, label), {})[seed] = file
    return tuple(_own(role, label, dataset[role], files, out) for (role, label), files in found.items())


def _own(role: str, label: str, dataset: str, files: Mapping[int, PredictionFile], out: Path) -> OwnTest:
    read = join_curves(
        {str(seed): read_recorded(out, file.path, file.sha256) for seed, file in files.items()}
    )
    curves = [auc(read.labels, scores, read.patients, name=seed) for seed, scores in read.scores.items()]
    mean, low, high = curves[0].auc, curves[0].ci_low, curves[0].ci_high
    if len(curves) > 1:
        spread = across_seeds(read.labels, read.scores, read.patients)
        mean, low, high = spread.mean, spread.ci_low, spread.ci_high
    return OwnTest(
        role=role,
        label=label,
        images=len(read.labels),
        positive=int(read.labels.sum()),
        auc=mean,
        ci_low=low,
        ci_high=high,
        published=published(dataset, label),
        seeds=tuple(
            FurtherSeed(seed, curve, file.path, file.sha256)
            for curve, (seed, file) in zip(curves, files.items(), strict=True)
        ),
    )
