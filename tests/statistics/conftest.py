"""The definitions, written out without any cleverness, that the package is held against."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

Plain = Callable[..., tuple[np.ndarray, np.ndarray]]


def plain_definition(labels, scores, groups=None):
    """AUCs (K,) and covariance (K, K) by comparing every positive with every negative: O(M N)."""
    labels = np.asarray(labels, dtype=bool)
    scores = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    m, n, k = labels.sum(), (~labels).sum(), len(scores)
    groups = np.arange(labels.size) if groups is None else np.asarray(groups)
    auc, v10, v01 = [], [], []
    for row in scores:
        x, y = row[labels][:, None], row[~labels][None, :]
        psi = (x > y) + 0.5 * (x == y)
        auc.append(psi.mean())
        v10.append(psi.mean(axis=1))
        v01.append(psi.mean(axis=0))
    patients = sorted(set(groups.tolist()))
    of_positive, of_negative = groups[labels], groups[~labels]
    i10, i01, i = len(set(of_positive.tolist())), len(set(of_negative.tolist())), len(patients)
    s10, s01, s11 = np.zeros((k, k)), np.zeros((k, k)), np.zeros((k, k))
    for patient in patients:
        a = np.array([(v10[r][of_positive == patient] - auc[r]).sum() for r in range(k)])
        b = np.array([(v01[r][of_negative == patient] - auc[r]).sum() for r in range(k)])
        s10 += i10 / ((i10 - 1) * m) * np.outer(a, a)
        s01 += i01 / ((i01 - 1) * n) * np.outer(b, b)
        s11 += i / (i - 1) * np.outer(a, b)
    return np.array(auc), s10 / m + s01 / n + (s11 + s11.T) / (m * n)


@pytest.fixture(scope="session")
def plain() -> Plain:
    """Obuchowski's formulae (1997) as printed; DeLong's where each image is its own patient."""
    return plain_definition


@pytest.fixture(scope="session")
def ovarian() -> pd.DataFrame:
    """The data of DeLong, DeLong and Clarke-Pearson (1988)."""
    return pd.read_csv(Path(__file__).parents[2] / "fixtures" / "reference" / "ovarian.csv")
