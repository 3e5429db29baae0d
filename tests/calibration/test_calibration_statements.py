"""Statements on tables made by hand: each once true and once false."""

from __future__ import annotations

import pytest
from scipy.stats import ttest_rel

from cxrbench.calibration.statements import difference_interval, statements
from cxrbench.calibration.targets import summaries
from cxrbench.schemes import SIX, claims

SEEDS = (0, 1, 2)
AIMS = {"control": 0.757, "sequential": 0.857}
GOOD = {
    "control": (0.750, 0.760, 0.755),
    "findings": (0.800, 0.805, 0.810),
    "sequential": (0.860, 0.850, 0.856),
    "pooled-all": (0.840, 0.845, 0.835),
}
CONTROL = "the mean AUC of control is within"
BEST = "the mean AUC of the best scheme"
TIE = "sequential is best, or ties with the best"
POOLED = "sequential beats pooled-all in every seed"
SUPPLEMENT = "every scheme with supplemental training beats control"
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
        return statements(summaries(rows), SEEDS, aims, rows, claims(schemes, "covid"))

    return state


def of(found, beginning):
    (statement,) = [s for s in found if s.claim.startswith(beginning)]
    return statement


def test_all_six_are_made_and_true_of_a_good_table(stated):
    found = stated(GOOD)
    assert [s.claim.split(",")[0] for s in found] == [
        "the mean AUC of control is within 0.02 of 0.757",
        "the mean AUC of the best scheme",
        "sequential is best",
        POOLED,
        "every scheme with supplemental training beats control in every seed",
        "the largest DeLong standard error is below 0.01",
    ]
    assert all(s.holds for s in found)


@pytest.mark.parametrize(
    ("claim", "change", "numbers"),
    [
        (CONTROL, {"control": (0.720, 0.740, 0.745)}, "0.7350, -0.0220"),
        (CONTROL, {"control": (0.780, 0.781, 0.782)}, "0.7810, +0.0240"),
        (BEST, {"sequential": (0.880, 0.884, 0.882)}, "0.8820, +0.0250"),
        (TIE, {"findings": (0.880, 0.870, 0.877)}, "sequential minus findings, mean over seeds: -0.0203"),
        (POOLED, {"pooled-all": (0.840, 0.852, 0.835)}, "sequential -0.0020 (seed 1)"),
        (SUPPLEMENT, {"findings": (0.800, 0.760, 0.810)}, "findings +0.0000 (seed 1)"),
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
    assert "-0.0020, 95% t interval -0.0199 to +0.0159" in of(found, TIE).numbers
    assert "findings" in of(found, BEST).claim


def test_behind_the_best_by_the_same_in_every_seed_is_no_tie(stated):
    found = stated({**GOOD, "findings": (0.861, 0.851, 0.857)})
    assert not of(found, TIE).holds


def test_the_interval_is_that_of_a_paired_t_test(make_row):
    a, b = (0.81, 0.84, 0.80), (0.80, 0.80, 0.81)
    rows = [make_row(n, s, x) for n, v in (("a", a), ("b", b)) for s, x in zip(SEEDS, v, strict=True)]
    _, low, high = difference_interval(*summaries(rows))
    assert (low, high) == pytest.approx(tuple(ttest_rel(a, b).confidence_interval()))


def test_what_was_not_run_is_not_stated(stated):
    found = stated({"findings": GOOD["findings"]}, aims={})
    assert [s.claim for s in found] == ["the largest DeLong standard error is below 0.01"]
    found = stated({name: GOOD[name] for name in ("control", "findings")}, aims={"control": 0.757})
    assert [s.claim.split()[0] for s in found] == ["the", "every", "the"]


def test_a_scheme_of_the_target_alone_is_not_supplemental_training(stated):
    found = stated({**GOOD, "twice": (0.70, 0.70, 0.70)})
    statement = of(found, SUPPLEMENT)
    assert statement.holds
    assert "twice" not in statement.numbers
