r"""The difference of two mean AUCs on one test sample: a scheme's seeds now, against its seeds before.

With ``F`` the factor of the covariance of all curves, the mean of some has the factor :math:`\bar F`, and

.. math:: \operatorname{var}(\bar\theta_a - \bar\theta_b) = \lVert \bar F_a - \bar F_b \rVert^2

This is the variance through the test sample, which both sides share. What another training seed would have
given is not in it: the margin of a gate has to leave room for that (see :mod:`cxrbench.statistics.seeds`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import components
from cxrbench.statistics.inputs import as_sample, check_level
from cxrbench.statistics.intervals import normal_quantile


@dataclass(frozen=True)
class MeanDifference:
    """Mean AUC of the curves a minus that of the curves b, with a Wald interval.

    Parameters
    ----------
    mean_a, mean_b: the two mean AUCs.
    difference: a minus b.
    se: standard error of the difference through the test sample; 0 where every image is ranked alike.
    ci_low, ci_high: ends of the interval.
    """

    mean_a: float
    mean_b: float
    difference: float
    se: float
    ci_low: float
    ci_high: float

    def p_below(self, null: float) -> float:
        """Return the one-sided p-value for "the true difference is below ``null``".

        Where the difference has no variance it is what it is: p is 0 or 1.
        """
        if self.se > 0:
            return float(ndtr((self.difference - null) / self.se))
        return 0.0 if self.difference < null else 1.0


def compare_means(
    labels: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    a: Sequence[str],
    b: Sequence[str],
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> MeanDifference:
    """Compare the mean AUC of the curves named in ``a`` with that of the curves named in ``b``.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: name -> (n,) finite scores, all on the same images.
    a, b: names of curves, at least one each.
    groups: (n,) the patient of each image, or None where images are independent.
    level: confidence of the interval.

    Raises
    ------
    StatisticsError: a name is unknown or missing, or the input allows no honest number; rows are named.
    """
    unknown = [name for name in (*a, *b) if name not in scores]
    if unknown or not a or not b:
        raise StatisticsError(f"no curve {unknown[0]!r}" if unknown else "both sides need at least one curve")
    quantile = normal_quantile(check_level(level))
    sample = as_sample(labels, scores, groups)
    parts = components(sample.labels, sample.scores, sample.groups)
    rows_a = [sample.names.index(name) for name in a]
    rows_b = [sample.names.index(name) for name in b]
    mean_a, mean_b = float(parts.auc[rows_a].mean()), float(parts.auc[rows_b].mean())
    contrast = np.mean(parts.factor[rows_a], axis=0) - np.mean(parts.factor[rows_b], axis=0)
    se = math.sqrt(float(contrast @ contrast))
    difference = mean_a - mean_b
    return MeanDifference(
        mean_a, mean_b, difference, se, difference - quantile * se, difference + quantile * se
    )
