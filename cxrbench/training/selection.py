"""Which epoch of a stage is kept: a named rule over validation AUCs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from cxrbench.errors import TrainingError


def macro_auc(labels: npt.NDArray[np.float32], logits: npt.NDArray[np.float32]) -> float:
    """Return the mean AUC over the labels of one role that have both classes among the known images.

    Parameters
    ----------
    labels: (n, labels) of 1, 0 and NaN for not known.
    logits: (n, labels) float32; ranked in float64.

    Raises
    ------
    TrainingError: no label has both classes, so that no epoch can be preferred.
    """
    aucs = []
    for column in range(labels.shape[1]):
        known = ~np.isnan(labels[:, column])
        truth = labels[known, column]
        if 0 < truth.sum() < len(truth):
            aucs.append(roc_auc_score(truth, logits[known, column].astype(np.float64)))
    if not aucs:
        raise TrainingError("no label of the validation part has both classes; give it more images")
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
