"""Does every scheme reach its AUC? One test a scheme, against the target that the profile states.

The timed part is the evaluation of the scheme's prediction files; the quality rides along in ``extra_info``,
so that ``--benchmark-json`` holds both.
"""

from __future__ import annotations

# Imported where it is used, so that collecting the benchmarks takes no time.


def test_scheme_reaches_its_target(cxr_scheme, cxr_study, cxr_verdict, benchmark):
    import pandas as pd
    from sklearn.metrics import roc_auc_score

    from cxrbench.statistics import auc

    result = cxr_study.results.scheme(cxr_scheme)
    first = result.seeds[0]
    table = pd.read_csv(cxr_study.folder / first.predictions, dtype={"image_id": str, "patient_id": str})
    curve = benchmark.pedantic(
        lambda: auc(table["label"], table["score"], table["patient_id"]), rounds=3, warmup_rounds=1
    )
    benchmark.extra_info.update(
        auc=result.auc,
        ci_low=result.ci_low,
        ci_high=result.ci_high,
        seeds=len(result.seeds),
        verdict=result.verdict.outcome,
    )
    # The reported number is that of the file on the disk, by our own code and by scikit-learn's.
    assert curve.auc == first.curve.auc
    assert abs(roc_auc_score(table["label"], table["score"]) - curve.auc) < 1e-12
    cxr_verdict(result.verdict)
