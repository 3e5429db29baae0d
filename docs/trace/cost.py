"""Measure what the trace costs a study, and keep it next to this file.

    python docs/trace/cost.py PROFILE...   # phantom-small: two minutes; phantom: twelve; in one thread
    python docs/tables/fill.py             # then: the table

Each function that only the trace needs is timed where the study calls it, in processor seconds of one study
that starts from nothing, and so are the stages and the predictions that they are part of.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from cxrbench.study import predictions, run, stages
from cxrbench.study.profile import load_profile
from cxrbench.study.progress import Silent
from cxrbench.training.tracer import Inputs, Tracer

KEPT = Path(__file__).with_suffix(".json")

WHERE: dict[str, tuple[Any, str]] = {
    "stages: before the first step": (Tracer, "begin"),
    "stages: first steps": (Tracer, "step"),
    "stages: norms after each epoch": (Tracer, "epoch"),
    "predictions: norms": (predictions, "norms"),
    "predictions: inputs": (Inputs, "see"),
    "predictions: reference network": (predictions, "_reference_scores"),
    "parts and their digests": (run, "study_trace"),
    "all stages": (stages, "train_stage"),
    "all predictions": (predictions.SchemePredictions, "work"),
}
"""What is timed, and the function that does it and nothing else."""


def timed(place: Any, name: str, what: str, spent: Counter[str]) -> None:
    function = getattr(place, name)

    @functools.wraps(function)
    def timing(*args: Any, **kwargs: Any) -> Any:
        started = time.process_time()
        try:
            return function(*args, **kwargs)
        finally:
            spent[what] += time.process_time() - started

    # A class method has been bound to its class: kept as what takes no instance.
    setattr(place, name, staticmethod(timing) if hasattr(function, "__self__") else timing)


def measure(name: str) -> dict[str, float]:
    """Return processor seconds by what is written down, of all stages and predictions, and of the study."""
    torch.set_num_threads(1)
    spent: Counter[str] = Counter()
    for what, (place, function) in WHERE.items():
        spent[what] = 0
        timed(place, function, what, spent)
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        run.run_study(load_profile(name), Path(folder), progress=Silent())
        whole = time.process_time() - started
    return {**spent, "whole study": whole}


def main(names: list[str]) -> int:
    if not names:
        print(__doc__)
        return 2
    for name in names:
        found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
        found[name] = {what: round(seconds, 3) for what, seconds in measure(name).items()}
        KEPT.write_text(json.dumps(found, indent=1) + "\n")
        print(name, found[name])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
