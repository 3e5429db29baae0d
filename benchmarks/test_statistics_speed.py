"""A million images and six curves with all pairs: seconds, memory, and the alternatives next to it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from cxrbench.statistics import auc, compare_all

pytestmark = pytest.mark.slow

IMAGES, CURVES, PATIENTS = 1_000_000, 6, 300_000
SECONDS, GIBIBYTES = 3.0, 1.0

PLAIN_IMAGES = 8_000
"""Images for the plain definition, which compares every positive with every negative."""

PYTHON_IMAGES = 300_000
"""Images for one curve with midranks counted in a Python loop, as DeLong's test is often written."""

ALONE = f"""
import json, resource, time
from pathlib import Path
import numpy as np
from cxrbench.statistics import compare_all
rng = np.random.default_rng(0)
labels = rng.random({IMAGES}) < 0.3
curves = {{str(k): rng.normal(size={IMAGES}) + labels for k in range({CURVES})}}
patients = rng.integers(0, {PATIENTS}, {IMAGES})
compare_all([0, 0, 1, 1], {{"a": [1, 2, 3, 4], "b": [1, 3, 2, 4], "c": [4, 3, 2, 1]}})  # loads late imports
seconds = {{}}
for form, groups in (("plain", None), ("clustered", patients)):
    start = time.process_time()
    compare_all(labels, curves, groups)
    seconds[form] = time.process_time() - start
status = Path("/proc/self/status")
if status.exists():
    # Linux counts what the parent held when it forked as this process's ru_maxrss; VmHWM it does not.
    peak = 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({{"seconds": seconds, "gibibytes": peak / 2**30}}))
"""


@pytest.fixture(scope="module")
def million():
    rng = np.random.default_rng(0)
    labels = rng.random(IMAGES) < 0.3
    curves = {str(k): rng.normal(size=IMAGES) + labels for k in range(CURVES)}
    return labels, curves, rng.integers(0, PATIENTS, IMAGES)


def _plain_definition(labels, scores):
    """All pairs' variances from the definition, the way a first implementation does it."""
    parts = []
    for row in scores:
        wins = (row[labels][:, None] > row[~labels]) + 0.5 * (row[labels][:, None] == row[~labels])
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    v10, v01 = (np.array(side) for side in zip(*parts, strict=True))
    return np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]


def _midranks_in_python(values):
    """Midranks by a Python loop over runs of equal scores."""
    order = np.argsort(values)
    ranked = values[order].tolist()
    ranks, i = [0.0] * len(ranked), 0
    while i < len(ranked):
        j = i
        while j < len(ranked) and ranked[j] == ranked[i]:
            j += 1
        ranks[i:j] = [0.5 * (i + j - 1) + 1] * (j - i)
        i = j
    back = np.empty(len(ranked))
    back[order] = ranks
    return back


@pytest.mark.benchmark(group="a million images, six curves")
@pytest.mark.parametrize("form", ["plain", "clustered"])
def test_all_pairs_in_seconds(benchmark, million, form):
    labels, curves, patients = million
    groups = patients if form == "clustered" else None
    found = benchmark.pedantic(compare_all, args=(labels, curves, groups), rounds=1, iterations=1)
    assert len(found.pairs) == 15


def test_under_three_seconds_and_one_gibibyte_on_one_core():
    """In a process of its own, so that its peak memory, interpreter and input included, is known.

    It has one thread, so its processor time is what it takes on a core of its own, however busy the machine.
    """
    one_core = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    result = subprocess.run(
        [sys.executable, "-c", ALONE],
        env=os.environ | one_core,
        capture_output=True,
        text=True,
        check=True,
    )
    used = json.loads(result.stdout)
    assert used["seconds"]["plain"] < SECONDS, used
    assert used["seconds"]["clustered"] < SECONDS, used
    assert used["gibibytes"] < GIBIBYTES, used


@pytest.mark.benchmark(group="a million images, six curves")
def test_scikit_learn_for_the_six_aucs_alone(benchmark, million):
    """No standard error, no pairs: the part of the work for which a library is at hand."""
    labels, curves, _ = million
    found = benchmark.pedantic(
        lambda: [roc_auc_score(labels, scores) for scores in curves.values()], rounds=1, iterations=1
    )
    ours = [curve.auc for curve in compare_all(labels, curves).curves]
    assert found == pytest.approx(ours, abs=1e-12)


@pytest.mark.benchmark(group=f"{PLAIN_IMAGES} images, six curves")
@pytest.mark.parametrize("method", ["definition", "cxrbench"])
def test_the_definition_on_fewer_images(benchmark, million, method):
    """The definition on fewer images; its time grows with the square of their number."""
    labels = million[0][:PLAIN_IMAGES]
    curves = {name: scores[:PLAIN_IMAGES] for name, scores in million[1].items()}
    start = time.perf_counter()
    if method == "definition":
        covariance = benchmark.pedantic(
            _plain_definition, args=(labels, np.stack(list(curves.values()))), rounds=1, iterations=1
        )
        seconds = time.perf_counter() - start
        benchmark.extra_info["seconds on a million images, scaled"] = seconds * (IMAGES / PLAIN_IMAGES) ** 2
        ours = [curve.se**2 for curve in compare_all(labels, curves).curves]
        assert np.diag(covariance) == pytest.approx(ours, rel=1e-9)
    else:
        benchmark.pedantic(compare_all, args=(labels, curves, None, "none"), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group=f"{PYTHON_IMAGES} images, one curve")
@pytest.mark.parametrize("method", ["python loop", "cxrbench"])
def test_one_curve_on_fewer_images(benchmark, million, method):
    """One AUC and its variance, by midranks counted in Python."""
    labels, scores = million[0][:PYTHON_IMAGES], million[1]["0"][:PYTHON_IMAGES]

    def in_python():
        x, y = scores[labels], scores[~labels]
        whole = _midranks_in_python(scores)
        v10 = (whole[labels] - _midranks_in_python(x)) / y.size
        v01 = 1 - (whole[~labels] - _midranks_in_python(y)) / x.size
        return np.sqrt(v10.var(ddof=1) / x.size + v01.var(ddof=1) / y.size)

    if method == "python loop":
        assert benchmark.pedantic(in_python, rounds=1) == pytest.approx(auc(labels, scores).se, rel=1e-9)
    else:
        benchmark.pedantic(auc, args=(labels, scores), rounds=3, warmup_rounds=1)
