"""Claims of the form "this scheme beats that one", judged from intervals and never from bare differences."""

from __future__ import annotations

from cxrbench.statistics.verdicts import Verdict
from cxrbench.study.results import Results


def claim_verdict(results: Results, better: str, worse: str) -> Verdict:
    """Return whether ``better`` has the higher AUC than ``worse``.

    With one seed: pass where the 95% interval of the paired difference lies above 0, fail where it lies
    below, inconclusive where it holds 0. With several seeds the same for each; the claim passes only where no
    seed fails and at least one passes, and fails where a seed fails.

    A profile that is not calibrated (``[study] calibrated = false``, the default) was not made to show the
    claim: what its result says is told, and the verdict is inconclusive.
    """
    pairs = results.pair(better, worse)
    lows, highs = [pair.ci_low for pair in pairs], [pair.ci_high for pair in pairs]
    shown = "; ".join(
        f"seed {seed}: {pair.difference:+.3f} ({pair.ci_low:+.3f} to {pair.ci_high:+.3f})"
        for seed, pair in zip(results.seeds, pairs, strict=True)
    )
    if min(highs) < 0:
        verdict = Verdict("fail", f"{better} is worse than {worse}: {shown}")
    elif max(lows) > 0:
        verdict = Verdict("pass", f"{better} beats {worse}: {shown}")
    else:
        verdict = Verdict("inconclusive", f"{better} and {worse} cannot be told apart: {shown}")
    if results.settings["study"].get("calibrated", False):
        return verdict
    return Verdict(
        "inconclusive", f"{verdict.sentence}; profile {results.profile} is not calibrated to show the claim"
    )
