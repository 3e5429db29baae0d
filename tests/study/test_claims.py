"""Claims: judged from intervals, and only where a profile was made to show them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.statistics import compare
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.verdicts import Margin
from cxrbench.study.claims import claim_verdict


def one_seed(study, interval):
    """Return results of one seed in which findings minus control has the given interval."""
    low, high = interval
    (pair,) = study.results.pairs
    pair = replace(pair, difference=-(low + high) / 2, ci_low=-high, ci_high=-low)
    return replace(study.results, pairs=(pair,))


@pytest.fixture
def make(made_up, tmp_path):
    """Return a function that makes a study of control and findings with one noise per seed."""

    def make(control, findings, **changes):
        noises = {
            name: [(noise, 10 * seed + len(name)) for seed, noise in enumerate(of)]
            for name, of in (("control", control), ("findings", findings))
        }
        return made_up(tmp_path, noises, **changes)

    return make


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((0.01, 0.05), "pass"), ((-0.05, -0.01), "fail"), ((-0.01, 0.03), "inconclusive")],
)
def test_with_one_seed_its_interval_decides(make, interval, outcome):
    verdict = claim_verdict(one_seed(make([1.0], [1.0]), interval), "findings", "control")
    assert verdict.outcome == outcome
    assert f"{sum(interval) / 2:+.3f} ({interval[0]:+.3f} to {interval[1]:+.3f})" in verdict.sentence


@pytest.mark.parametrize(
    ("control", "findings", "outcome"),
    [
        ((2.0, 2.1, 1.9, 2.0), (0.5, 0.4, 0.5, 0.6), "pass"),
        ((0.5, 0.6, 0.4), (2.0, 2.1, 2.0), "fail"),
        # The first seed is certainly better, the last certainly worse.
        ((1.5, 1.5, 1.5), (0.3, 1.5, 4.0), "inconclusive"),
    ],
)
def test_with_several_seeds_the_difference_of_the_means_decides(make, control, findings, outcome):
    study = make(control, findings)
    verdict = claim_verdict(study.results, "findings", "control")
    assert verdict.outcome == outcome
    a, b = (study.predictions(name) for name in ("findings", "control"))
    scores = {**a.scores, **b.scores}
    means = compare_means(a.labels, scores, list(a.scores), list(b.scores), a.patients)
    assert (
        f"mean AUC {means.mean_a:.3f} against {means.mean_b:.3f} over {len(control)} seeds, difference "
        f"{means.difference:+.3f} ({means.ci_low:+.3f} to {means.ci_high:+.3f})"
    ) in verdict.sentence
    for seed, pair in enumerate(study.results.by_seed("findings", "control")):
        assert f"seed {seed}: {pair.difference:+.3f}" in verdict.sentence


def test_a_seed_that_is_certainly_better_does_not_settle_it(make):
    study = make((1.5, 1.5, 1.5), (0.3, 1.5, 1.6))
    a, b = (study.by_seed(name) for name in ("findings", "control"))
    lucky, *others = (
        compare(a[seed].labels, *(next(iter(of[seed].scores.values())) for of in (a, b)), a[seed].patients)
        for seed in range(3)
    )
    assert lucky.ci_low > 0
    assert all(pair.ci_low < 0 < pair.ci_high for pair in others)
    assert claim_verdict(study.results, "findings", "control").outcome == "inconclusive"


@pytest.mark.parametrize("count", [1, 3])
def test_reversed_it_is_reversed(make, count):
    results = make((2.0,) * count, (0.3,) * count).results
    assert claim_verdict(results, "findings", "control").outcome == "pass"
    assert claim_verdict(results, "control", "findings").outcome == "fail"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("noise", [0.3, 4.0])
def test_a_profile_that_is_not_calibrated_shows_nothing(make, count, noise):
    results = make((1.5,) * count, (noise,) * count, calibrated=False).results
    verdict = claim_verdict(results, "findings", "control")
    assert verdict.outcome == "inconclusive"
    assert "not calibrated" in verdict.sentence
    assert ("beats" if noise < 1 else "is worse than") in verdict.sentence


def test_a_scheme_that_was_not_run_is_named(make):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        claim_verdict(make([1.0], [1.0]).results, "sequential", "control")


def test_a_calibrations_spread_widens_the_interval_of_a_single_seed(make):
    results = replace(one_seed(make([1.0], [1.0]), (0.01, 0.05)), calibrated=True)
    # t(4; 0.975) = 2.776: the half-width is the root of 0.02² + (2.776 sd)².
    for sd, outcome in ((0.005, "pass"), (0.01, "inconclusive")):
        known = Margin(difference=0.03, sd=sd, seeds=5, measured_on=results.sample)
        verdict = claim_verdict(
            replace(results, claims={"findings-beats-control": known}), "findings", "control"
        )
        half = (0.02**2 + (2.7764 * sd) ** 2) ** 0.5
        assert verdict.outcome == outcome
        assert f"+0.030 ({0.03 - half:+.3f} to {0.03 + half:+.3f})" in verdict.sentence


def test_a_spread_that_was_measured_on_other_images_is_not_used(make):
    results = replace(one_seed(make([1.0], [1.0]), (0.01, 0.05)), calibrated=True)
    known = Margin(difference=0.03, sd=0.1, seeds=5, measured_on="other")
    results = replace(results, claims={"findings-beats-control": known})
    assert claim_verdict(results, "findings", "control").outcome == "pass"
