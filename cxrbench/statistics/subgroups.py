"""The AUC within subgroups of the images (view, sex, age band, source) and a test that it is the same in all.

No subgroup is dropped: one with a single class, or with too few images for a normal interval to mean
anything, is listed with its counts and the reason why its AUC is not estimated. Images without a value form
the subgroup "unknown".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import subset_components
from cxrbench.statistics.delong import Components
from cxrbench.statistics.inputs import (
    BoolArray,
    Groups,
    Sample,
    as_number,
    as_sample,
    check_length,
    name_rows,
)
from cxrbench.statistics.intervals import IntervalMethod, auc_intervals
from cxrbench.statistics.omnibus import wald_test
from cxrbench.statistics.records import Omnibus

UNKNOWN = "unknown"
MINIMUM = 10
"""Images of each class (patients with such images, where patients are given) that a subgroup needs."""

AGE_EDGES = (18.0, 40.0, 60.0, 80.0)
"""Years at which a new age band begins: under 18, 18-39, 40-59, 60-79, 80 and over."""


@dataclass(frozen=True)
class Subgroup:
    """One subgroup's AUC.

    Parameters
    ----------
    name: the subgroup.
    n_images, n_positive: its size.
    n_patients: None where no patients were given.
    auc, se, ci_low, ci_high: None where not estimable.
    note: why not, or what a reader must know of the interval, or None.
    """

    name: str
    n_images: int
    n_positive: int
    n_patients: int | None
    auc: float | None
    se: float | None
    ci_low: float | None
    ci_high: float | None
    note: str | None = None


@dataclass(frozen=True)
class SubgroupReport:
    """All subgroups of one kind and the test between them.

    Parameters
    ----------
    by: the kind, such as ``"view"``.
    subgroups: every one, estimable or not.
    heterogeneity: chi-square that the AUC is the same in all of ``compared``; its numbers are None with fewer
        than two.
    compared: the subgroups that the test rests on: those estimated with a standard error above 0.
    """

    by: str
    subgroups: tuple[Subgroup, ...]
    heterogeneity: Omnibus
    compared: tuple[str, ...]


def subgroup_aucs(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    members: npt.ArrayLike | pd.Series,
    groups: npt.ArrayLike | None = None,
    *,
    by: str = "subgroup",
    minimum: int = MINIMUM,
    interval: IntervalMethod = "newcombe",
    level: float = 0.95,
) -> SubgroupReport:
    """Return the AUC within each subgroup and test whether it differs between them.

    The test is the Wald chi-square of the differences. Subgroups of different images are independent; where
    patients are given and one has images in two subgroups, their covariance is allowed for.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: (n,) finite scores.
    members: (n,) the subgroup of each image; missing values count as "unknown". A categorical keeps the order
        of its categories, and a category without images is listed; other values are sorted.
    groups: (n,) the patient of each image, or None where images are independent.
    by: what the subgroups are, for the record.
    minimum: images of each class (patients with such images, where patients are given) that a subgroup needs
        to be estimated; at least 2.
    interval, level: of the AUCs, as in :func:`cxrbench.statistics.auc`.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    if minimum < 2:
        raise StatisticsError(f"minimum: a standard error needs at least 2 of each class, not {minimum}")
    sample = as_sample(labels, {"scores": scores}, groups)
    names, member = _members(members, sample.labels.size)
    rows: list[Subgroup] = []
    parts: dict[str, Components] = {}
    for code, name in enumerate(names):
        keep = member == code
        reason = _not_estimable(sample, keep, minimum)
        counts = (
            int(np.count_nonzero(keep)),
            int(np.count_nonzero(keep & sample.labels)),
            None if sample.groups is None else _count(sample.groups, keep),
        )
        if reason:
            rows.append(Subgroup(name, *counts, None, None, None, None, reason))
            continue
        part = subset_components(sample.labels, sample.scores, sample.groups, keep)
        low, high = auc_intervals(part, level, interval)
        note = None
        if part.se[0] > 0:
            parts[name] = part
        else:
            note = "standard error 0: left out of the heterogeneity test; the interval is Hoeffding's bound"
        rows.append(
            Subgroup(
                name, *counts, float(part.auc[0]), float(part.se[0]), float(low[0]), float(high[0]), note
            )
        )
    return SubgroupReport(by, tuple(rows), _heterogeneity(list(parts.values())), tuple(parts))


def age_bands(ages: npt.ArrayLike, edges: Sequence[float] = AGE_EDGES) -> pd.Series[str]:
    """Return the age band of each image, ordered, missing where the age is.

    Parameters
    ----------
    ages: (n,) years, NaN or empty where unknown.
    edges: ascending years at which a new band begins; the names are such as ``"<18"``, ``"18-39"``,
        ``"80+"``.

    Returns
    -------
    pandas.Series: (n,), categorical.

    Raises
    ------
    StatisticsError: an age is not a number, negative or infinite (the rows are named), or the edges do not
        ascend.
    """
    if not edges or not all(b > a for a, b in itertools.pairwise([-math.inf, *edges])):
        raise StatisticsError(f"edges: must ascend, not {', '.join(f'{edge:g}' for edge in edges)}")
    given = pd.Series(ages)
    numbers = [as_number(age) for age in given.tolist()]
    years = np.array([np.nan if number is None else number for number in numbers])
    unknown = (given.isna() | (given.astype(str).str.strip() == "")).to_numpy()
    wrong = np.flatnonzero((years < 0) | np.isinf(years) | (np.isnan(years) & ~unknown))
    if wrong.size:
        raise StatisticsError(
            f"ages: must be years from 0, found {given.iloc[wrong[0]]} in {name_rows(wrong.tolist())}"
        )
    names = [
        f"<{edges[0]:g}",
        *(f"{a:g}-{b - 1:g}" for a, b in itertools.pairwise(edges)),
        f"{edges[-1]:g}+",
    ]
    codes = np.where(np.isnan(years), -1, np.searchsorted(edges, years, side="right"))
    return pd.Series(pd.Categorical.from_codes(codes.tolist(), categories=pd.Index(names), ordered=True))


def _members(members: npt.ArrayLike | pd.Series, n: int) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Return the subgroups' names in order, and the subgroup of each image as a position in them."""
    series = pd.Series(members)
    check_length(len(series), n, "subgroups")
    missing = series.isna().to_numpy()
    text = series.astype(object).map(str).to_numpy()
    if isinstance(series.dtype, pd.CategoricalDtype):
        names = [str(name) for name in series.cat.categories]
    else:
        names = sorted(set(text[~missing]))
    if missing.any() and UNKNOWN not in names:
        names.append(UNKNOWN)
    text[missing] = UNKNOWN
    positions = {name: code for code, name in enumerate(names)}
    return names, np.array([positions[name] for name in text], dtype=np.int64)


def _not_estimable(sample: Sample, keep: BoolArray, minimum: int) -> str | None:
    if not keep.any():
        return "not estimable: no images"
    for side, kind in ((sample.labels, "positive"), (~sample.labels, "negative")):
        of_class = keep & side
        if not of_class.any():
            return f"not estimable: no {kind} images"
        count = int(np.count_nonzero(of_class)) if sample.groups is None else _count(sample.groups, of_class)
        if count < minimum:
            unit = "images" if sample.groups is None else "patients with images"
            return f"not estimable: {count} {unit} of the {kind} class, at least {minimum} are needed"
    return None


def _count(groups: Groups, keep: BoolArray) -> int:
    return int(np.unique(groups.codes[keep]).size)


def _heterogeneity(parts: list[Components]) -> Omnibus:
    if len(parts) < 2:
        return Omnibus(None, 0, None, f"nothing to compare: {len(parts)} of the subgroups could be estimated")
    auc = np.array([part.auc[0] for part in parts])
    factor = np.stack([part.factor[0] for part in parts])
    return wald_test(auc[1:] - auc[0], factor[1:] - factor[0])
