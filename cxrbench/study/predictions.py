"""Prediction files of every scheme: one row per image, written once for each trained network."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field

from cxrbench.errors import RecordError
from cxrbench.files import digest, file_sha256, source_digest
from cxrbench.records import read_record, record, write_record
from cxrbench.schemes import StageRun
from cxrbench.statistics.predictions import read_predictions, write_predictions
from cxrbench.study.prepare import PackedImages, Prepared, RoleData
from cxrbench.study.privacy import written_patients
from cxrbench.study.profile import Profile
from cxrbench.study.stages import heads, only_one
from cxrbench.trace.records import FURTHER, REFERENCE_IMAGES, Moments, Norms, PathTrace
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.config import PrecisionChoice
from cxrbench.training.data import LabelledImages, pool
from cxrbench.training.device import deterministic, synchronise
from cxrbench.training.loop import Progress, load_network
from cxrbench.training.network import Network
from cxrbench.training.networks import Architecture
from cxrbench.training.predict import predict_logits, probabilities
from cxrbench.training.tracer import norms, watched_inputs

PARTS = ("validation", "test")


@record
class PredictionFile:
    """One written prediction file.

    ``seconds`` is what predicting its images took when it was written, ``processes`` how many worked then.
    ``trace`` is None where the file was joined from those of folds.
    """

    path: str
    key: str
    sha256: str
    images: Annotated[int, Field(ge=1)]
    seconds: Annotated[float, Field(ge=0)]
    processes: Annotated[int, Field(ge=1)] = 1
    trace: PathTrace | None = None


Files = dict[str, dict[str, PredictionFile]]
"""scheme -> part -> prediction file."""

Predicted = tuple[npt.NDArray[np.float64], float]
"""The probability of the target's label for each image, and the seconds that predicting took."""


def prediction_path(seed: int, scheme: str, part: str, fold: int | None = None) -> str:
    """Return where the predictions of a scheme lie in the study: ``predictions/seed-S/PART/SCHEME.csv``.

    Those of one fold alone lie in ``predictions/seed-S/fold-K/PART/SCHEME.csv``.
    """
    return f"{_folder(seed, fold)}/{part}/{scheme}.csv"


def test_part(name: str) -> str:
    """Return what the predictions of a further test are called among a scheme's parts."""
    return f"{FURTHER}{name}"


def _folder(seed: int, fold: int | None) -> str:
    return f"predictions/seed-{seed}" + (f"/fold-{fold}" if fold else "")


@dataclass(frozen=True)
class PartPredictions:
    """The predictions of one part with one network: what is predicted, and where it is written.

    path: of the file, relative to the study's folder. patients: as they are written, one per image.
    """

    part: str
    path: str
    key: str
    images: PackedImages
    image_ids: list[str]
    patients: list[str]


@dataclass(frozen=True)
class SchemePredictions:
    """The predictions of one scheme with one seed: of all images, or of one fold's.

    Small enough to be handed to another process. folder: of the scheme's last stage. network: its name.
    outputs: role -> number of labels. processes: how many work at a time. lock: a file, relative to the
    study's folder.
    """

    out: Path
    lock: str
    role: str
    folder: StageFolder
    network: str
    outputs: Mapping[str, int]
    precision: PrecisionChoice
    parts: tuple[PartPredictions, ...]
    processes: int = 1
    deterministic: bool = False

    def kept(self, say: Callable[[str], None] | None = None) -> dict[str, PredictionFile]:
        """Return part -> file for what is there already.

        A file is kept where its network, its images and the code that predicts are the same and nobody has
        changed it. ``say`` is called where somebody has.
        """
        records = {part.part: kept_file(self.out, part.path, part.key, say) for part in self.parts}
        return {part: record for part, record in records.items() if record is not None}

    def missing(self, processes: int, say: Callable[[str], None] | None = None) -> SchemePredictions:
        """Return the parts that are to be predicted, while so many ``processes`` work."""
        kept = self.kept(say)
        parts = tuple(part for part in self.parts if part.part not in kept)
        return replace(self, parts=parts, processes=processes)

    def work(self, device: torch.device, progress: Progress) -> None:
        """Predict on ``device`` and write one file per part that another study has not written meanwhile."""
        with (
            deterministic(device, self.deterministic),
            only_one(self.out / self.lock, "predicting", progress),
        ):
            self._predict(device, progress)

    def _predict(self, device: torch.device, progress: Progress) -> None:
        network = load_network(self.folder, self.network, self.outputs, device)
        # All heads: the stage wrote down those of every role that it trains.
        kept = norms(network, network.heads)
        for part in self.missing(self.processes).parts:
            progress.start(f"predicting ({part.part})", len(part.images.rows))
            try:
                (scores, seconds), trace = predict_and_trace(
                    self.role, network, kept, part.images.load(), self.precision
                )
            finally:
                progress.stop()
            path = self.out / part.path
            write_predictions(path, part.image_ids, part.patients, part.images.labels[:, 0], scores)
            record_file(path, self.out, part.key, len(part.image_ids), seconds, self.processes, trace)


def scheme_predictions(
    profile: Profile,
    prepared: Prepared,
    scheme: str,
    run: StageRun,
    folder: StageFolder,
    seed: int,
    out: Path,
) -> SchemePredictions:
    """Return the validation and test predictions of ``scheme``, whose last ``run`` lies in ``folder``."""
    target = prepared.roles[profile.target]

    def part(name: str, cohort: str, data: RoleData, of: str) -> PartPredictions:
        rows = data.pack.table.loc[data.rows(of)]
        patients = written_patients(profile, cohort, rows["patient_id"])
        content = {
            "stage": folder.key,
            "images": data.identity(of),
            "patients": digest(patients),
            "code": prediction_source(),
        }
        return PartPredictions(
            part=name,
            path=prediction_path(seed, scheme, name, prepared.fold),
            key=digest(content),
            images=data.packed(of),
            image_ids=rows["image_id"].tolist(),
            patients=patients,
        )

    return SchemePredictions(
        out=out,
        lock=f"{_folder(seed, prepared.fold)}/.{scheme}.lock",
        role=profile.target,
        folder=folder,
        network=profile.network,
        outputs=heads(run, prepared),
        precision=profile.stage_config(run.stage).precision,
        parts=(
            *(part(name, profile.target, target, name) for name in PARTS),
            *(part(test_part(name), name, data, "test") for name, data in prepared.tests.items()),
        ),
        deterministic=profile.deterministic,
    )


@cache
def prediction_source() -> str:
    """Return the digest of the sources that turn a checkpoint into rows: changed code predicts again."""
    return source_digest(
        "cxrbench.study.predictions",
        "cxrbench.training.network",
        "cxrbench.training.networks",
        "cxrbench.training.predict",
    )


def join_folds(
    folds: Sequence[Files], out: Path, seed: int, say: Callable[[str], None] | None = None
) -> Files:
    """Write one file per scheme and part with the predictions of all folds; return scheme -> part -> file.

    Parameters
    ----------
    folds: the files of each fold, from the first on.

    Images are in ascending order, and the column ``fold`` says which fold's network gave a score. A file is
    kept where the files that it was joined from are the same and nobody has changed it.
    """
    joined: Files = {}
    for scheme in folds[0]:
        for part in PARTS:
            sources = [fold[scheme][part] for fold in folds]
            name = prediction_path(seed, scheme, part)
            path = out / name
            key = digest([source.sha256 for source in sources])
            record = kept_file(out, name, key, say)
            if record is None:
                read = [read_predictions(out / source.path) for source in sources]
                images = np.concatenate([fold.image_ids for fold in read])
                order = np.argsort(images.astype(str), kind="stable")
                folds_of = np.repeat(np.arange(1, len(read) + 1), [len(fold.labels) for fold in read])
                path.parent.mkdir(parents=True, exist_ok=True)
                write_predictions(
                    path,
                    images[order].tolist(),
                    np.concatenate([fold.patients for fold in read])[order].tolist(),
                    np.concatenate([fold.labels for fold in read])[order],
                    np.concatenate([scores for fold in read for scores in fold.scores.values()])[order],
                    {"fold": folds_of[order]},
                )
                seconds = sum(source.seconds for source in sources)
                processes = max(source.processes for source in sources)
                record = record_file(path, out, key, len(images), seconds, processes)
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


def predict_and_trace(
    role: str,
    network: Network,
    kept: Norms,
    images: LabelledImages,
    precision: PrecisionChoice,
    path: Callable[[Network], None] = lambda _: None,
) -> tuple[Predicted, PathTrace]:
    """Return :func:`predict_images`, and what is written down of the path.

    A random network of a fixed seed takes the same path with the first images: a change of the path shows
    whatever was trained.

    kept: of the network as it was loaded, with all its heads.
    path: what is done to a network before it predicts; a planted fault changes the path so.
    """
    path(network)
    with watched_inputs(network) as inputs:
        predicted = predict_images(role, network, images, network.mean.device, precision)
    return predicted, path_trace(role, network, kept, inputs.moments(), images, precision, path)


def path_trace(
    role: str,
    network: Network,
    kept: Norms,
    inputs: Moments,
    images: LabelledImages,
    precision: PrecisionChoice,
    path: Callable[[Network], None] = lambda _: None,
) -> PathTrace:
    """Return what is written down of the path by which ``network`` predicted ``images``.

    inputs: of what entered it. The others are as in :func:`predict_and_trace`.
    """
    first = images.pixels[:REFERENCE_IMAGES]
    reference = _reference_scores(
        network.architecture,
        role,
        network.mean.device,
        precision,
        (predict_images, path),
        (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()),
        first.shape,
        first.tobytes(),
    )
    return PathTrace(kept, inputs, reference)


@lru_cache(maxsize=4)
def _reference_scores(
    kind: Architecture,
    role: str,
    device: torch.device,
    precision: PrecisionChoice,
    path: tuple[Callable[..., Predicted], Callable[[Network], None]],
    state: tuple[int, bool],  # noqa: ARG001
    shape: tuple[int, ...],
    pixels: bytes,
) -> tuple[float, ...]:
    """Return the scores that a random network gives ``pixels`` on ``path``, computed once in a process.

    Every scheme and seed has the same images and the same path, so that their scores are the same: whatever
    these depend on inside a process is an argument. Nothing of them outlives the process.

    path: what predicts, and what is done to a network before. state: the process's, that bits depend on.
    """
    predict, change = path
    made = Network(kind, {role: 1}, seed=0)
    made.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    change(made)
    unlabelled = np.full((shape[0], 1), np.nan, dtype=np.float32)
    images = LabelledImages(np.frombuffer(pixels, dtype=np.uint8).reshape(shape), unlabelled)
    scores, _ = predict(role, made, images, device, precision)
    return tuple(map(float, scores))


def kept_file(
    out: Path, name: str, key: str, say: Callable[[str], None] | None = None
) -> PredictionFile | None:
    """Return the record of the file ``out / name`` where both are whole and of ``key``; else None.

    ``say`` is called with one line where the file or its record was damaged or changed.
    """
    path = out / name
    recorded = path.with_suffix(".json")
    # A record is written after its file: without one, the file may be half of a pair.
    if not path.is_file() or not recorded.exists():
        return None
    try:
        found = read_record(recorded, PredictionFile)
        if found.key != key:
            return None
        if found.path == name and found.sha256 == file_sha256(path):
            return found
        wrong = f"{path} is not the file that {recorded.name} describes"
    except RecordError as error:
        wrong = str(error)
    if say is not None:
        say(f"{wrong}; it is made again")
    return None


def record_file(
    path: Path,
    out: Path,
    key: str,
    images: int,
    seconds: float,
    processes: int,
    trace: PathTrace | None = None,
) -> PredictionFile:
    """Write down next to ``path`` what it was made from."""
    name = path.relative_to(out).as_posix()
    made = PredictionFile(name, key, file_sha256(path), images, seconds, processes, trace)
    write_record(path.with_suffix(".json"), made)
    return made
