"""ROC curves from the prediction files of a study."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import roc_curve

from cxrbench.errors import CxrbenchError
from cxrbench.text import one_line

if TYPE_CHECKING:
    from cxrbench.study.results import Results, SeedResult


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The corners of an empirical ROC curve, from (0, 0) to (1, 1).

    Parameters
    ----------
    false_positive_rate, true_positive_rate: (n,) float64, both ascending.
    """

    false_positive_rate: npt.NDArray[np.float64]
    true_positive_rate: npt.NDArray[np.float64]


Curves = dict[tuple[str, int], RocCurve]
"""(scheme, seed) -> its ROC curve."""


def read_curves(results: Results, out: Path) -> Curves:
    """Return the ROC curve of every scheme and seed. Only the columns ``label`` and ``score`` are read.

    Parameters
    ----------
    out: the study's folder, from which the results name their prediction files.

    Raises
    ------
    CxrbenchError: a prediction file is missing, cannot be read, or is not the one that the results were
        computed from.
    """
    return {
        (scheme.name, seed.seed): _curve(seed, out / seed.predictions)
        for scheme in results.schemes
        for seed in scheme.seeds
    }


def _curve(seed: SeedResult, path: Path) -> RocCurve:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CxrbenchError(
            f"{path}: predictions cannot be read ({error.strerror}); run the study again, or name the folder "
            "that it was run in"
        ) from None
    if hashlib.sha256(content).hexdigest() != seed.sha256:
        raise CxrbenchError(
            f"{path} is not the file that the results were computed from (its SHA-256 differs); run the "
            "study again"
        )
    try:
        table = pd.read_csv(io.BytesIO(content), usecols=["label", "score"])
        rates = roc_curve(table["label"].to_numpy(), table["score"].to_numpy())
    except ValueError as error:
        raise CxrbenchError(f"{path} is not a prediction file: {one_line(str(error))}") from None
    return RocCurve(np.asarray(rates[0], dtype=np.float64), np.asarray(rates[1], dtype=np.float64))
