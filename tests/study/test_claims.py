"""Claims: judged from intervals, and only where a profile was made to show them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrbench.errors import CxrbenchError
from cxrbench.files import file_sha256
from cxrbench.statistics import compare, compare_all
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.predictions import write_predictions
from cxrbench.statistics.records import Pair
from cxrbench.study.claims import claim_verdict
from cxrbench.study.finished import FinishedStudy
from cxrbench.study.results import SeedComparison

IMAGES = 200


def one_seed(tiny, interval, calibrated=True):
    """Return results of one seed in which findings minus control has the given interval."""
    low, high = interval
    pair = Pair("control", "findings", -(low + high) / 2, 0.01, -high, -low, None, 0.5, 0.5)
    results = replace(
        tiny.results,
        seeds=(0,),
        comparisons=(SeedComparison(0, (pair,), None),),
        settings={"study": {"calibrated": calibrated}},
    )
    return FinishedStudy(tiny.out, results)


@pytest.fixture
def several(tiny, tmp_path):
    """Return a function that makes results and files of schemes with one skill a seed."""
    labels = np.arange(IMAGES) // 2 % 2
    patients = np.repeat(np.arange(IMAGES // 2), 2)

    def make(skills, calibrated=True):
        random = np.random.default_rng(3)
        shared = random.normal(size=IMAGES)
        curves = {
            (scheme, seed): shared + 0.5 * random.normal(size=IMAGES) + skill * labels
            for scheme, of in skills.items()
            for seed, skill in enumerate(of)
        }
        count = len(next(iter(skills.values())))
        template = tiny.results.schemes[0]
        schemes = []
        for scheme in skills:
            seeds = []
            for seed in range(count):
                path = f"{scheme}-{seed}.csv"
                ids = [f"image-{i:03d}" for i in range(IMAGES)]
                write_predictions(
                    tmp_path / path, ids, [f"p{p}" for p in patients], labels, curves[scheme, seed]
                )
                seeds.append(
                    replace(
                        template.seeds[0], seed=seed, predictions=path, sha256=file_sha256(tmp_path / path)
                    )
                )
            schemes.append(replace(template, name=scheme, seeds=tuple(seeds)))
        comparisons = [
            SeedComparison(seed, found.pairs, found.omnibus)
            for seed in range(count)
            for found in [compare_all(labels, {s: curves[s, seed] for s in skills}, patients)]
        ]
        results = replace(
            tiny.results,
            schemes=tuple(schemes),
            seeds=tuple(range(count)),
            comparisons=tuple(comparisons),
            settings={"study": {"calibrated": calibrated}},
        )
        return FinishedStudy(tmp_path, results), labels, curves, patients

    return make


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((0.01, 0.05), "pass"), ((-0.05, -0.01), "fail"), ((-0.01, 0.03), "inconclusive")],
)
def test_with_one_seed_its_interval_decides(tiny, interval, outcome):
    verdict = claim_verdict(one_seed(tiny, interval), "findings", "control")
    assert verdict.outcome == outcome
    assert f"{sum(interval) / 2:+.3f} ({interval[0]:+.3f} to {interval[1]:+.3f})" in verdict.sentence


@pytest.mark.parametrize(
    ("control", "findings", "outcome"),
    [
        ((1.0, 1.0, 1.0, 1.0), (2.0, 1.9, 2.1, 2.0), "pass"),
        ((2.0, 1.9, 2.1), (1.0, 1.0, 1.0), "fail"),
        # The first seed is certainly better, the last certainly worse.
        ((1.0, 1.0, 1.0), (2.0, 1.0, 0.5), "inconclusive"),
    ],
)
def test_with_several_seeds_the_difference_of_the_means_decides(several, control, findings, outcome):
    study, labels, curves, patients = several({"control": control, "findings": findings})
    verdict = claim_verdict(study, "findings", "control")
    assert verdict.outcome == outcome
    sides = [[key for key in curves if key[0] == scheme] for scheme in ("findings", "control")]
    means = compare_means(labels, curves, *sides, patients)
    assert (
        f"mean AUC {means.mean_a:.3f} against {means.mean_b:.3f} over {len(control)} seeds, difference "
        f"{means.difference:+.3f} ({means.ci_low:+.3f} to {means.ci_high:+.3f})"
    ) in verdict.sentence
    for seed, pair in enumerate(study.results.pair("findings", "control")):
        assert f"seed {seed}: {pair.difference:+.3f}" in verdict.sentence


def test_a_seed_that_is_certainly_better_does_not_settle_it(several):
    study, labels, curves, patients = several({"control": (1.0, 1.0, 1.0), "findings": (2.0, 1.0, 0.9)})
    lucky, *others = (
        compare(labels, curves["findings", seed], curves["control", seed], patients) for seed in range(3)
    )
    assert lucky.ci_low > 0
    assert all(pair.ci_low < 0 < pair.ci_high for pair in others)
    assert claim_verdict(study, "findings", "control").outcome == "inconclusive"


@pytest.mark.parametrize("count", [1, 3])
def test_the_other_way_round_it_is_the_other_way_round(several, count):
    study, *_ = several({"control": (1.0,) * count, "findings": (2.0,) * count})
    assert claim_verdict(study, "findings", "control").outcome == "pass"
    assert claim_verdict(study, "control", "findings").outcome == "fail"


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("skill", [2.0, 0.0])
def test_a_profile_that_is_not_calibrated_shows_nothing(several, count, skill):
    study, *_ = several({"control": (1.0,) * count, "findings": (skill,) * count}, calibrated=False)
    verdict = claim_verdict(study, "findings", "control")
    assert verdict.outcome == "inconclusive"
    assert "not calibrated" in verdict.sentence
    assert ("beats" if skill > 1 else "is worse than") in verdict.sentence


def test_a_scheme_that_was_not_run_is_named(tiny):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        claim_verdict(one_seed(tiny, (0.01, 0.05)), "sequential", "control")
