"""Which scheme is better? All pairs, Holm-adjusted, and the paper's claims as named tests."""

from __future__ import annotations

import pytest

# Imported where it is used, so that collecting the benchmarks takes no time.


def _sklearn_auc(study, scheme, seed_position):
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    table = pd.read_csv(study.folder / study.results.scheme(scheme).seeds[seed_position].predictions)
    return roc_auc_score(table["label"], table["score"])


def test_pair(cxr_pair, cxr_study):
    """Each pair's difference is that of the two files on the disk; its p is Holm's, as statsmodels has it."""
    from statsmodels.stats.multitest import multipletests

    a, b = cxr_pair
    pairs = cxr_study.results.by_seed(a, b)
    assert len(pairs) == len(cxr_study.results.seeds)
    for position, pair in enumerate(pairs):
        expected = _sklearn_auc(cxr_study, a, position) - _sklearn_auc(cxr_study, b, position)
        assert pair.difference == pytest.approx(expected, abs=1e-12)
        seed = cxr_study.results.comparisons[position]
        adjusted = multipletests([pair.p_value for pair in seed.pairs], method="holm")[1]
        places = {(each.a, each.b): place for place, each in enumerate(seed.pairs)}
        place = places.get((a, b), places.get((b, a)))
        assert pair.p_adjusted == pytest.approx(adjusted[place], rel=1e-9)


def test_claim(cxr_claim, cxr_study, cxr_verdict):
    """Fricks et al.: supplemental training raised the AUC from 0.757 to as much as 0.857, and deliberate
    sequential training beats pooling the data sets.
    """
    from cxrbench.study.claims import claim_verdict

    cxr_verdict(claim_verdict(cxr_study.results, cxr_claim.better, cxr_claim.worse))
