"""The covariance of AUCs where several images belong to one patient (Obuchowski 1997)."""

from __future__ import annotations

import dataclasses

import numpy as np

from cxrbench.statistics.delong import (
    Components,
    delong_components,
    deviations,
    require_two,
    satterthwaite,
)
from cxrbench.statistics.inputs import BoolArray, FloatArray, Groups, IntArray


def clustered_components(labels: BoolArray, scores: FloatArray, groups: Groups) -> Components:
    r"""AUCs of K curves and their covariance where images of one patient are correlated (Obuchowski 1997).

    Obuchowski (Biometrics 53:567-578, 1997) sums the structural components within each of the I patients, of
    whom :math:`I_{10}` have positive and :math:`I_{01}` negative images. With :math:`a_i = \sum_{j \in i}
    (V_{10}(X_{ij}) - \hat\theta) / M` and :math:`b_i = \sum_{k \in i} (V_{01}(Y_{ik}) - \hat\theta) / N`,

    .. math::

        \operatorname{cov}(\hat\theta^r, \hat\theta^s)
          = \frac{I_{10}}{I_{10}-1} \sum_i a^r_i a^s_i + \frac{I_{01}}{I_{01}-1} \sum_i b^r_i b^s_i
          + \frac{I}{I-1} \sum_i (a^r_i b^s_i + b^r_i a^s_i)

    **Small-sample factors.** They are the three of the paper. With one image per patient :math:`I_{10} = M`,
    :math:`I_{01} = N` and every product :math:`a_i b_i` is zero, so the form *is* DeLong's: the factor
    between the two is 1. (An implementation with :math:`I/(I-1)` throughout would differ by a factor near 1.)

    **Never negative.** Since :math:`I \ge I_{10}, I_{01}`, with :math:`f = I/(I-1)`,

    .. math::

        \operatorname{var} = f \sum_i (a_i + b_i)^2 + (f_{10} - f) \sum_i a_i^2 + (f_{01} - f) \sum_i b_i^2

    has no negative term; its three parts are the columns of ``factor``.

    Parameters
    ----------
    labels: (n,) bool, both classes present.
    scores: (K, n) float64, finite.
    groups: the patient of each image.

    Raises
    ------
    StatisticsError: fewer than two patients with images of a class.
    """
    positives = int(np.count_nonzero(labels))
    negatives = labels.size - positives
    with_positive = _patients(groups, labels)
    with_negative = _patients(groups, ~labels)
    require_two(with_positive, with_negative, "patients")
    wins, numerators = deviations(labels, scores)
    # Summed as whole numbers, so that a_i and b_i that cancel do so exactly.
    a = _sum_by_patient(numerators, labels, groups) / (2.0 * positives * negatives * positives)
    b = _sum_by_patient(numerators, ~labels, groups) / (2.0 * positives * negatives * negatives)
    f = groups.n_groups / (groups.n_groups - 1)
    f_positive = with_positive / (with_positive - 1)
    f_negative = with_negative / (with_negative - 1)
    factor = np.concatenate(
        [np.sqrt(f) * (a + b), np.sqrt(f_positive - f) * a, np.sqrt(f_negative - f) * b], axis=1
    )
    pairs = min(with_positive, with_negative, groups.n_groups // 2)
    degrees = satterthwaite(
        f_positive * np.einsum("kl,kl->k", a, a),
        f_negative * np.einsum("kl,kl->k", b, b),
        with_positive,
        with_negative,
    )
    return Components(wins, factor, positives, negatives, pairs, degrees, _image_variance(labels, numerators))


def components(labels: BoolArray, scores: FloatArray, groups: Groups | None) -> Components:
    """Return :func:`clustered_components` where ``groups`` are given, else :func:`delong_components`."""
    if groups is None:
        return delong_components(labels, scores)
    return clustered_components(labels, scores, groups)


def subset_components(
    labels: BoolArray, scores: FloatArray, groups: Groups | None, keep: BoolArray
) -> Components:
    """Components of the images where ``keep`` is true, laid out over the whole sample's images or patients.

    Factors of several subsets then have the same columns, so that the covariance between AUCs on different
    images of
    the same patients is theirs too: ``first.factor @ second.factor.T``, with the geometric mean of the two
    small-sample factors. Without ``groups``, subsets that share no image have covariance 0.

    Raises
    ------
    StatisticsError: as :func:`components`, for the subset.
    """
    part = components(labels[keep], scores[:, keep], None if groups is None else groups.take(keep))
    curves = scores.shape[0]
    if groups is None:
        factor = np.zeros((curves, labels.size))
        factor[:, keep] = part.factor
    else:
        whole = np.zeros((curves, 3, groups.n_groups))
        whole[:, :, np.unique(groups.codes[keep])] = part.factor.reshape(curves, 3, -1)
        factor = whole.reshape(curves, -1)
    return dataclasses.replace(part, factor=factor)


def _image_variance(labels: BoolArray, numerators: IntArray) -> FloatArray:
    """Return DeLong's variance (K,) of each curve, from its deviations times 2MN."""
    positives = int(np.count_nonzero(labels))
    negatives = labels.size - positives
    terms = np.where(labels, positives * (positives - 1.0), negatives * (negatives - 1.0))
    weights = 1 / (terms * (2.0 * positives * negatives) ** 2)
    return np.array([np.square(row, dtype=np.float64) @ weights for row in numerators])


def _sum_by_patient(values: IntArray, keep: BoolArray, groups: Groups) -> FloatArray:
    """Sum the kept columns of ``values`` (K, n) within each patient: (K, n_groups), whole numbers."""
    codes = groups.codes[keep]
    # float64 sums whole numbers exactly up to 2^53, far above any patient's share.
    return np.stack([np.bincount(codes, weights=row[keep], minlength=groups.n_groups) for row in values])


def _patients(groups: Groups, keep: BoolArray) -> int:
    return int(np.count_nonzero(np.bincount(groups.codes[keep])))
