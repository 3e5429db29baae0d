"""Claims of the form "this scheme beats that one", judged from intervals and never from bare differences."""

from __future__ import annotations

from cxrbench.statistics.means import compare_means
from cxrbench.statistics.predictions import join_predictions
from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.finished import FinishedStudy


def claim_verdict(study: FinishedStudy, better: str, worse: str) -> Verdict:
    """Return whether ``better`` has the higher AUC than ``worse``.

    Pass where the 95% interval of the difference lies above 0, fail where it lies below, inconclusive where
    it holds 0. With one seed it is the interval of the paired difference, which holds the chance of the test
    sample. With several it is that of the difference of the mean AUCs over the seeds, which holds the chance
    of the seeds too (:mod:`cxrbench.statistics.means`).

    A profile that is not calibrated (``[study] calibrated = false``, the default) was not made to show the
    claim: what its result says is told, and the verdict is inconclusive.

    Raises
    ------
    CxrbenchError: the study did not run one of the two.
    StatisticsError: a prediction file is damaged.
    """
    results = study.results
    pairs = results.pair(better, worse)
    if len(pairs) == 1:
        (pair,) = pairs
        low, high = pair.ci_low, pair.ci_high
        shown = f"seed {results.seeds[0]}: {pair.difference:+.3f} ({low:+.3f} to {high:+.3f})"
    else:
        a, b = (study.predictions(scheme) for scheme in (better, worse))
        joined = join_predictions({better: a, worse: b})
        # Two schemes may share a seed's first stages. Their AUCs then rise and fall together, and the
        # interval, which takes them for independent, is too wide and never too narrow.
        means = compare_means(joined.labels, joined.scores, list(a.scores), list(b.scores), joined.patients)
        low, high = means.ci_low, means.ci_high
        seeds = ", ".join(
            f"seed {seed}: {pair.difference:+.3f}" for seed, pair in zip(results.seeds, pairs, strict=True)
        )
        shown = (
            f"mean AUC {means.mean_a:.3f} against {means.mean_b:.3f} over {len(pairs)} seeds, difference "
            f"{means.difference:+.3f} ({low:+.3f} to {high:+.3f}); {seeds}"
        )
    if high < 0:
        verdict = Verdict("fail", f"{better} is worse than {worse}: {shown}")
    elif low > 0:
        verdict = Verdict("pass", f"{better} beats {worse}: {shown}")
    else:
        verdict = Verdict("inconclusive", f"{better} and {worse} cannot be told apart: {shown}")
    if results.settings["study"].get("calibrated", False):
        return verdict
    return Verdict(
        "inconclusive", f"{verdict.sentence}; profile {results.profile} is not calibrated to show the claim"
    )
