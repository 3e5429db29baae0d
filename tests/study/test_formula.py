"""A trunk trained on formula-driven pictures: once for every seed and scheme, and for the next study too."""

from __future__ import annotations

import json
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace

import pytest
import tiny_study
import torch

import cxrbench.study.run
from cxrbench.errors import ProfileError
from cxrbench.study.executor import local_places
from cxrbench.study.formula import formula_stage
from cxrbench.study.prepare import prepare
from cxrbench.study.profile import InitSettings
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study
from cxrbench.study.stages import make_ready
from cxrbench.study.where import Where
from cxrbench.trace.compare import compare_traces
from cxrbench.training.checkpoints import StageFolder

FORMULA = {"kind": "formula", "seed": 3, "classes": 4, "each": 8, "epochs": 1, "batch_size": 8}


def profile_of(init):
    return tiny_study.profile({"study.init": init})


def precise(_wanted):
    return "float32"


def study_of(init, out, log, seeds=(0,), store=None, schemes=("control",)):
    return run_study(
        profile_of(init).with_seeds(seeds).with_precision(precise),
        out,
        schemes=schemes,
        where=Where(store=store, devices=(torch.device("cpu"),)),
        progress=log,
    )


def first_of(out, results):
    folder = StageFolder(out / "stages" / results.formula.key[:20], results.formula.key)
    kept = folder.finished()
    assert kept is not None
    return kept


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    out = tmp_path_factory.mktemp("formula")
    return study_of(FORMULA, out, Silent(), seeds=(0, 1), schemes=("control", "findings"))


def test_every_seed_and_scheme_starts_from_the_one_trunk(ran):
    first = first_of(ran.folder, ran.results)
    stages = {(entry.run, entry.seed): entry for entry in ran.trace().stages}
    assert set(stages) == {
        (run, seed)
        for run in ("init", "init > covid", "init > findings", "init > findings > covid")
        for seed in (0, 1)
    }
    for seed in (0, 1):
        for run in ("init > covid", "init > findings"):
            assert stages[run, seed].parent == "init"
            assert stages[run, seed].trace.before.trunk == first.trace.kept.trunk
    # Seeds vary heads and order.
    assert stages["init > covid", 0].trace.before.heads != stages["init > covid", 1].trace.before.heads


def test_the_results_say_where_trunks_start_and_what_that_cost(ran):
    found = ran.results.formula
    assert ran.results.init == "formula, seed 3"
    assert found.images == 4 * 8
    assert found.seconds > 0
    assert all(stage.key != found.key for stage in ran.results.stages)
    chain = [stage for stage in ran.results.stages if stage.run == "init > covid"]
    assert ran.results.scheme("control").train_seconds == pytest.approx(
        sum(stage.seconds for stage in chain) / 2
    )


def test_a_second_study_does_not_train_it_again(ran, tmp_path, log):
    second = study_of(FORMULA, tmp_path, log, seeds=(7,), store=ran.folder)
    assert second.results.formula == ran.results.formula
    assert [line for line in log.lines if line.startswith("initial parameters")] == [
        f"initial parameters  validation AUC {second.results.formula.validation_auc:.3f}  "
        "(kept from an earlier run)"
    ]


@pytest.fixture
def began(monkeypatch):
    """What two places are given, and when the images are made ready."""
    began = []

    @contextmanager
    def opened():
        def place(work):
            began.append(work)
            done = Future()
            done.set_result(work(torch.device("cpu"), Silent()))
            return done

        yield [place, place]

    def two_places(*args):
        return replace(local_places(*args), count=2, opened=opened)

    def prepared(*args):
        began.append("images")
        return prepare(*args)

    monkeypatch.setattr(cxrbench.study.run, "prepare", prepared)
    monkeypatch.setattr(cxrbench.study.run, "local_places", two_places)
    return began


def test_with_two_places_the_trunk_is_begun_before_the_images_are_made_ready(ran, tmp_path, log, began):
    study = study_of(FORMULA, tmp_path, log)
    ready, also_ready, first, images, *others = began
    assert ready is also_ready is make_ready
    assert first.__self__.folder.key == ran.results.formula.key
    assert images == "images"
    assert len(others) == 2
    now, before = (found.results.scheme("control").seeds[0].curve for found in (study, ran))
    assert now == before


def test_a_finished_study_opens_no_place(tmp_path, log, began):
    study_of(FORMULA, tmp_path, log)
    began.clear()
    study_of(FORMULA, tmp_path, log)
    assert began == ["images"]


def test_where_only_the_trunk_is_missing_it_is_begun_first_too(ran, tmp_path, log, began):
    other = {**FORMULA, "learning_rate": 0.002}
    study_of(other, tmp_path, log, store=ran.folder)
    assert began[:2] == [make_ready, make_ready]
    assert began[3] == "images"


@pytest.mark.parametrize("changed", [{"seed": 4}, {"each": 9}, {"learning_rate": 0.002}])
def test_another_recipe_or_seed_of_it_is_another_start(ran, changed):
    profiles = [profile_of(init) for init in (FORMULA, {**FORMULA, **changed})]
    device = ran.results.device
    mine, other = (formula_stage(p.with_precision(precise), ran.folder, device, Silent()) for p in profiles)
    assert mine.folder.key == ran.results.formula.key != other.folder.key


@pytest.mark.slow
def test_a_trace_names_the_stage_that_parted_and_a_damaged_trunk_is_trained_again(ran, tmp_path, log):
    other = study_of({**FORMULA, "learning_rate": 0.002}, tmp_path, log)
    found = compare_traces(other.trace(), ran.trace())
    assert found.partings[0].where == "stage 'init', seed 0"
    assert found.partings[0].what == "learning_rate"
    assert any("init > covid" in name for name in found.following)
    first = first_of(tmp_path, other.results)
    whole = first.path.read_bytes()
    first.path.write_bytes(whole[:-1])
    study_of({**FORMULA, "learning_rate": 0.002}, tmp_path, log)
    assert first.path.read_bytes() == whole


def test_what_the_key_is_made_of_does_not_name_the_studys_seed_or_roles(ran):
    note = json.loads((first_of(ran.folder, ran.results).folder.path / "stage.json").read_text())
    assert note["seed"] == 3
    assert not {"data", "target"} & set(note)


@pytest.mark.slow
def test_one_random_trunk_for_all_seeds(tmp_path, log):
    fixed = study_of({"kind": "random", "seed": 5}, tmp_path, log, seeds=(0, 1))
    first, second = fixed.trace().stages
    assert first.trace.before.trunk == second.trace.before.trunk
    assert first.trace.before.heads != second.trace.before.heads
    assert fixed.results.init == "random, seed 5"
    assert fixed.results.formula is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("random", InitSettings("random")),
        ("random:7", InitSettings("random", seed=7)),
        ("formula", InitSettings("formula")),
        ("formula:2", InitSettings("formula", seed=2)),
        ("imagenet", InitSettings("imagenet")),
        ("there/mine.safetensors", InitSettings("file", path="there/mine.safetensors")),
    ],
)
def test_what_a_command_line_says(text, expected):
    assert InitSettings.from_text(text) == expected
    assert tiny_study.profile().with_init(text).init == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("formla", "did you mean 'formula'"),
        ("random:x", "the seed must be a whole number"),
        ("random:\u0663", "the seed must be a whole number"),
        ("random:" + "9" * 5000, "the seed must be a whole number"),
        ("random:" + "9" * 19, "'seed' must be a whole number of 0 or more, of up to 63 bits"),
        ("imagenet:3", "write imagenet, formula, random"),
        ("mine.bin", "a file that ends in .safetensors or .pth"),
    ],
)
def test_what_it_cannot_say(text, said):
    with pytest.raises(ProfileError, match=said):
        InitSettings.from_text(text)


@pytest.mark.parametrize(
    ("init", "said"),
    [
        ({"kind": "formulae"}, "'random', 'imagenet', 'file' or 'formula'"),
        ({"kind": "random", "classes": 9}, "go with kind = 'formula'"),
        ({"kind": "imagenet", "seed": 1}, "'seed' goes with kind"),
        ({"kind": "random", "seed": -1}, "'seed' must be a whole number"),
        ({"kind": "formula", "classes": 1}, "classes must be a whole number of 2 or more"),
        ({"kind": "formula", "epochs": 0}, "epochs must be a whole number"),
        ({"kind": "formula", "path": "x"}, "'path' goes with kind = 'file'"),
        ({"kind": "formula", "epoch": 1}, "unknown key 'epoch'; did you mean 'epochs'"),
    ],
)
def test_a_profile_that_cannot_be(init, said):
    with pytest.raises(ProfileError, match=said):
        tiny_study.profile({"study.init": init})
