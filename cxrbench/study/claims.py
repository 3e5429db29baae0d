"""Claims of the form "this scheme beats that one", judged from intervals and never from bare differences."""

from __future__ import annotations

from math import hypot
from statistics import mean

from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.results import Results


def claim_verdict(results: Results, better: str, worse: str) -> Verdict:
    """Return whether ``better`` has the higher AUC than ``worse``.

    Pass where the 95% interval of the difference lies above 0, fail where it lies below, inconclusive where
    it holds 0. The interval covers the test sample (DeLong, paired), and the training seed: by the spread of
    this difference that the profile's calibration found over its seeds (``[claims]``). Without one, a single
    seed's interval covers the test sample alone, and that of several is the interval of the difference of the
    mean AUCs (:mod:`cxrbench.statistics.means`).

    A profile that is not calibrated (``[study] calibrated = false``, the default) was not made to show the
    claim: what its result says is reported, and the verdict is inconclusive.

    Raises
    ------
    CxrbenchError: the study did not run one of the two.
    """
    pair = results.difference(better, worse)
    by_seed = results.by_seed(better, worse)
    low, high = pair.ci_low, pair.ci_high
    known = results.claims.get(f"{better}-beats-{worse}")
    if known is not None and known.measured_on == results.sample:
        alone = [pair] if len(by_seed) == 1 else by_seed
        sample = mean((one.ci_high - one.ci_low) / 2 for one in alone)
        half = hypot(sample, known.reach(len(results.seeds)))
        low, high = pair.difference - half, pair.difference + half
    shown = f"{pair.difference:+.3f} ({low:+.3f} to {high:+.3f})"
    if len(results.seeds) == 1:
        shown = f"seed {results.seeds[0]}: {shown}"
    else:
        seeds = ", ".join(
            f"seed {seed}: {one.difference:+.3f}" for seed, one in zip(results.seeds, by_seed, strict=True)
        )
        shown = (
            f"mean AUC {results.scheme(better).auc:.3f} against {results.scheme(worse).auc:.3f} over "
            f"{len(results.seeds)} seeds, difference {shown}; {seeds}"
        )
    if high < 0:
        verdict = Verdict("fail", f"{better} is worse than {worse}: {shown}")
    elif low > 0:
        verdict = Verdict("pass", f"{better} beats {worse}: {shown}")
    else:
        verdict = Verdict("inconclusive", f"{better} and {worse} cannot be told apart: {shown}")
    if results.calibrated:
        return verdict
    return Verdict(
        "inconclusive", f"{verdict.sentence}; profile {results.profile} is not calibrated to show the claim"
    )
