"""Claims: judged from intervals, and only where a profile was made to show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.statistics.records import Pair
from cxrbench.study.claims import claim_verdict
from cxrbench.study.results import SeedComparison


def study(tiny, intervals, calibrated=True):
    """Return results in which findings minus control has the given interval for each seed."""
    pairs = [
        Pair("control", "findings", -(low + high) / 2, 0.01, -high, -low, None, 0.5, 0.5)
        for low, high in intervals
    ]
    return replace(
        tiny.results,
        seeds=tuple(range(len(pairs))),
        comparisons=tuple(SeedComparison(seed, (pair,), None) for seed, pair in enumerate(pairs)),
        settings={"study": {"calibrated": calibrated}},
    )


@pytest.mark.parametrize(
    ("intervals", "outcome"),
    [
        ([(0.01, 0.05)], "pass"),
        ([(-0.05, -0.01)], "fail"),
        ([(-0.01, 0.03)], "inconclusive"),
        ([(0.01, 0.05), (-0.01, 0.03)], "pass"),
        ([(0.01, 0.05), (-0.05, -0.01)], "fail"),
        ([(-0.02, 0.05), (-0.01, 0.03)], "inconclusive"),
    ],
)
def test_the_interval_decides(tiny, intervals, outcome):
    verdict = claim_verdict(study(tiny, intervals), "findings", "control")
    assert verdict.outcome == outcome
    assert f"{sum(intervals[0]) / 2:+.3f}" in verdict.sentence


def test_the_other_way_round_it_is_the_other_way_round(tiny):
    assert claim_verdict(study(tiny, [(0.01, 0.05)]), "control", "findings").outcome == "fail"


@pytest.mark.parametrize("interval", [(0.01, 0.05), (-0.05, -0.01)])
def test_a_profile_that_is_not_calibrated_shows_nothing(tiny, interval):
    verdict = claim_verdict(study(tiny, [interval], calibrated=False), "findings", "control")
    assert verdict.outcome == "inconclusive"
    assert "not calibrated" in verdict.sentence


def test_a_scheme_that_was_not_run_is_named(tiny):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        claim_verdict(study(tiny, [(0.01, 0.05)]), "sequential", "control")
