"""What is noted, cleared away and left alone while stages are trained."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cxrbench.files import TEMPORARY, _machine
from cxrbench.study import predictions, stages
from cxrbench.study.prepare import prepare
from cxrbench.study.progress import Silent
from cxrbench.study.results import load_results
from cxrbench.study.stages import only_one


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


def test_what_killed_processes_left_is_swept_by_the_next_run(tiny, run_tiny):
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        pass
    stage = tiny.results.stages[0].key[:20]
    places = [
        tiny.out / name
        for name in (".", f"stages/{stage}", "splits", "audits", "packs", "predictions/seed-0/test")
    ]
    for place in places:
        left = place / f"{TEMPORARY}{_machine()}-{gone.pid}-01234567"
        left.mkdir()
        (left / "half").write_bytes(b"half of it")
    run_tiny(tiny.profile, tiny.out, ("control", "findings"))
    assert list(tiny.out.rglob(f"{TEMPORARY}*")) == []


class Waits(Silent):
    """Says when something is waited for."""

    def __init__(self):
        self.waiting = threading.Event()
        self.titles = []

    def start(self, title, images):  # noqa: ARG002
        self.titles.append(title)
        self.waiting.set()


def test_what_one_works_on_another_waits_for(tmp_path):
    order = []
    progress = Waits()

    def second():
        with only_one(tmp_path / "lock", "init > covid", progress):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with only_one(tmp_path / "lock", "init > covid", Silent()):
            waits = pool.submit(second)
            assert progress.waiting.wait(timeout=60)
            order.append("first")
        waits.result(timeout=60)
    assert order == ["first", "second"]
    assert progress.titles == ["init > covid: waiting for another study that works on it"]


def test_two_studies_at_once_train_and_predict_each_stage_once(
    tiny, tiny_profile, tmp_path, run_tiny, monkeypatch
):
    calls = []
    both = threading.Barrier(2)

    def counted(function):
        def call(*arguments):
            calls.append(function.__name__)
            return function(*arguments)

        return call

    monkeypatch.setattr(stages, "train_stage", counted(stages.train_stage))
    monkeypatch.setattr(predictions, "write_predictions", counted(predictions.write_predictions))

    class Together(Silent):
        def task(self, title, total=0):
            if title == "leak audit":
                both.wait(timeout=60)
            return super().task(title, total)

    with ThreadPoolExecutor(2) as pool:
        studies = [pool.submit(run_tiny, tiny_profile, tmp_path, ("control",), Together()) for _ in range(2)]
        first, second = [study.result() for study in studies]
    assert sorted(calls) == ["train_stage", "write_predictions", "write_predictions"]
    assert first.scheme("control") == second.scheme("control")
    assert first.scheme("control").seeds[0].sha256 == tiny.results.scheme("control").seeds[0].sha256
