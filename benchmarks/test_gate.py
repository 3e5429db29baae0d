"""Did anything get worse than the baseline? Only with ``--baseline``.

A baseline that does not exist yet is a state of its own: the tests are inconclusive and say how to write one.
"""

from __future__ import annotations

import pytest

from cxrbench.statistics.verdicts import Verdict


@pytest.fixture
def report(request, cxr_verdict):
    if not request.config.getoption("cxr_baseline"):
        pytest.skip("no --baseline is given")
    found = request.getfixturevalue("cxr_gate")
    if isinstance(found, Verdict):
        cxr_verdict(found)
        return None
    return found


def test_it_is_the_same_experiment_as_the_baseline(request, cxr_verdict):
    if not request.config.getoption("cxr_baseline"):
        pytest.skip("no --baseline is given")
    cxr_verdict(request.getfixturevalue("cxr_experiment"))


def test_scheme_is_no_worse_than_the_baseline(cxr_scheme, report, cxr_verdict):
    if report is None:
        return
    verdicts = {check.scheme: check.verdict for check in report.schemes}
    missing = Verdict("inconclusive", f"{cxr_scheme}: the baseline has no such scheme; save a new baseline")
    cxr_verdict(verdicts.get(cxr_scheme, missing))


def test_every_scheme_of_the_baseline_was_run(report, cxr_verdict):
    if report is None:
        return
    missing = "; ".join(verdict.sentence for verdict in report.missing.values())
    cxr_verdict(Verdict("inconclusive", missing) if missing else Verdict("pass", "every scheme was run"))


def test_the_order_of_the_schemes_holds(report, cxr_verdict):
    if report is None:
        return
    if not report.order:
        pytest.skip("no two schemes of the baseline have an order that is certain")
    turned = [check.verdict for check in report.order if check.verdict.outcome != "pass"]
    if not turned:
        cxr_verdict(Verdict("pass", f"{len(report.order)} certain orders of the baseline hold"))
        return
    outcome = "fail" if any(verdict.outcome == "fail" for verdict in turned) else "inconclusive"
    cxr_verdict(Verdict(outcome, "; ".join(verdict.sentence for verdict in turned)))


@pytest.mark.parametrize("what", ["training", "prediction"])
def test_it_is_no_slower_than_the_baseline(what, report, cxr_verdict):
    if report is None:
        return
    cxr_verdict(next(check.verdict for check in report.speed if check.what == what))
