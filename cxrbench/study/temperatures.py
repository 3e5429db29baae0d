"""The temperature of each scheme's network, kept next to its parameters as ``temperature.json``.

It is fitted at the end of a study on the validation predictions, which are there anyway: milliseconds. What
was trained and predicted does not change.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

from pydantic import Field

from cxrbench.errors import RecordError
from cxrbench.records import read_record, record, write_record
from cxrbench.statistics.temperature import fit_temperature
from cxrbench.study.finished import read_recorded
from cxrbench.study.predictions import PredictionFile
from cxrbench.training.checkpoints import StageFolder

FILE = "temperature.json"

Loss = Annotated[float, Field(ge=0)]


@record
class Temperature:
    """What a network's log odds are divided by (:mod:`cxrbench.statistics.temperature`).

    stage: key of the stage run. predictions: SHA-256 of the validation predictions that it was fitted on,
    ``images`` of them, ``positive`` positive. loss_before, loss_after: mean log loss on them.
    """

    stage: Annotated[str, Field(min_length=1)]
    predictions: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    temperature: Annotated[float, Field(gt=0)]
    loss_before: Loss
    loss_after: Loss
    images: Annotated[int, Field(ge=1)]
    positive: Annotated[int, Field(ge=1)]


def keep_temperature(folder: StageFolder, out: Path, file: PredictionFile) -> Temperature:
    """Return the temperature of the network in ``folder``, fitted where it is not there, or not of ``file``.

    Parameters
    ----------
    file: its validation predictions in the study's folder ``out``.

    Raises
    ------
    CxrbenchError: the predictions are missing or damaged.
    """
    kept = kept_temperature(folder)
    if kept is not None and kept.predictions == file.sha256:
        return kept
    validation = read_recorded(out, file.path, file.sha256)
    (scores,) = validation.scores.values()
    fitted = fit_temperature(validation.labels, scores)
    made = Temperature(
        stage=folder.key,
        predictions=file.sha256,
        temperature=fitted.temperature,
        loss_before=fitted.loss_before,
        loss_after=fitted.loss_after,
        images=len(scores),
        positive=int(validation.labels.sum()),
    )
    # A finished study may lie on a disk that cannot be written to.
    with suppress(OSError):
        write_record(folder.path / FILE, made)
    return made


def kept_temperature(folder: StageFolder) -> Temperature | None:
    """Return the temperature that lies next to the network in ``folder``; None where none is of it."""
    try:
        kept = read_record(folder.path / FILE, Temperature)
    except RecordError:
        return None
    return kept if kept.stage == folder.key else None
