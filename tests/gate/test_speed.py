"""Speeds: judged by an interval over paired timings, and only where nothing else differs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cxrbench.gate.rules import gate
from cxrbench.gate.speed import speed_checks
from cxrbench.study.results import Timing


@pytest.fixture
def before(make_study):
    return make_study("before", {"control": (1.0, 1)})


def checks(now, before, slowdown=1.25):
    return {check.what: check for check in speed_checks(now.results, before.results, slowdown)}


def with_epochs(study, seconds, images=100):
    """Return ``study`` whose only stage took ``seconds``, epoch by epoch, for so many images each."""
    (stage,) = study.results.stages
    epochs = tuple(Timing(images, second) for second in seconds)
    count = len(epochs)
    stage = replace(stage, epochs=epochs, losses=(0.5,) * count, validation_aucs=(0.7,) * count, best_epoch=0)
    return replace(study, results=replace(study.results, stages=(stage,)))


def with_predicting(study, seconds):
    (scheme,) = study.results.schemes
    timings = tuple(Timing(600, second) for second in seconds)
    scheme = replace(scheme, seeds=(replace(scheme.seeds[0], predicting=timings),))
    return replace(study, results=replace(study.results, schemes=(scheme,)))


@pytest.mark.parametrize(("slower", "outcome"), [(1.0, "pass"), (1.15, "pass"), (1.4, "fail")])
def test_what_got_slower_fails_beyond_the_limit(make_study, before, slower, outcome):
    now = make_study("now", {"control": (1.0, 1)}, slower=slower)
    report = gate(now, before)
    assert {check.what: check.verdict.outcome for check in report.speed} == {
        "training": outcome,
        "prediction": outcome,
    }
    for check in report.speed:
        assert check.ratio == pytest.approx(slower, rel=0.05)
        assert check.before / check.now == pytest.approx(slower, rel=0.05)
    assert report.outcome == outcome


def test_only_what_got_slower_fails(before):
    found = checks(with_epochs(before, [3.0, 3.1, 2.9]), with_epochs(before, [1.0, 1.01, 1.0]))
    assert (found["training"].verdict.outcome, found["prediction"].verdict.outcome) == ("fail", "pass")
    found = checks(with_predicting(before, [3.0, 3.1]), with_predicting(before, [1.0, 1.01]))
    assert (found["training"].verdict.outcome, found["prediction"].verdict.outcome) == ("pass", "fail")


def test_timings_that_vary_settle_nothing(before):
    old, new = [1.0, 1.0, 1.0, 1.0], [0.7, 2.5, 0.8, 2.2]
    check = checks(with_epochs(before, new), with_epochs(before, old))["training"]
    assert check.ratio > 1.25
    assert check.ci_low < 1.25 < check.ci_high
    assert check.verdict.outcome == "inconclusive"


def test_of_equal_weights_the_interval_is_that_of_a_paired_t_test(before):
    old, new = [1.0, 1.0, 1.0, 1.0], [1.1, 1.3, 1.2, 1.15]
    check = checks(with_epochs(before, new), with_epochs(before, old))["training"]
    expected = stats.ttest_1samp(np.log(new), 0).confidence_interval(0.95)
    assert np.log([check.ci_low, check.ci_high]) == pytest.approx([expected.low, expected.high])
    assert np.log(check.ratio) == pytest.approx(np.log(new).mean())
    assert check.n == 4


def test_a_long_epoch_weighs_more_than_a_short_one(before):
    # Ninety times as long, and no slower; the short one takes twice as long.
    check = checks(with_epochs(before, [90.0, 2.0]), with_epochs(before, [90.0, 1.0]))["training"]
    assert np.log(check.ratio) == pytest.approx(np.log(2) / 91)


def test_one_timing_says_nothing_of_its_spread(before):
    check = checks(with_epochs(before, [5.0]), with_epochs(before, [1.0]))["training"]
    assert (check.ratio, check.n, check.verdict.outcome) == (None, 1, "inconclusive")


def test_only_epochs_that_both_have_are_compared(before):
    check = checks(with_epochs(before, [1.0, 1.0, 9.0]), with_epochs(before, [1.0, 1.0]))["training"]
    assert check.n == 2
    assert check.ratio == pytest.approx(1)


def test_other_seeds_and_other_orders_of_a_pool_are_the_same_work(make_study):
    pooled = {"mine": (1.0, 1)}
    before, now = make_study("before", pooled), make_study("now", pooled, seeds=(7,))
    (stage,) = now.results.stages
    assert "findings + mine" in stage.run
    stage = replace(stage, run=stage.run.replace("findings + mine", "mine + findings"))
    now = replace(now, results=replace(now.results, stages=(stage,)))
    assert checks(now, before)["training"].n == 3


def stages_of(study, **changes):
    return tuple(replace(stage, **changes) for stage in study.results.stages)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": {"type": "cuda", "name": "a card"}}, "device type cuda, name a card now"),
        ({"versions": {"torch": "0.0"}}, "torch 0.0 now"),
        ({"network": "resnet18"}, "network resnet18 now, densenet121 in the baseline"),
        ({"image_size": 64}, "image size 64 now, 32 in the baseline"),
        (
            {"training": {"covid": {"epochs": 3, "precision": "bfloat16"}}},
            "precision covid: bfloat16 now, covid: float32 in the baseline",
        ),
        (
            {"training": {"covid": {"precision": "float32", "batch_size": 8}}},
            "batch size covid: 8 now, covid: None in the baseline",
        ),
    ],
)
def test_speeds_of_different_work_are_not_compared_and_that_is_no_pass(make_study, before, changes, reason):
    now = make_study("now", {"control": (1.0, 1)}, slower=100, **changes)
    report = gate(now, before)
    assert report.outcome == "inconclusive"
    for check in report.speed:
        assert check.ratio is None
        assert check.verdict.outcome == "inconclusive"
        assert "not comparable" in check.verdict.sentence
        assert reason in check.verdict.sentence


@pytest.mark.parametrize("of", ["training", "prediction"])
def test_speeds_in_parallel_with_others_are_not_compared_with_those_alone(before, of):
    if of == "training":
        now = replace(before.results, stages=stages_of(before, processes=2))
    else:
        (scheme,) = before.results.schemes
        seeds = (replace(scheme.seeds[0], processes=2),)
        now = replace(before.results, schemes=(replace(scheme, seeds=seeds),))
    for check in speed_checks(now, before.results, 1.25):
        assert check.ratio is None
        assert "processes at a time 1, 2 now, 1 in the baseline" in check.verdict.sentence


def test_speeds_are_left_out_where_asked(make_study, before):
    report = gate(make_study("now", {"control": (1.0, 1)}, slower=100), before, speed=False)
    assert report.speed == ()
    assert report.outcome == "pass"
    assert "speeds were not compared, as asked" in report.notes
