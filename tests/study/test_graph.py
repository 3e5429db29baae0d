"""What is noted, cleared away and left alone while stages are trained."""

from __future__ import annotations

import json
import pickle

import numpy as np

from cxrbench.study.prepare import prepare
from cxrbench.study.progress import Silent
from cxrbench.study.results import load_results


def test_packed_images_are_small_until_they_are_read(tiny):
    (prepared,) = prepare(tiny.profile, frozenset({"covid"}), tiny.out, None, Silent())
    role = prepared.roles["covid"]
    packed, images = role.packed("test"), role.images("test")
    assert len(pickle.dumps(packed)) < images.pixels.nbytes / 10
    again = pickle.loads(pickle.dumps(packed)).load()
    assert np.array_equal(again.pixels, images.pixels)
    assert np.array_equal(again.labels, images.labels)
    assert np.array_equal(images.pixels, role.pack.pixels[role.rows("test")])


def test_a_stage_is_noted_with_how_many_were_trained_at_a_time(tiny):
    for stage in tiny.results.stages:
        note = tiny.out / "stages" / stage.key[:20] / "done.json"
        assert json.loads(note.read_text())["processes"] == stage.processes == 1
    assert load_results(tiny.out / "results.json").stages[0].processes == 1


def test_a_stage_that_is_trained_again_clears_what_a_killed_process_left(tiny_profile, tmp_path, run_tiny):
    first = run_tiny(tiny_profile, tmp_path, ("control",))
    (stage,) = (tmp_path / "stages").iterdir()
    leftover = stage / ".partial-0123abcd-last.safetensors"
    leftover.write_bytes(b"half a checkpoint")
    run_tiny(tiny_profile, tmp_path, ("control",))
    assert leftover.exists()
    (stage / "done.json").unlink()
    again = run_tiny(tiny_profile, tmp_path, ("control",))
    assert not leftover.exists()
    assert again.scheme("control").auc == first.scheme("control").auc
