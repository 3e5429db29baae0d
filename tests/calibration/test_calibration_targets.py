"""Targets by numbers worked out by hand."""

from __future__ import annotations

from math import sqrt

import pytest
from scipy.stats import t

from cxrbench.calibration.targets import summaries, targets, tolerance
from cxrbench.statistics.verdicts import Target


@pytest.mark.parametrize(
    ("sd", "seeds", "expected"),
    [
        # 2 · 2.77645 · 0.01 · sqrt(1.2) = 0.060829
        (0.01, 5, 0.061),
        # 2 · 12.7062 · 0.01 · sqrt(1.5) = 0.311237
        (0.01, 2, 0.312),
        # 2 · 4.30265 · 0.004 · sqrt(4/3) = 0.039745
        (0.004, 3, 0.040),
        (0.0, 5, 0.001),
    ],
)
def test_the_tolerance_is_twice_the_reach_of_one_more_seed_rounded_up(sd, seeds, expected):
    assert tolerance(sd, seeds) == expected


def test_a_whole_number_of_thousandths_is_not_rounded_up():
    sd = 0.0305 / (t.ppf(0.975, 4) * sqrt(1.2))
    assert tolerance(sd, 5) == 0.061


def test_a_summary_is_the_mean_and_the_spread_over_seeds(make_row):
    rows = [
        make_row("control", seed, auc, se=se, clustered=2 * se)
        for seed, auc, se in ((3, 0.74, 0.004), (1, 0.76, 0.006), (2, 0.78, 0.008))
    ]
    (found,) = summaries(rows)
    assert found.aucs == (0.74, 0.76, 0.78)
    assert found.mean == pytest.approx(0.76)
    assert found.sd == pytest.approx(0.02)
    assert found.se_image == pytest.approx(0.006)
    assert found.se_clustered == pytest.approx(0.012)


def test_every_scheme_gets_a_target_that_names_its_source(make_row):
    rows = [make_row(s, seed, 0.7 + 0.01 * seed) for seed in (0, 1, 2) for s in ("control", "mine")]
    found = targets(summaries(rows), "the command")
    assert list(found) == ["control", "mine"]
    target = found["mine"]
    assert (target.auc, target.sd, target.seeds, target.source) == (0.71, 0.01, 3, "the command")
    assert target.tolerance == tolerance(0.01, 3)


def test_seeds_that_tie_give_a_target_that_a_profile_can_state(make_row):
    found = targets(summaries([make_row("control", seed, 1.0) for seed in (0, 1)]), "the command")["control"]
    assert (found.sd, found.tolerance) == (1e-5, 0.001)
    Target(auc=found.auc, tolerance=found.tolerance, sd=found.sd, seeds=found.seeds)


def test_seeds_too_far_apart_to_say_anything_give_a_target_that_settles_nothing(make_row):
    rows = [make_row("control", seed, auc) for seed, auc in enumerate((0.3, 0.8))]
    found = targets(summaries(rows), "the command")["control"]
    assert not found.calibrated
    assert found.tolerance > found.auc
