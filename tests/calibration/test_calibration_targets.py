"""Targets by numbers worked out by hand."""

from __future__ import annotations

import pytest

from cxrbench.calibration.targets import margins, summaries, targets
from cxrbench.schemes import Claim


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
    # t(2; 0.975) · 0.01 · sqrt(4/3)
    assert target.reach() == pytest.approx(4.30265 * 0.01 * (4 / 3) ** 0.5, rel=1e-5)


def test_seeds_that_tie_give_a_target_that_a_profile_can_state(make_row):
    found = targets(summaries([make_row("control", seed, 1.0) for seed in (0, 1)]), "the command")["control"]
    assert (found.auc, found.sd, found.calibrated) == (1.0, 1e-5, True)


def test_seeds_too_far_apart_to_say_anything_give_a_target_that_settles_nothing(make_row):
    rows = [make_row("control", seed, auc) for seed, auc in enumerate((0.3, 0.8))]
    found = targets(summaries(rows), "the command")["control"]
    assert not found.calibrated
    assert found.interval() == (0.0, 1.0)


def test_every_claim_gets_its_paired_margin(make_row):
    aucs = {"control": (0.70, 0.72, 0.71), "findings": (0.80, 0.80, 0.80)}
    rows = [make_row(name, seed, auc) for name, of in aucs.items() for seed, auc in enumerate(of)]
    (name, margin), *others = margins(summaries(rows), [Claim("supplement", "findings", "control")]).items()
    assert not others
    assert name == "findings-beats-control"
    assert (margin.difference, margin.sd, margin.seeds) == (0.09, 0.01, 3)
    assert margin.measured_on == rows[0].sample
