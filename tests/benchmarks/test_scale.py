"""``benchmarks/scale.py``: what a plan costs, by hand and as laws."""

from __future__ import annotations

import csv
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.schemes import make_plan, parse

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "scale.py"


def load():
    spec = importlib.util.spec_from_file_location("scale_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["scale_script"] = module
    spec.loader.exec_module(module)
    return module


scale = load()
TIMES = scale.Times("device", 64, 10.0, 40.0, 5.0, 0.0, 1, 3, 80, 20, "made up", {"a": 100, "b": 40})


def plan(*notations):
    return make_plan(parse(f"s{number}", notation) for number, notation in enumerate(notations))


def test_by_hand_on_one_gpu_and_on_two():
    # a: 5 + 10; b: 5 + 4; each target stage: 5 + 6 and 2 for its predictions.
    both = plan("init > a > target", "init > b > target")
    assert scale.makespan(both, TIMES, 1) == (50, 50, 28)
    assert scale.makespan(both, TIMES, 2) == (28, 50, 28)
    # Pooled with the target, a is gone over three times: 5 + 36 + 2.
    assert scale.makespan(plan("init > a + target"), TIMES, 1)[0] == 43


def test_a_shared_beginning_is_paid_once_and_a_chain_does_not_get_shorter_by_sharing():
    schemes = [parse("one", "init > a > target"), parse("two", "init > a > b > target")]
    shared, apart = make_plan(schemes), scale.alone(schemes)
    assert len(apart.runs) == len(shared.runs) + 1
    assert scale.makespan(apart, TIMES, 1)[0] - scale.makespan(shared, TIMES, 1)[0] == 15
    assert scale.makespan(apart, TIMES, 9)[0] == scale.makespan(shared, TIMES, 9)[0] == 15 + 9 + 13


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(0, 99))
def test_no_schedule_beats_the_work_or_the_chain_and_none_is_twice_as_long(count, gpus, seed):
    schemes = scale.drawn(count, ["a", "b", "c", "d"], seed)
    times = scale.replace(TIMES, supplements={"a": 100, "b": 40, "c": 7, "d": 300})
    wall, work, chain = scale.makespan(make_plan(schemes), times, gpus)
    assert wall >= max(work / gpus, chain) - 1e-6
    # Graham's bound for list scheduling.
    assert wall <= work / gpus + chain + 1e-6
    assert wall <= scale.makespan(scale.alone(schemes), times, 1)[0] + 1e-6


def test_schemes_differ_end_with_the_target_and_more_begin_with_the_same():
    few, many = (scale.drawn(count, ["a", "b", "c"]) for count in (5, 20))
    assert [scheme.stages for scheme in few] == [scheme.stages for scheme in many[:5]]
    assert len({scheme.stages for scheme in many}) == 20
    assert all(scheme.stages[-1].roles == ("target",) for scheme in many)


def test_the_script_writes_every_cell_and_the_figure(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(scale, "SCHEMES", (6, 30))
    times = scale.HERE / "times.json"
    monkeypatch.setattr(sys, "argv", ["scale.py", "--out", str(tmp_path), "--times", str(times)])
    scale.main()
    with (tmp_path / "simulated.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["schemes"], row["gpus"]) for row in rows] == [
        (str(schemes), str(gpus)) for schemes in (6, 30) for gpus in scale.GPUS
    ]
    assert (tmp_path / "scale.svg").read_text().startswith("<?xml")
    assert json.loads(times.read_text())["source"]
