"""The test predictions of a finished study's schemes, one curve a training seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from cxrbench.statistics.predictions import Predictions, read_predictions
from cxrbench.study.results import Results


def seed_curves(results: Results, folder: Path, scheme: str, name: str) -> dict[str, Predictions]:
    """Return curve -> the predictions of one seed of ``scheme``; curves are called ``name, seed S``.

    Parameters
    ----------
    folder: the study's, in which the prediction files lie.

    Raises
    ------
    CxrbenchError: the study did not run the scheme.
    StatisticsError: a prediction file is missing or damaged.
    """
    curves = {}
    for seed in results.scheme(scheme).seeds:
        part = read_predictions(folder / seed.predictions)
        (scores,) = part.scores.values()
        curve = f"{name}, seed {seed.seed}"
        curves[curve] = replace(part, scores={curve: scores})
    return curves
