"""Claims of the form "this scheme beats that one", judged from intervals and never from bare differences."""

from __future__ import annotations

from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.results import Results


def claim_verdict(results: Results, better: str, worse: str) -> Verdict:
    """Return whether ``better`` has the higher AUC than ``worse``.

    Pass where the 95% interval of the difference lies above 0, fail where it lies below, inconclusive where
    it holds 0. With one seed it is the interval of the paired difference, which allows for the test sample's
    variance. With several it is that of the difference of the mean AUCs over the seeds, which allows for the
    seed-to-seed variance too (:mod:`cxrbench.statistics.means`).

    A profile that is not calibrated (``[study] calibrated = false``, the default) was not made to show the
    claim: what its result says is reported, and the verdict is inconclusive.

    Raises
    ------
    CxrbenchError: the study did not run one of the two.
    """
    pair = results.difference(better, worse)
    shown = f"{pair.difference:+.3f} ({pair.ci_low:+.3f} to {pair.ci_high:+.3f})"
    if len(results.seeds) == 1:
        shown = f"seed {results.seeds[0]}: {shown}"
    else:
        seeds = ", ".join(
            f"seed {seed}: {one.difference:+.3f}"
            for seed, one in zip(results.seeds, results.by_seed(better, worse), strict=True)
        )
        shown = (
            f"mean AUC {results.scheme(better).auc:.3f} against {results.scheme(worse).auc:.3f} over "
            f"{len(results.seeds)} seeds, difference {shown}; {seeds}"
        )
    if pair.ci_high < 0:
        verdict = Verdict("fail", f"{better} is worse than {worse}: {shown}")
    elif pair.ci_low > 0:
        verdict = Verdict("pass", f"{better} beats {worse}: {shown}")
    else:
        verdict = Verdict("inconclusive", f"{better} and {worse} cannot be told apart: {shown}")
    if results.calibrated:
        return verdict
    return Verdict(
        "inconclusive", f"{verdict.sentence}; profile {results.profile} is not calibrated to show the claim"
    )
