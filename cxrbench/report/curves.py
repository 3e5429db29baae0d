"""ROC curves from the prediction files of a study."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_curve

if TYPE_CHECKING:
    from cxrbench.statistics.predictions import Predictions
    from cxrbench.study.finished import FinishedStudy


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


def read_curves(study: FinishedStudy) -> Curves:
    """Return the ROC curve of every scheme and seed.

    Raises
    ------
    CxrbenchError: a prediction file is missing, cannot be read, or is not the one that the results were
        computed from.
    """
    return {
        (scheme, seed): _curve(part)
        for scheme in study.results.names
        for seed, part in study.by_seed(scheme).items()
    }


def _curve(part: Predictions) -> RocCurve:
    (scores,) = part.scores.values()
    rates = roc_curve(part.labels, scores)
    return RocCurve(np.asarray(rates[0], dtype=np.float64), np.asarray(rates[1], dtype=np.float64))
