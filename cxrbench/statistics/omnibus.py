r"""The Wald chi-square that several AUCs are equal, from differences whose covariance may not have full rank.

.. math:: \chi^2 = d^\top (C C^\top)^{+} d

with ``d`` the differences from one of the AUCs and ``C`` the difference of their factors (DeLong et al. 1988,
eq. 6). The rank of the covariance decides the degrees of freedom: a curve that ranks like another adds none.
The pseudo-inverse is taken of the correlation matrix, so that a difference that varies little is not mistaken
for one that does not vary.
"""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc

from cxrbench.statistics.inputs import FloatArray
from cxrbench.statistics.records import Omnibus

_RANK_TOLERANCE = 1e-12
"""Eigenvalues below this share of the largest count as zero; rounding leaves about 1e-16."""


def wald_test(difference: FloatArray, factor: FloatArray) -> Omnibus:
    """Test that all differences are zero.

    Parameters
    ----------
    difference: (m,).
    factor: (m, L), ``factor @ factor.T`` is the covariance of the differences.

    Returns
    -------
    Omnibus: chi2 0, df 0, p 1 where nothing differs and nothing varies; ``chi2`` None where something differs
        that does not vary, for which no chi-square exists.
    """
    se = np.sqrt(np.einsum("kl,kl->k", factor, factor))
    varies = se > 0
    testable = not np.any(difference[~varies])
    scaled = factor[varies] / se[varies, None]
    z = difference[varies] / se[varies]
    df, chi2 = 0, 0.0
    if z.size:
        values, vectors = np.linalg.eigh(scaled @ scaled.T)
        projected = vectors.T @ z
        inside = values > _RANK_TOLERANCE * values[-1]
        df = int(np.count_nonzero(inside))
        chi2 = float(np.sum(projected[inside] ** 2 / values[inside]))
        testable = testable and bool(np.all(np.abs(projected[~inside]) < 1e-4))
    if not testable:
        return Omnibus(
            None, df, None, "the AUCs differ where their difference has no variance; see the pairs"
        )
    note = None
    if df < difference.size:
        note = f"of {difference.size} differences {df} vary independently: some curves rank alike"
    return Omnibus(chi2, df, float(chdtrc(df, chi2)) if df else 1.0, note)
