"""A scheme's curves: one a seed, under its own name, from the file that the results name."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cxrbench.errors import CxrbenchError, StatisticsError
from cxrbench.statistics.predictions import read_predictions
from cxrbench.study.curves import seed_curves


def test_a_curve_a_seed(tiny):
    (entry,) = tiny.results.scheme("control").seeds
    scheme = replace(tiny.results.scheme("control"), seeds=(entry, replace(entry, seed=7)))
    results = replace(tiny.results, schemes=(scheme,))
    curves = seed_curves(results, tiny.out, "control", "now")
    assert list(curves) == ["now, seed 0", "now, seed 7"]
    (scores,) = read_predictions(tiny.out / entry.predictions).scores.values()
    for name, part in curves.items():
        assert list(part.scores) == [name]
        assert np.array_equal(part.scores[name], scores)


def test_what_is_not_there_is_named(tiny, tmp_path):
    with pytest.raises(CxrbenchError, match="no scheme 'sequential'"):
        seed_curves(tiny.results, tiny.out, "sequential", "now")
    with pytest.raises(StatisticsError, match=r"control\.csv"):
        seed_curves(tiny.results, tmp_path, "control", "now")
