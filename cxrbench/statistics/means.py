r"""The difference of two mean AUCs on one test sample: a scheme's seeds now, against its seeds before.

It varies with two things: which images the test sample holds, which both sides share, and which seeds were
trained, which they do not. With ``F`` the factor of the covariance of all curves, the mean of some has the
factor :math:`\bar F`, and with :math:`\widehat{\operatorname{var}}(\tau)` the variance of one seed's AUC
that comes from the seed alone (see :mod:`cxrbench.statistics.seeds`), for :math:`n_a` and :math:`n_b` seeds

.. math::

    \operatorname{var}(\bar\theta_a - \bar\theta_b)
      = \lVert \bar F_a - \bar F_b \rVert^2
      + \frac{\widehat{\operatorname{var}}(\tau_a)}{n_a} + \frac{\widehat{\operatorname{var}}(\tau_b)}{n_b}

The interval adds up squares as :mod:`cxrbench.statistics.differences` does: the distance of the difference
from its limits through the test sample, the very limits of a paired comparison, and the seeds' part, with
Student's t on Satterthwaite's degrees of freedom. Where neither side's seeds differ by more than the sample
explains, that part is 0. One seed on a side shows nothing of the spread between seeds: the interval is then
the test sample's alone, and the margin of a gate has to leave room for the rest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cxrbench.errors import StatisticsError
from cxrbench.statistics.clustered import components
from cxrbench.statistics.correlation import component_correlation, rank_correlation
from cxrbench.statistics.differences import Difference, rank_alike
from cxrbench.statistics.inputs import as_sample, check_level
from cxrbench.statistics.seeds import degrees_of_freedom, mean_side, seed_variance


@dataclass(frozen=True)
class MeanDifference:
    """Mean AUC of the curves a minus that of the curves b, with an interval.

    Parameters
    ----------
    mean_a, mean_b: the two mean AUCs.
    difference: a minus b.
    se: standard error of the difference; 0 where every image is ranked alike.
    ci_low, ci_high: ends of the interval.
    n_a, n_b: how many curves each side has.
    var_sample: variance of the difference that comes from the test sample.
    var_seeds_a, var_seeds_b: variance of one seed's AUC that comes from the seed alone; both None where a
        side has one seed: then ``se`` is the test sample's alone.
    df: degrees of freedom of Student's t for the seeds' part; None where it is 0.
    tested: the difference with its limits and tests; :func:`compare_means` always gives it.
    """

    mean_a: float
    mean_b: float
    difference: float
    se: float
    ci_low: float
    ci_high: float
    n_a: int
    n_b: int
    var_sample: float
    var_seeds_a: float | None = None
    var_seeds_b: float | None = None
    df: float | None = None
    tested: Difference | None = field(default=None, repr=False, compare=False)

    @property
    def p_value(self) -> float:
        """Two-sided, for the two means being equal: DeLong's test, with the seeds' variance where known."""
        assert self.tested is not None
        return self.tested.p_value()

    def p_below(self, null: float) -> float:
        """Return the one-sided p-value for "the true difference is below ``null``".

        It is below a tail exactly where the upper limit that errs with that tail lies below ``null``.
        """
        assert self.tested is not None
        return self.tested.reversed().p_above(-null)


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

    The curves of a side are one scheme's training seeds. With two or more on each side the interval and the
    p-values allow for seed-to-seed variance as well as for that of the test sample.

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
    check_level(level)
    sample = as_sample(labels, scores, groups)
    parts = components(sample.labels, sample.scores, sample.groups)
    rows = [[sample.names.index(name) for name in side] for side in (a, b)]
    factor_a, factor_b = (np.mean(parts.factor[side], axis=0) for side in rows)
    contrast = factor_a - factor_b
    var_sample = float(contrast @ contrast)
    side_a, side_b = (mean_side(parts, side) for side in rows)
    correlation = component_correlation(factor_a, factor_b)
    if correlation is None:
        mean = float(side_a.auc[0] + side_b.auc[0]) / 2
        correlation = rank_correlation(sample.labels, sample.scores[rows[0]], sample.scores[rows[1]], mean)
    var_seeds: tuple[float | None, float | None] = (None, None)
    added, df = 0.0, math.inf
    if len(a) > 1 and len(b) > 1:
        # Seeds of the same number on both sides are not paired. A seed fixes the first parameters and the
        # order of images, but training is chaotic: after the smallest change in code or data two runs of one
        # seed drift as far apart as two seeds. Runs that did stay together would be credited with too much
        # variance, never with too little.
        seeds = [seed_variance(parts.auc[side], parts.factor[side]) for side in rows]
        added = sum(side.own / side.n for side in seeds)
        df = degrees_of_freedom(var_sample + added, seeds)
        var_seeds = (seeds[0].own, seeds[1].own)
    tested = Difference(
        side_a,
        side_b,
        math.sqrt(var_sample),
        correlation,
        parts.independent_pairs,
        same_order=var_sample == 0 and rank_alike(sample.scores[rows[0]], sample.scores[rows[1]]),
        seeds_variance=added,
        seeds_degrees=df,
    )
    low, high = tested.interval(level)
    return MeanDifference(
        float(side_a.auc[0]),
        float(side_b.auc[0]),
        tested.difference,
        tested.total_se,
        low,
        high,
        len(a),
        len(b),
        var_sample,
        *var_seeds,
        df if math.isfinite(df) else None,
        tested,
    )
