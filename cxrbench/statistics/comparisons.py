"""AUCs on one test sample and the tests between them: the functions that most callers need.

:func:`auc` for one curve, :func:`compare` for two, :func:`compare_all` for any number,
:func:`compare_unpaired` for two curves on different test samples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cxrbench.errors import StatisticsError
from cxrbench.statistics.adjust import Adjustment, adjust_p_values, check_adjustment
from cxrbench.statistics.clustered import components, subset_components
from cxrbench.statistics.correlation import component_correlation, rank_correlation
from cxrbench.statistics.delong import Components
from cxrbench.statistics.differences import Difference, Side, rank_alike
from cxrbench.statistics.inputs import FloatArray, Groups, Sample, as_groups, as_sample
from cxrbench.statistics.intervals import IntervalMethod, auc_intervals, check_interval
from cxrbench.statistics.omnibus import wald_test
from cxrbench.statistics.records import Comparison, Curve, MarginTest, Pair

_MarginTests = tuple[MarginTest, MarginTest, MarginTest]

SINGLETONS_NOTE = (
    "every patient has one image, so the clustered standard error is DeLong's: the small-sample factor is 1"
)


def auc(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    name: str = "scores",
    interval: IntervalMethod = "newcombe",
    level: float = 0.95,
) -> Curve:
    """Return the area under the ROC curve with its standard error and confidence interval.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: (n,) finite; higher speaks for 1. Ranked in float64; ties count one half.
    groups: (n,) the patient of each image; given, the standard error allows for images of one patient being
        correlated (Obuchowski 1997), otherwise images count as independent (DeLong et al. 1988).
    name: carried to the record.
    interval: ``"newcombe"`` (default: holds its promise in small samples and near 1), or ``"logit"`` or
        ``"wald"``, the large-sample intervals that other programs give.
    level: confidence of the interval.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    sample = as_sample(labels, {name: scores}, groups)
    (curve,) = _curves(sample, _components(sample), level, interval)
    if sample.groups is not None and sample.groups.singletons:
        return replace(curve, note=_join(curve.note, SINGLETONS_NOTE))
    return curve


def compare(
    labels: npt.ArrayLike,
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("a", "b"),
    margin: float | None = None,
    interval: IntervalMethod = "newcombe",
    level: float = 0.95,
) -> Pair:
    """Return the difference of the AUCs of two curves on the same images, a minus b, and its paired test.

    Parameters are those of :func:`compare_all`; there is one pair, so ``p_adjusted`` is ``p_value``.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    if names[0] == names[1]:
        raise StatisticsError(f"names: the two curves need different names, not {names[0]!r} twice")
    whole = compare_all(
        labels, {names[0]: a, names[1]: b}, groups, "none", margin=margin, interval=interval, level=level
    )
    return replace(whole.pairs[0], note=_join(whole.pairs[0].note, *whole.notes))


def compare_all(
    labels: npt.ArrayLike,
    scores: Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike | None = None,
    adjust: Adjustment = "holm",
    *,
    margin: float | None = None,
    interval: IntervalMethod = "newcombe",
    level: float = 0.95,
) -> Comparison:
    """Compare the AUCs of any number of curves on the same images.

    Parameters
    ----------
    labels: (n,) 0 or 1.
    scores: name -> (n,) finite scores; higher speaks for 1.
    groups: (n,) the patient of each image, or None where images are independent.
    adjust: how p-values are adjusted over all pairs: ``"holm"``, ``"bonferroni"``, ``"fdr_bh"`` or
        ``"none"``.
    margin: given, each pair also gets the tests of non-inferiority and superiority of a over b, one-sided,
        and of equivalence.
    interval: ``"newcombe"`` (default): of the AUCs as in :func:`auc`, and of differences, with their margin
        tests, as in :mod:`~cxrbench.statistics.differences`. ``"logit"`` or ``"wald"``: of the AUCs, and
        Wald's for differences.
    level: confidence of the intervals; one-sided tests hold at (1 - level) / 2.

    Returns
    -------
    Comparison: with one curve, no pairs and no omnibus test.

    Raises
    ------
    StatisticsError: the input allows no honest number; rows are named.
    """
    check_adjustment(adjust)
    sample = as_sample(labels, scores, groups)
    parts = _components(sample)
    curves = _curves(sample, parts, level, interval)
    notes = []
    if sample.groups is not None and sample.groups.singletons:
        notes.append(SINGLETONS_NOTE)
    return Comparison(
        curves=curves,
        pairs=_pairs(sample, parts, adjust, margin, level, interval != "newcombe"),
        omnibus=None if len(curves) < 2 else wald_test(*_from_first(parts)),
        n_images=sample.labels.size,
        n_positive=parts.n_positive,
        n_patients=None if sample.groups is None else sample.groups.n_groups,
        clustered=sample.groups is not None,
        adjust=adjust,
        level=level,
        notes=tuple(notes),
    )


def compare_unpaired(
    labels_a: npt.ArrayLike,
    a: npt.ArrayLike,
    labels_b: npt.ArrayLike,
    b: npt.ArrayLike,
    groups_a: npt.ArrayLike | None = None,
    groups_b: npt.ArrayLike | None = None,
    *,
    names: tuple[str, str] = ("a", "b"),
    margin: float | None = None,
    interval: IntervalMethod = "newcombe",
    level: float = 0.95,
) -> Pair:
    """Return the difference of two AUCs measured on different test samples, a minus b, and its test.

    The variances add. Where patients are given and some are in both samples, their covariance is taken off;
    images count as different ones.

    Raises
    ------
    StatisticsError: the input allows no honest number, or patients are given for one sample only.
    """
    check_interval(interval)
    if (groups_a is None) != (groups_b is None):
        raise StatisticsError("groups: give the patients of both samples or of neither")
    first = as_sample(labels_a, {names[0]: a})
    second = as_sample(labels_b, {names[1]: b})
    groups: Groups | None = None
    if groups_a is not None and groups_b is not None:
        sizes = first.labels.size, second.labels.size
        for given, size, name in ((groups_a, sizes[0], names[0]), (groups_b, sizes[1], names[1])):
            as_groups(given, size, f"groups of {name!r}")
        groups = as_groups([*np.asarray(groups_a).tolist(), *np.asarray(groups_b).tolist()], sum(sizes))
    labels = np.concatenate([first.labels, second.labels])
    scores = np.concatenate([first.scores, second.scores], axis=1)
    in_first = np.arange(labels.size) < first.labels.size
    part_a = subset_components(labels, scores, groups, in_first)
    part_b = subset_components(labels, scores, groups, ~in_first)
    contrast = part_a.factor[0] - part_b.factor[0]
    pair = Difference(
        Side.of(part_a),
        Side.of(part_b),
        math.sqrt(contrast @ contrast),
        component_correlation(part_a.factor[0], part_b.factor[0]) or 0.0,
        min(part_a.independent_pairs, part_b.independent_pairs),
        same_order=False,
        large_sample=interval != "newcombe",
    )
    p_value = pair.p_value()
    tests = _margin_tests([pair], "none", margin, level)
    return _record(pair, names, p_value, p_value, tests[0], level)


def _record(
    pair: Difference,
    names: tuple[str, str],
    p_value: float,
    p_adjusted: float,
    tests: _MarginTests | None,
    level: float,
) -> Pair:
    low, high = pair.interval(level)
    noninferiority, superiority, equivalence = tests or (None, None, None)
    return Pair(
        *names,
        pair.difference,
        pair.se,
        low,
        high,
        pair.z(),
        p_value,
        p_adjusted,
        noninferiority,
        superiority,
        pair.note(names),
        pair.log10_p_value(),
        equivalence,
    )


def _from_first(parts: Components) -> tuple[FloatArray, FloatArray]:
    """Return the differences of the other curves from the first, and the factor of their covariance."""
    difference, _ = parts.differences([(curve, 0) for curve in range(1, parts.wins.size)])
    return difference, parts.factor[1:] - parts.factor[0]


def _components(sample: Sample) -> Components:
    return components(sample.labels, sample.scores, sample.groups)


def _curves(sample: Sample, parts: Components, level: float, interval: IntervalMethod) -> tuple[Curve, ...]:
    low, high = auc_intervals(parts, level, interval)
    return tuple(
        Curve(
            name,
            float(parts.auc[i]),
            float(parts.se[i]),
            float(low[i]),
            float(high[i]),
            None if parts.se[i] > 0 else _why_no_variance(float(parts.auc[i]), parts.independent_pairs),
        )
        for i, name in enumerate(sample.names)
    )


def _why_no_variance(value: float, pairs: int) -> str:
    how = {0.0: "the classes are separated, the wrong way round", 1.0: "the classes are separated"}
    why = how.get(value, "all images (or patients) contribute alike")
    return (
        f"{why}, so the standard error is 0: the interval is Hoeffding's bound for {pairs} independent pairs "
        "of images"
    )


def _pairs(
    sample: Sample,
    parts: Components,
    adjust: Adjustment,
    margin: float | None,
    level: float,
    large_sample: bool,
) -> tuple[Pair, ...]:
    curves = len(sample.names)
    indices = [(i, j) for i in range(curves) for j in range(i + 1, curves)]
    if not indices:
        return ()
    _, errors = parts.differences(indices)
    sides, auc = Side.of(parts), parts.auc
    differences = []
    for (i, j), error in zip(indices, errors.tolist(), strict=True):
        correlation = component_correlation(parts.factor[i], parts.factor[j])
        if correlation is None:
            mean = float(auc[i] + auc[j]) / 2
            correlation = rank_correlation(sample.labels, sample.scores[[i]], sample.scores[[j]], mean)
        differences.append(
            Difference(
                sides.curve(i),
                sides.curve(j),
                error,
                correlation,
                parts.independent_pairs,
                same_order=error == 0 and rank_alike(sample.scores[[i]], sample.scores[[j]]),
                large_sample=large_sample,
            )
        )
    p_values = [pair.p_value() for pair in differences]
    adjusted = adjust_p_values(p_values, adjust)
    tests = _margin_tests(differences, adjust, margin, level)
    return tuple(
        _record(pair, (sample.names[i], sample.names[j]), p, p_adjusted, test, level)
        for (i, j), pair, p, p_adjusted, test in zip(
            indices, differences, p_values, adjusted, tests, strict=True
        )
    )


def _margin_tests(
    pairs: list[Difference], adjust: Adjustment, margin: float | None, level: float
) -> Sequence[_MarginTests | None]:
    if margin is None:
        return [None] * len(pairs)
    if not 0 <= margin < 1:
        raise StatisticsError(f"margin: must be an AUC difference from 0 to below 1, not {margin:g}")
    above = [(pair.z(-margin), pair.p_above(-margin)) for pair in pairs]
    better = [(pair.z(margin), pair.p_above(margin)) for pair in pairs]
    below = [(pair.z(margin), pair.reversed().p_above(-margin)) for pair in pairs]
    both = [max(sides, key=lambda side: side[1]) for sides in zip(above, below, strict=True)]
    tests = []
    for hypothesis, found in (("noninferiority", above), ("superiority", better), ("equivalence", both)):
        adjusted = adjust_p_values([p for _, p in found], adjust)
        tests.append(
            [
                MarginTest(hypothesis, margin, z, p, p_adjusted, p_adjusted < (1 - level) / 2)
                for (z, p), p_adjusted in zip(found, adjusted, strict=True)
            ]
        )
    return list(zip(*tests, strict=True))


def _join(*notes: str | None) -> str | None:
    return "; ".join(note for note in notes if note) or None
