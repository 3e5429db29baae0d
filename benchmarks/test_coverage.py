"""Do the intervals hold what they promise? Coverage and type I error of the statistics, by simulation.

Scores are normal in both classes (the binormal model), so the true AUC is known. Each cell draws thousands of
test samples from a generator of its own and runs them through the functions behind ``statistics.auc``. The
Monte Carlo standard error of a coverage of 95% is 0.3% for 5,000 samples, against bounds of 93% to 97%.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtri

from cxrbench.statistics import compare
from cxrbench.statistics.clustered import components
from cxrbench.statistics.delong import delong_components
from cxrbench.statistics.inputs import Groups
from cxrbench.statistics.intervals import auc_intervals

pytestmark = pytest.mark.slow

AUCS = (0.75, 0.80, 0.85, 0.90, 0.95)
IMAGES = (60, 100, 200, 400)
LOW, HIGH = 0.93, 0.97

IMAGES_PER_PATIENT = 3
SHARED_VARIANCE = 0.6
"""Share of the variance of scores that images of one patient have in common."""


def separation(auc):
    """Return the distance of the class means, in standard deviations, that gives this AUC."""
    return np.sqrt(2) * ndtri(auc)


def covered(sample, auc):
    """Return the share of the curves whose 95% logit interval holds the true AUC."""
    low, high = auc_intervals(sample, level=0.95, method="logit")
    return float(np.mean((low <= auc) & (auc <= high)))


def simulate_independent(share_positive, samples=5000):
    """Return (auc, images) -> coverage of DeLong's logit interval with independent images."""
    found = {}
    for auc in AUCS:
        for n in IMAGES:
            rng = np.random.default_rng([1, n, round(100 * auc), round(100 * share_positive)])
            labels = np.arange(n) < round(share_positive * n)
            scores = rng.normal(size=(samples, n)) + separation(auc) * labels
            found[auc, n] = covered(delong_components(labels, scores), auc)
    return found


def simulate_patients(patients, auc, samples):
    """Return the coverage of the clustered and the plain form; the images of a patient have one label."""
    rng = np.random.default_rng([2, patients, round(100 * auc)])
    codes = np.repeat(np.arange(patients), IMAGES_PER_PATIENT)
    labels = codes % 2 == 0
    shared = np.sqrt(SHARED_VARIANCE) * rng.normal(size=(samples, patients))[:, codes]
    own = np.sqrt(1 - SHARED_VARIANCE) * rng.normal(size=(samples, codes.size))
    scores = shared + own + separation(auc) * labels
    return tuple(
        covered(components(labels, scores, groups), auc) for groups in (Groups(codes, patients), None)
    )


@pytest.mark.benchmark(group="coverage")
@pytest.mark.parametrize("share_positive", [0.5, 0.75], ids=["balanced", "three quarters positive"])
def test_logit_intervals_cover_93_to_97_percent_with_independent_images(benchmark, share_positive):
    found = benchmark.pedantic(simulate_independent, args=(share_positive,), rounds=1)
    benchmark.extra_info["coverage"] = {f"AUC {auc}, {n} images": value for (auc, n), value in found.items()}
    outside = {cell: value for cell, value in found.items() if not LOW <= value <= HIGH}
    assert not outside


@pytest.mark.benchmark(group="coverage")
def test_the_clustered_form_keeps_its_coverage_where_the_plain_form_does_not(benchmark):
    def simulate():
        return {
            (auc, patients): simulate_patients(patients, auc, samples=4000)
            for auc in (0.75, 0.85, 0.95)
            for patients in (60, 120)
        }

    found = benchmark.pedantic(simulate, rounds=1)
    # Not held to the bounds: 20 patients are few for a large-sample variance, and a user should know it.
    found_with_20 = {auc: simulate_patients(20, auc, samples=4000)[0] for auc in (0.75, 0.95)}
    benchmark.extra_info["coverage, clustered"] = {
        f"AUC {auc}, {patients} patients": values[0] for (auc, patients), values in found.items()
    }
    benchmark.extra_info["coverage, plain"] = {
        f"AUC {auc}, {patients} patients": values[1] for (auc, patients), values in found.items()
    }
    benchmark.extra_info["coverage, clustered, 20 patients"] = found_with_20
    assert all(LOW <= clustered <= HIGH for clustered, _ in found.values()), found
    assert all(plain < 0.87 for _, plain in found.values()), found


@pytest.mark.benchmark(group="coverage")
@pytest.mark.parametrize("clustered", [False, True], ids=["independent", "clustered"])
def test_the_paired_test_errs_in_5_percent_of_samples_without_a_difference(benchmark, clustered):
    def simulate(samples=3000, patients=100):
        rng = np.random.default_rng([3, clustered])
        codes = np.repeat(np.arange(patients), 2 if clustered else 1)
        labels = codes % 2 == 0
        rejected = 0
        for _ in range(samples):
            # Two classifiers that agree in part on every patient and have the same true AUC, 0.80.
            of_patient = rng.normal(size=(3, patients))[:, codes]
            a, b = of_patient[0] + of_patient[1:] + 0.5 * rng.normal(size=(2, codes.size))
            shift = 1.5 * separation(0.80) * labels
            rejected += compare(labels, a + shift, b + shift, codes if clustered else None).p_value < 0.05
        return rejected / samples

    error = benchmark.pedantic(simulate, rounds=1)
    benchmark.extra_info["type I error"] = error
    assert 0.04 <= error <= 0.06
