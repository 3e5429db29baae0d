"""Statements on tables made by hand: each once true and once false."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t, ttest_rel

from cxrbench.calibration.records import SchemeSummary
from cxrbench.calibration.statements import Paired, statements
from cxrbench.calibration.targets import summaries
from cxrbench.schemes import SIX, claims

SEEDS = (0, 1, 2)
AIMS = {"control": 0.757, "sequential": 0.857}
GOOD = {
    "control": (0.750, 0.760, 0.755),
    "findings": (0.800, 0.805, 0.810),
    "sequential": (0.860, 0.850, 0.856),
    "pooled-all": (0.830, 0.825, 0.831),
}
CONTROL = "the mean AUC of control is within"
BEST = "the mean AUC of the best scheme"
TIE = "sequential is best, or ties with the best"
POOLED = "sequential beats pooled-all in the mean"
SUPPLEMENT = "findings beats control in the mean"
SHARP = "the largest DeLong standard error"


@pytest.fixture
def stated(make_row):
    def state(table, aims=AIMS, se=0.005):
        rows = [
            make_row(scheme, seed, auc, se=se)
            for scheme, aucs in table.items()
            for seed, auc in zip(SEEDS, aucs, strict=True)
        ]
        schemes = SIX.add("twice", "init > covid > covid").select(tuple(table))
        return statements(summaries(rows), aims, rows, claims(schemes, "covid"))

    return state


def of(found, beginning):
    (statement,) = [s for s in found if s.claim.startswith(beginning)]
    return statement


def test_all_are_made_and_true_of_a_good_table(stated):
    found = stated(GOOD)
    assert [s.claim.split(",")[0] for s in found] == [
        "the mean AUC of control is within 0.02 of 0.757",
        "the mean AUC of the best scheme",
        "sequential is best",
        SUPPLEMENT,
        "sequential beats control in the mean",
        "pooled-all beats control in the mean",
        POOLED,
        "the largest DeLong standard error is below 0.01",
    ]
    assert all(s.holds for s in found)


@pytest.mark.parametrize(
    ("claim", "change", "numbers"),
    [
        (CONTROL, {"control": (0.720, 0.740, 0.745)}, "0.7350, -0.0220"),
        (CONTROL, {"control": (0.780, 0.781, 0.782)}, "0.7810, +0.0240"),
        (BEST, {"sequential": (0.880, 0.884, 0.882)}, "0.8820, +0.0250"),
        (TIE, {"findings": (0.880, 0.870, 0.877)}, "best in 0 of 3 seeds; minus findings: -0.0203"),
        # Differences 0.020, -0.002, 0.001 and 0.050, 0.000, 0.055: the interval of the mean holds 0.
        (POOLED, {"pooled-all": (0.840, 0.852, 0.855)}, "+0.0063, 95% t interval -0.0233"),
        (SUPPLEMENT, {"findings": (0.800, 0.760, 0.810)}, "in 2 of 3 seeds"),
    ],
)
def test_each_is_false_where_its_numbers_are_not_so(stated, claim, change, numbers):
    statement = of(stated({**GOOD, **change}), claim)
    assert not statement.holds
    assert numbers in statement.numbers


def test_the_largest_standard_error_decides(stated):
    assert not of(stated(GOOD, se=0.01), SHARP).holds
    assert of(stated(GOOD, se=0.0099), SHARP).holds


def test_behind_the_best_by_less_than_the_seeds_show_is_a_tie(stated):
    # Differences -0.004, +0.006, -0.008: mean -0.002, SD 0.00721, t interval ±0.0179.
    found = stated({**GOOD, "findings": (0.864, 0.844, 0.864)})
    assert of(found, TIE).holds
    assert (
        "minus findings: -0.0020, 95% t interval -0.0199 to +0.0159; in 1 of 3 seeds"
        in of(found, TIE).numbers
    )
    assert "findings" in of(found, BEST).claim


def test_behind_the_best_by_the_same_in_every_seed_is_no_tie(stated):
    found = stated({**GOOD, "findings": (0.861, 0.851, 0.857)})
    assert not of(found, TIE).holds


def test_pairing_is_that_of_a_t_test_and_of_the_next_observation(make_row):
    a, b = (0.81, 0.84, 0.80), (0.80, 0.80, 0.81)
    rows = [make_row(n, s, x) for n, v in (("a", a), ("b", b)) for s, x in zip(SEEDS, v, strict=True)]
    found = Paired.of(*summaries(rows))
    assert (found.low, found.high) == pytest.approx(tuple(ttest_rel(a, b).confidence_interval()))
    assert (found.seeds, found.beaten) == (3, 2)
    # Differences 0.01, 0.04, -0.01: mean 0.013333, SD 0.025166; the next one has a scale of SD sqrt(4/3).
    assert found.again == pytest.approx(t.cdf(0.0133333 / (0.0251661 * (4 / 3) ** 0.5), 2), abs=1e-5)


@pytest.mark.parametrize("centre", [0.0, 0.02])
def test_the_next_seed_lies_below_the_mean_as_often_as_said(centre):
    # Where the differences have no mean, the probability is uniform: any level of it comes true as often.
    random, levels = np.random.default_rng(3), []
    for _ in range(4000):
        seeds = random.normal(centre, 0.01, 6)
        five = SchemeSummary("x", tuple(seeds[:5] - seeds[5]), 0.0, 0.0, 0.0, 0.0, "")
        levels.append(Paired.of(five, replace(five, aucs=(0.0,) * 5)).again)
    # Four standard errors of a share of 4000.
    for level in (0.05, 0.5, 0.95):
        assert abs(np.mean(np.array(levels) < level) - level) < 4 * (level * (1 - level) / 4000) ** 0.5


def test_what_was_not_run_is_not_stated(stated):
    found = stated({"findings": GOOD["findings"]}, aims={})
    assert [s.claim for s in found] == ["the largest DeLong standard error is below 0.01"]
    found = stated({name: GOOD[name] for name in ("control", "findings")}, aims={"control": 0.757})
    assert [s.claim.split()[0] for s in found] == ["the", "findings", "the"]


def test_a_scheme_of_the_target_alone_is_not_supplemental_training(stated):
    assert not [s for s in stated({**GOOD, "twice": (0.70, 0.70, 0.70)}) if s.claim.startswith("twice")]
