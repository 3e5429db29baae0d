"""Which epoch of a stage is kept: a named rule over validation AUCs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from cxrbench.errors import TrainingError


def rankable(labels: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Return for each of (n, labels) columns whether both 1 and 0 are among its known values."""
    both: npt.NDArray[np.bool_] = (labels == 1).any(axis=0) & (labels == 0).any(axis=0)
    return both


def macro_auc(labels: npt.NDArray[np.float32], logits: npt.NDArray[np.float32]) -> float:
    """Return the mean AUC over the labels of one role that have both classes among the known images.

    Parameters
    ----------
    labels: (n, labels) of 1, 0 and NaN for not known; smoothed labels are not ranked.
    logits: (n, labels) float32; ranked in float64.

    Raises
    ------
    TrainingError: no label has both classes, so that no epoch can be preferred, or a logit is not finite.
    """
    if not np.isfinite(logits).all():
        raise TrainingError("the network's outputs are not finite on validation images; lower learning_rate")
    aucs = []
    for column in np.flatnonzero(rankable(labels)):
        # What is neither 1 nor 0 is not known, or smoothed.
        known = np.isin(labels[:, column], (0.0, 1.0))
        aucs.append(roc_auc_score(labels[known, column], logits[known, column].astype(np.float64)))
    if not aucs:
        raise TrainingError("no label of the validation images has both classes; give it more images")
    return float(np.mean(aucs))


@dataclass(frozen=True)
class BestValidationAuc:
    """Keep the first epoch with the highest validation AUC.

    The AUC is that of ``target`` where the stage trains it, else the mean over the stage's roles: a pooled
    stage that is a scheme's last is chosen for the task that is tested.
    """

    target: str

    def score(self, aucs: Mapping[str, float]) -> float:
        """Return what an epoch is preferred by, from role -> validation AUC."""
        return aucs[self.target] if self.target in aucs else float(np.mean(list(aucs.values())))
