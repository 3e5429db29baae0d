"""The trace of a study that was run: complete, true to the files, and the same for the same study."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from cxrbench.schemes import make_plan
from cxrbench.study.results import load_results
from cxrbench.trace.compare import compare_traces
from cxrbench.trace.fingerprints import digest, of_texts, unpacked
from cxrbench.trace.records import STEPS, Trace, find_trace


@pytest.fixture(scope="module")
def out(tiny_profile, run_tiny, tmp_path_factory):
    """A study of its own: others run the shared one again with other settings."""
    folder = tmp_path_factory.mktemp("traced")
    run_tiny(tiny_profile, folder, ("control", "findings"))
    return folder


@pytest.fixture(scope="module")
def trace(out) -> Trace:
    return find_trace(out)


@pytest.fixture(scope="module")
def results(out):
    return load_results(out / "results.json")


def test_every_stage_of_the_plan_is_in_it_in_its_order(trace, tiny_profile, results) -> None:
    plan = make_plan(tiny_profile.select(results.names))
    expected = [(str(run), seed) for seed in results.seeds for run in plan.runs]
    assert [(entry.run, entry.seed) for entry in trace.stages] == expected


def test_the_first_steps_are_in_it_with_what_came_before_and_after(trace) -> None:
    for entry in trace.stages:
        assert 0 < len(entry.trace.steps) <= STEPS
        assert all(step.loss > 0 and step.gradient_norm > 0 for step in entry.trace.steps)
        assert set(entry.trace.untrained) == set(entry.roles)
        assert entry.trace.after is not None
        assert entry.trace.after.trunk != entry.trace.before.trunk


def test_a_stage_starts_with_the_trunk_that_its_parent_kept(trace) -> None:
    stages = {(entry.run, entry.seed): entry.trace for entry in trace.stages}
    children = [entry for entry in trace.stages if entry.parent]
    assert children
    for entry in children:
        parent = stages[entry.parent, entry.seed]
        assert parent.kept is not None
        assert entry.trace.before.trunk == parent.kept.trunk


def test_a_prediction_is_by_the_network_that_its_stage_kept(trace) -> None:
    stages = {(entry.run, entry.seed): entry.trace for entry in trace.stages}
    assert {p.part for p in trace.predictions} == {"validation", "test"}
    for prediction in trace.predictions:
        assert prediction.path.network == stages[prediction.run, prediction.seed].kept
        assert len(set(prediction.path.reference)) > 1


def test_the_inputs_are_those_of_the_test_images_normalised_as_imagenet(trace) -> None:
    (part,) = (p for p in trace.parts if (p.role, p.part) == (trace.target, "test"))
    mean, sd = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((part.pixel_mean - mean) / sd).mean()
    squares = ((part.pixel_sd**2 + (part.pixel_mean - mean) ** 2) / sd**2).mean()
    for prediction in trace.predictions:
        if prediction.part == "test":
            assert prediction.path.inputs.mean == pytest.approx(expected, rel=1e-5)
            assert prediction.path.inputs.sd == pytest.approx((squares - expected**2) ** 0.5, rel=1e-5)


def test_the_parts_are_those_of_the_prediction_files(trace, results, out) -> None:
    seed = results.schemes[0].seeds[0]
    table = pd.read_csv(out / seed.predictions, dtype={"image_id": str})
    (part,) = (p for p in trace.parts if (p.role, p.part) == (trace.target, "test"))
    assert part.images == len(table)
    assert part.positive == (int(table["label"].sum()),)
    assert part.patients == table["patient_id"].nunique()
    assert set(unpacked(part.ids, np.uint32)) == set(of_texts(table["image_id"]).astype(np.uint64))


def test_a_stage_had_in_memory_what_the_parts_of_its_roles_are(trace) -> None:
    parts = {(part.role, part.part): part for part in trace.parts}
    for entry in trace.stages:
        assert set(entry.trace.loaded) == set(entry.roles)
        for role, loaded in entry.trace.loaded.items():
            for name, images in loaded.items():
                part = parts[role, name]
                expected = (
                    digest(unpacked(part.labels, np.uint8).astype(np.uint8)),
                    digest(unpacked(part.pixels, np.uint32).astype(np.uint32)),
                )
                assert (images.images, images.labels, images.pixels) == (part.images, *expected)


def test_a_study_is_the_same_experiment_as_itself_and_all_of_it_is_compared(trace) -> None:
    comparison = compare_traces(trace, trace)
    assert comparison.partings == ()
    assert comparison.same == len(trace.stages) + len(trace.predictions)


def test_a_run_of_one_scheme_leaves_the_other_s_trace(trace, tiny_profile, run_tiny, out, tmp_path) -> None:
    shutil.copytree(out, tmp_path / "again")
    run_tiny(tiny_profile, tmp_path / "again", ("control",))
    comparison = compare_traces(find_trace(tmp_path / "again"), trace)
    assert (comparison.partings, comparison.notes) == ((), ())
    assert comparison.same == len(trace.stages) + len(trace.predictions)
