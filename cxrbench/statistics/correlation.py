r"""The correlation of two AUCs, or of two means of AUCs, on the same images.

It is DeLong's or Obuchowski's, of the structural components. An AUC of exactly 1 shows no variance and has no
such correlation; taking it for 0 would throw the pairing away just where classifiers are best. There it is
Hanley and McNeil's (Radiology 148:839-843, 1983), from the rank correlations of the two scores within each
class and the mean :math:`\theta` of the two AUCs. Their table is of the binormal model, of which, by Hájek's
projection,

.. math::

    r = \frac{g(\rho / 2)}{g(1 / 2)} \qquad
    g(q) = T(z, 1) - T\!\left(z, \sqrt{\tfrac{1 - q}{1 + q}}\right) \qquad z = \Phi^{-1}(\theta) \qquad
    \rho = 2 \sin \frac{\pi\, \overline{r_S}}{6}

with T Owen's function, 2g the covariance of two binormal components, and :math:`\overline{r_S}` the mean of
the rank correlations of the two classes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri, owens_t

from cxrbench.statistics.inputs import BoolArray, FloatArray


def component_correlation(a: FloatArray, b: FloatArray) -> float | None:
    """Return the correlation of two AUCs from the factors (L,) of their covariance, None without variance."""
    product = math.sqrt(a @ a) * math.sqrt(b @ b)
    return float(a @ b) / product if product > 0 else None


def rank_correlation(labels: BoolArray, a: FloatArray, b: FloatArray, auc: float) -> float:
    """Return Hanley and McNeil's correlation of two AUCs, or of two mean AUCs.

    Parameters
    ----------
    labels: (n,) bool, both classes present.
    a, b: (J, n) and (K, n) scores of the curves of each side; the rank correlation is the mean of all pairs.
    auc: the mean of the two AUCs.
    """
    of_classes = [float(_ranks(a[:, keep]) @ _ranks(b[:, keep])) for keep in (labels, ~labels)]
    rho = 2 * math.sin(math.pi / 6 * sum(of_classes) / 2)
    # Half a pair from 0 and 1, where g would be 0.
    least = 0.5 / (np.count_nonzero(labels) * np.count_nonzero(~labels))
    z = ndtri(min(max(auc, least), 1 - least))

    def shared(q: float) -> float:
        return float(owens_t(z, 1.0) - owens_t(z, math.sqrt((1 - q) / (1 + q))))

    return shared(rho / 2) / shared(0.5)


def _ranks(scores: FloatArray) -> FloatArray:
    """Return the mean (n,) of the rows' ranks, centred and of length 1, or 0 where all scores are equal."""
    from scipy.stats import rankdata

    ranks = rankdata(scores, axis=1) - (scores.shape[1] + 1) / 2
    length = np.sqrt((ranks**2).sum(axis=1, keepdims=True))
    mean: FloatArray = np.divide(ranks, length, out=np.zeros_like(ranks), where=length > 0).mean(axis=0)
    return mean
