"""What can be told of a label without looking at the film: from its view, its size, its brightness.

A network whose AUC such a shortcut reaches may have learned the shortcut. Zech et al. (PLOS Medicine
15:e1002683, 2018) ranked films by their hospital alone and reached an AUC of 0.861.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import StatisticsError
from cxrbench.statistics.inputs import FloatArray, as_labels, check_length

FOLDS = 5
BANDS = 5
"""Into how many bands of equal size a number is cut, where an AUC is taken within them."""
UNKNOWN = "unknown"


Folds = list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
"""For each fold the rows that are fitted on, and those that are held out."""


def held_out(labels: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Folds:
    """Return the folds of scikit-learn's ``StratifiedGroupKFold``, shuffled.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    groups: (n,) the patient of each image, or None where images are independent.

    Raises
    ------
    StatisticsError: fewer than :data:`FOLDS` patients of a class.
    """
    # Imported here: it takes a second, and most callers fit nothing.
    from sklearn.model_selection import StratifiedGroupKFold

    truth = as_labels(labels)
    patients = np.arange(truth.size) if groups is None else pd.factorize(np.asarray(groups, dtype=object))[0]
    fewest = min(len(set(patients[truth])), len(set(patients[~truth])))
    if fewest < FOLDS:
        raise StatisticsError(f"covariates: {fewest} patients of a class, and {FOLDS} folds need as many")
    return list(StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(truth, truth, patients))


def shortcut_scores(columns: pd.DataFrame, labels: npt.ArrayLike, folds: Folds) -> FloatArray:
    """Return (n,) log-odds of the label by a logistic regression on ``columns``, out of fold.

    Each image is scored by a regression that was fitted on other patients. Numbers enter with their squares,
    words as one column per word; what is not known is a word of its own, and for a number its mean.

    Parameters
    ----------
    columns: (n, covariates); numbers or words, missing where not known.
    labels: (n,) 0 or 1.
    folds: of :func:`held_out`.
    """
    # Imported here for the same reason.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    truth = as_labels(labels)
    check_length(len(columns), truth.size, "covariates")
    features = _features(columns)
    scores = np.full(truth.size, np.nan)
    for fit, held in folds:
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        scores[held] = model.fit(features[fit], truth[fit]).decision_function(features[held])
    return scores


def bands(values: pd.Series, count: int = BANDS) -> pd.Series[str]:
    """Return the stratum of each image: its word, or for numbers its band of about ``n / count`` images."""
    if not pd.api.types.is_numeric_dtype(values):
        return values.astype(object).map(str, na_action="ignore").fillna(UNKNOWN).astype(str)
    if values.nunique() <= count:
        return values.map("{:g}".format, na_action="ignore").fillna(UNKNOWN).astype(str)
    cut = pd.qcut(values, count, duplicates="drop")
    named = {band: f"{band.left:.4g} to {band.right:.4g}" for band in cut.cat.categories}
    return cut.map(named, na_action="ignore").astype(object).fillna(UNKNOWN).astype(str)


def _features(columns: pd.DataFrame) -> FloatArray:
    found = []
    for name in columns:
        values = columns[name]
        if pd.api.types.is_numeric_dtype(values):
            known = values.notna().to_numpy()
            numbers = values.fillna(values.mean() if known.any() else 0.0).to_numpy(dtype=np.float64)
            spread = numbers.std()
            centred = (numbers - numbers.mean()) / spread if spread > 0 else numbers * 0
            found += [centred, centred**2] + ([] if known.all() else [(~known).astype(np.float64)])
        else:
            words = values.astype(object).map(str, na_action="ignore").fillna(UNKNOWN)
            found += [(words == word).to_numpy(dtype=np.float64) for word in sorted(set(words))]
    return np.stack(found, axis=1)
