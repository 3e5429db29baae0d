"""Prediction files of every scheme: one row an image, written once for each trained network."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cxrbench.files import digest, file_sha256, write_text_atomic
from cxrbench.schemes import StageRun
from cxrbench.statistics.predictions import read_predictions, write_predictions
from cxrbench.study.prepare import PackedImages, Prepared, RoleData
from cxrbench.study.privacy import hashed, patient_key
from cxrbench.study.profile import Profile
from cxrbench.study.stages import heads
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import LabelledImages, pool
from cxrbench.training.device import synchronise
from cxrbench.training.loop import Progress, load_network
from cxrbench.training.network import Network
from cxrbench.training.predict import predict_logits, probabilities

PARTS = ("validation", "test")


@dataclass(frozen=True)
class PredictionFile:
    """One written prediction file.

    ``seconds`` is what predicting its images took when it was written, ``processes`` how many worked then.
    """

    path: str
    key: str
    sha256: str
    images: int
    seconds: float
    processes: int = 1


Files = dict[str, dict[str, PredictionFile]]
"""scheme -> part -> prediction file."""

Predicted = tuple[npt.NDArray[np.float64], float]
"""The probability of the target's label for each image, and the seconds that predicting took."""


def prediction_path(out: Path, seed: int, scheme: str, part: str, fold: int | None = None) -> Path:
    """Return where the predictions of a scheme lie: ``predictions/seed-S/PART/SCHEME.csv``.

    Those of one fold alone lie in ``predictions/seed-S/fold-K/PART/SCHEME.csv``.
    """
    folder = out / "predictions" / f"seed-{seed}"
    return (folder / f"fold-{fold}" if fold else folder) / part / f"{scheme}.csv"


@dataclass(frozen=True)
class SchemePredictions:
    """The validation and test predictions of one scheme with one seed: of all images, or of one fold's.

    run, folder: the scheme's last run and where it lies.
    """

    profile: Profile
    prepared: Prepared
    scheme: str
    run: StageRun
    folder: StageFolder
    seed: int
    out: Path

    def kept(self) -> dict[str, PredictionFile]:
        """Return part -> file for what is there already.

        A file is kept where its network and its images are the same and nobody has changed it.
        """
        records = {part: _kept(self._path(part), self._key(part)) for part in PARTS}
        return {part: record for part, record in records.items() if record is not None}

    def missing(self) -> tuple[str, ...]:
        """Return the parts that are to be predicted."""
        kept = self.kept()
        return tuple(part for part in PARTS if part not in kept)

    def images(self, part: str) -> int:
        """Return how many images ``part`` has."""
        return len(self._target.rows(part))

    def arguments(self, device: torch.device) -> tuple[Any, ...]:
        """Return what :func:`predict_parts` takes, for what is missing."""
        return (
            self.profile.target,
            self.folder.best,
            heads(self.run, self.prepared),
            {part: self._target.packed(part) for part in self.missing()},
            device,
            self.profile.stage_config(self.run.stage).precision,
        )

    def write(self, predicted: Mapping[str, Predicted], processes: int) -> None:
        """Write what :func:`predict_parts` returned, while so many processes worked: one file a part."""
        for part, (scores, seconds) in predicted.items():
            path = self._path(part)
            path.parent.mkdir(parents=True, exist_ok=True)
            image_ids = self._target.pack.table.loc[self._target.rows(part), "image_id"].tolist()
            labels = self._target.packed(part).labels[:, 0]
            write_predictions(path, image_ids, self._patients(part), labels, scores)
            _record(path, self.out, self._key(part), len(image_ids), seconds, processes)

    @property
    def _target(self) -> RoleData:
        return self.prepared.roles[self.profile.target]

    def _path(self, part: str) -> Path:
        return prediction_path(self.out, self.seed, self.scheme, part, self.prepared.fold)

    def _patients(self, part: str) -> list[str]:
        ids = self._target.pack.table.loc[self._target.rows(part), "patient_id"].astype(str).tolist()
        if self.profile.patient_ids == "plain":
            return ids
        return hashed(ids, patient_key(self._target.settings.dataset))

    def _key(self, part: str) -> str:
        return digest(
            {
                "stage": self.folder.key,
                "images": self._target.identity(part),
                "patients": digest(self._patients(part)),
            }
        )


def predict_parts(
    role: str,
    checkpoint: Path,
    outputs: Mapping[str, int],
    images: Mapping[str, PackedImages],
    device: torch.device,
    precision: PrecisionChoice,
    progress: Progress,
) -> dict[str, Predicted]:
    """Return part -> probability of the role's one label for each image, and the seconds it took.

    Parameters
    ----------
    outputs: role -> number of labels of ``checkpoint``. images: part -> images.
    """
    network = load_network(checkpoint, outputs, device)
    predicted = {}
    for part, packed in images.items():
        progress.start(f"predicting ({part})", len(packed.rows))
        try:
            predicted[part] = predict_images(role, network, packed.load(), device, precision)
        finally:
            progress.stop()
    return predicted


def join_folds(folds: Sequence[Files], out: Path, seed: int) -> Files:
    """Write one file a scheme and part with the predictions of all folds; return scheme -> part -> file.

    Parameters
    ----------
    folds: the files of each fold, from the first on.

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
                seconds = sum(source.seconds for source in sources)
                processes = max(source.processes for source in sources)
                record = _record(path, out, key, len(images), seconds, processes)
            joined.setdefault(scheme, {})[part] = record
    return joined


def predict_images(
    role: str, network: Network, images: LabelledImages, device: torch.device, precision: PrecisionChoice
) -> Predicted:
    """Return the probability of the role's one label for each image, and the seconds it took."""
    on_device = pool({role: images}, [role], device)
    synchronise(device)
    started = time.perf_counter()
    logits = predict_logits(network, on_device.pixels, [role], precision)
    return probabilities(logits[:, 0]), time.perf_counter() - started


def _kept(path: Path, key: str) -> PredictionFile | None:
    described = path.with_suffix(".json")
    if not (path.exists() and described.exists()):
        return None
    record = PredictionFile(**json.loads(described.read_text()))
    return record if record.key == key and record.sha256 == file_sha256(path) else None


def _record(path: Path, out: Path, key: str, images: int, seconds: float, processes: int) -> PredictionFile:
    """Write down beside ``path`` what it was made from."""
    record = PredictionFile(
        path.relative_to(out).as_posix(), key, file_sha256(path), images, seconds, processes
    )
    write_text_atomic(path.with_suffix(".json"), json.dumps(asdict(record), indent=2))
    return record
