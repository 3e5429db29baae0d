"""Scores of a trained network for new images, by the path that the study's own predictions take."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from cxrbench.cohort.pack import LeftOut, Progress, pack
from cxrbench.cohort.table import Cohort, cropped
from cxrbench.errors import CxrbenchError
from cxrbench.files import write_text_atomic
from cxrbench.radiograph import picture_faults
from cxrbench.statistics.temperature import at_temperature
from cxrbench.study.predictions import predict_images
from cxrbench.training.data import LabelledImages
from cxrbench.use.trained import TrainedNetwork


@dataclass(frozen=True)
class Scored:
    """The scores of new images.

    table: one row per image that could be read: image_id, patient_id, path and the label.
    scores: (n,) the network's probabilities. calibrated: (n,) those at the fitted temperature; None where
    there is none. refused: what could not be read, and why. odd: image_id -> why a picture may be no
    radiograph. seconds: what predicting took.
    """

    table: pd.DataFrame
    scores: npt.NDArray[np.float64]
    calibrated: npt.NDArray[np.float64] | None
    refused: tuple[LeftOut, ...]
    odd: dict[str, tuple[str, ...]]
    seconds: float


def score(
    trained: TrainedNetwork,
    cohort: Cohort,
    device: torch.device,
    scratch: Path,
    progress: Progress | None = None,
) -> Scored:
    """Read the images of ``cohort`` and score them.

    Parameters
    ----------
    scratch: a folder on a disk with room for the images as squares; what is written there is deleted.
    progress: called with 1 after each image that was read.

    Raises
    ------
    CxrbenchError: no image can be read, the network is damaged, or memory runs out.
    """
    network = trained.load(device)
    with tempfile.TemporaryDirectory(prefix=".images-", dir=scratch, ignore_cleanup_errors=True) as folder:
        if trained.crop:
            cohort = cropped(cohort)
        packed = pack(cohort, trained.size, folder, on_bad="leave-out", progress=progress)
        table = packed.table
        odd = {
            image_id: faults
            for image_id, image in zip(table["image_id"], packed.pixels, strict=True)
            if (faults := picture_faults(image))
        }
        labels = table[[trained.label]].to_numpy(dtype=np.float32)
        pixels = np.array(packed.pixels)
        if trained.levels is not None:
            pixels = trained.levels[pixels]
        images = LabelledImages(pixels, labels)
    scores, seconds = predict_images(trained.role, network, images, device, trained.precision)
    calibrated = at_temperature(scores, trained.temperature.temperature) if trained.temperature else None
    return Scored(table, scores, calibrated, packed.left_out, odd, seconds)


def write_scores(path: Path, scored: Scored, label: str, ids: pd.DataFrame, *, patients: bool) -> None:
    """Write a prediction file: image_id, patient_id, label, score and calibrated.

    Parameters
    ----------
    ids: image_id and patient_id as they are written, by image_id.

    ``patient_id`` is left out without ``patients``, ``label`` where none is known, ``calibrated`` where there
    is no temperature. Numbers have as many digits as bring the same float64 back.

    Raises
    ------
    CxrbenchError: the file cannot be written.
    """
    truth = scored.table[label]
    written = ids.loc[scored.table["image_id"]]
    columns = {
        "image_id": written["image_id"].to_numpy(),
        "patient_id": written["patient_id"].to_numpy() if patients else None,
        "label": truth.astype("Int64") if truth.notna().any() else None,
        "score": scored.scores,
        "calibrated": scored.calibrated,
    }
    known = {name: column for name, column in columns.items() if column is not None}
    try:
        write_text_atomic(path, pd.DataFrame(known).to_csv(index=False, lineterminator="\n"))
    except OSError as error:
        raise CxrbenchError(f"{path}: cannot be written: {error.strerror or error}") from None
