r"""One AUC for several sites (hospitals, scanners): not only of all images thrown together.

Thrown together, images of one site are compared with those of another, and a classifier that knows only the
site looks good where the sites' shares of positives differ. *Within sites* only pairs of images of one site
count, each alike (the stratified AUC); *over sites* is the mean AUC of sites such as these, by a
random-effects meta-analysis on the logit scale (DerSimonian and Laird, Controlled Clinical Trials 7:177-188,
1986; statsmodels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import subset_components
from cxrbench.statistics.inputs import as_sample, check_length, check_level
from cxrbench.statistics.intervals import hoeffding_interval, normal_quantile


@dataclass(frozen=True)
class PooledAuc:
    """An AUC over sites.

    Parameters
    ----------
    within, within_se, within_low, within_high: stratified AUC, with a logit interval, or Hoeffding's
        where its variance is zero.
    over, over_low, over_high: mean over sites by random effects; None with fewer than two sites that have a
        variance.
    tau: standard deviation between sites on the logit scale.
    i2: share of the variance that is between sites, 0 to 1.
    sites: those that have both classes, two images (patients) of each.
    left_out: the others, whose images are in no number here.
    """

    within: float
    within_se: float
    within_low: float
    within_high: float
    over: float | None
    over_low: float | None
    over_high: float | None
    tau: float | None
    i2: float | None
    sites: tuple[str, ...]
    left_out: tuple[str, ...]


def pooled_auc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    sites: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> PooledAuc:
    """Return the AUC within sites and over sites.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: (n,) finite scores.
    sites: (n,) the site of each image.
    groups: (n,) the patient of each image, or None where images are independent.
    level: confidence of the intervals.

    Raises
    ------
    StatisticsError: no site has both classes, a site is missing, or the input allows no honest number.
    """
    check_level(level)
    sample = as_sample(labels, {"scores": scores}, groups)
    names = np.array([str(site) if site is not None else "" for site in np.asarray(sites).tolist()])
    check_length(names.size, sample.labels.size, "sites")
    if "" in names or "nan" in names:
        raise StatisticsError("sites: an image has none")
    parts, used, left_out = [], [], []
    for site in sorted(set(names.tolist())):
        keep = names == site
        try:
            parts.append(subset_components(sample.labels, sample.scores, sample.groups, keep))
            used.append(site)
        except (StatisticsError, ZeroDivisionError):
            left_out.append(site)
    if not parts:
        raise StatisticsError("sites: none has two images or patients of each class")
    pairs = np.array([part.n_positive * part.n_negative for part in parts], dtype=np.float64)
    weights = pairs / pairs.sum()
    aucs = np.array([part.auc[0] for part in parts])
    within = float(weights @ aucs)
    factor = weights @ np.stack([part.factor[0] for part in parts])
    se = math.sqrt(factor @ factor)
    z = normal_quantile(level)
    if se > 0 and 0 < within < 1:
        reach = z * se / (within * (1 - within))
        ends = float(expit(logit(within) - reach)), float(expit(logit(within) + reach))
    else:
        # By Hoeffding a weighted mean is no surer than one of so many pairs.
        shares = sum(w**2 / part.independent_pairs for w, part in zip(weights, parts, strict=True))
        ends = hoeffding_interval(within, max(1, math.floor(round(1 / shares, 9))), level)
    over = _over_sites(aucs, np.array([part.se[0] for part in parts]), level)
    return PooledAuc(within, se, *ends, *over, tuple(used), tuple(left_out))


def _over_sites(
    aucs: npt.NDArray[np.float64], se: npt.NDArray[np.float64], level: float
) -> tuple[float | None, float | None, float | None, float | None, float | None]:
    from statsmodels.stats.meta_analysis import combine_effects

    usable = (se > 0) & (aucs > 0) & (aucs < 1)
    if np.count_nonzero(usable) < 2:
        return None, None, None, None, None
    values, errors = aucs[usable], se[usable]
    effects, variances = logit(values), (errors / (values * (1 - values))) ** 2
    # statsmodels leaves a variance between sites below 0 as it is and weights by it, where DerSimonian and
    # Laird take 0, which is the fixed effect.
    with np.errstate(invalid="ignore"):
        found = combine_effects(effects, variances, method_re="dl", use_t=False, alpha=1 - level)
        table = found.summary_frame(alpha=1 - level)
    table = table.loc["random effect" if found.tau2 > 0 else "fixed effect"]
    mean, low, high = (float(expit(table[column])) for column in ("eff", "ci_low", "ci_upp"))
    return mean, low, high, math.sqrt(max(0.0, float(found.tau2))), max(0.0, float(found.i2))
