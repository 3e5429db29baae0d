"""Prediction files of every scheme: one row an image, written once for each trained network."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cxrbench.cohort.storage import digest, write_text_atomic
from cxrbench.schemes import Plan, StageRun
from cxrbench.statistics.predictions import read_predictions, write_predictions
from cxrbench.study.prepare import Prepared, RoleData
from cxrbench.study.privacy import hashed, patient_key
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.stages import heads
from cxrbench.training.checkpoints import TrainedStage
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import LabelledImages, pool
from cxrbench.training.device import synchronise
from cxrbench.training.loop import load_network
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits, probabilities

PARTS = ("validation", "test")


@dataclass(frozen=True)
class PredictionFile:
    """One written prediction file; ``seconds`` is what predicting its images took when it was written."""

    path: str
    key: str
    sha256: str
    images: int
    seconds: float


Files = dict[str, dict[str, PredictionFile]]
"""scheme -> part -> prediction file."""


def prediction_path(out: Path, seed: int, scheme: str, part: str, fold: int | None = None) -> Path:
    """Return where the predictions of a scheme lie: ``predictions/seed-S/PART/SCHEME.csv``.

    Those of one fold alone lie in ``predictions/seed-S/fold-K/PART/SCHEME.csv``.
    """
    folder = out / "predictions" / f"seed-{seed}"
    return (folder / f"fold-{fold}" if fold else folder) / part / f"{scheme}.csv"


def predict_schemes(
    profile: Profile,
    plan: Plan,
    prepared: Prepared,
    trained: Mapping[StageRun, TrainedStage],
    out: Path,
    seed: int,
    device: torch.device,
    progress: StudyProgress,
) -> Files:
    """Write the validation and test predictions of every scheme; return scheme -> part -> file.

    A file is kept where its network and its images are the same and nobody has changed it.
    """
    target = prepared.roles[profile.target]
    patients = {part: _patients(profile, target, part) for part in PARTS}
    written: Files = {}
    for scheme, run in plan.final.items():
        network: Network | None = None
        for part in PARTS:
            path = prediction_path(out, seed, scheme, part, prepared.fold)
            key = digest(
                {
                    "stage": trained[run].key,
                    "images": target.identity(part),
                    "patients": digest(patients[part]),
                }
            )
            record = _kept(path, key)
            if record is None:
                if network is None:
                    network = load_network(trained[run].path, heads(run, prepared), device)
                precision = profile.stage_config(run.stage).precision
                images = target.images(part)
                with progress.task(f"predicting {scheme} ({part})"):
                    scores, seconds = predict_images(profile.target, network, images, device, precision)
                path.parent.mkdir(parents=True, exist_ok=True)
                image_ids = target.pack.table.loc[target.rows(part), "image_id"].tolist()
                write_predictions(path, image_ids, patients[part], images.labels[:, 0], scores)
                record = _record(path, out, key, len(images), seconds)
            written.setdefault(scheme, {})[part] = record
    return written


def join_folds(folds: Sequence[Files], out: Path, seed: int) -> Files:
    """Write one file a scheme and part with the predictions of all folds; return scheme -> part -> file.

    Parameters
    ----------
    folds: what :func:`predict_schemes` returned for each fold, from the first on.

    Images stand in ascending order, and the column ``fold`` says whose network a score comes from. A file is
    kept where the files that it was joined from are the same and nobody has changed it.
    """
    joined: Files = {}
    for scheme in folds[0]:
        for part in PARTS:
            sources = [fold[scheme][part] for fold in folds]
            path = prediction_path(out, seed, scheme, part)
            key = digest([source.sha256 for source in sources])
            record = _kept(path, key)
            if record is None:
                read = [read_predictions(out / source.path) for source in sources]
                images = np.concatenate([of.image_ids for of in read])
                order = np.argsort(images.astype(str), kind="stable")
                folds_of = np.repeat(np.arange(1, len(read) + 1), [len(of.labels) for of in read])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_predictions(
                    path,
                    images[order].tolist(),
                    np.concatenate([of.patients for of in read])[order].tolist(),
                    np.concatenate([of.labels for of in read])[order],
                    np.concatenate([scores for of in read for scores in of.scores.values()])[order],
                    {"fold": folds_of[order]},
                )
                record = _record(path, out, key, len(images), sum(source.seconds for source in sources))
            joined.setdefault(scheme, {})[part] = record
    return joined


def predict_images(
    role: str, network: Network, images: LabelledImages, device: torch.device, precision: PrecisionChoice
) -> tuple[npt.NDArray[np.float64], float]:
    """Return the probability of the role's one label for each image, and the seconds it took."""
    on_device = pool({role: images}, [role], device)
    synchronise(device)
    started = time.perf_counter()
    logits = predict_logits(network, on_device.pixels, [role], precision)
    return probabilities(logits[:, 0]), time.perf_counter() - started


def _patients(profile: Profile, target: RoleData, part: str) -> list[str]:
    ids = target.pack.table.loc[target.rows(part), "patient_id"].astype(str).tolist()
    if profile.patient_ids == "plain":
        return ids
    return hashed(ids, patient_key(target.cohort.dataset))


def _kept(path: Path, key: str) -> PredictionFile | None:
    described = path.with_suffix(".json")
    if not (path.exists() and described.exists()):
        return None
    record = PredictionFile(**json.loads(described.read_text()))
    return record if record.key == key and record.sha256 == _sha256(path) else None


def _record(path: Path, out: Path, key: str, images: int, seconds: float) -> PredictionFile:
    """Write down beside ``path`` what it was made from."""
    record = PredictionFile(path.relative_to(out).as_posix(), key, _sha256(path), images, seconds)
    write_text_atomic(path.with_suffix(".json"), json.dumps(asdict(record), indent=2))
    return record


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
