"""A stage is trained again where anything changes that it depends on, and so is every stage after it."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from cxrbench.files import digest
from cxrbench.schemes import make_plan
from cxrbench.study import stages
from cxrbench.study.graph import Graph
from cxrbench.study.prepare import prepare
from cxrbench.study.profile import InitSettings
from cxrbench.study.progress import Silent
from cxrbench.study.stages import depends_on, make_stage
from cxrbench.training.checkpoints import StageFolder

DEVICE = {"type": "cpu", "name": "x86_64 AVX2", "threads": 2}
POOLED = "pooled=init > findings + covid"


@pytest.fixture(scope="module")
def prepared(tiny):
    (made,) = prepare(tiny.profile, frozenset({"covid", "findings"}), tiny.out, None, Silent())
    return made


@pytest.fixture(scope="module")
def plan(tiny_profile):
    return make_plan(tiny_profile.select(("control", "findings", POOLED)))


@pytest.fixture
def asked(tiny_profile, prepared, plan):
    """What the key of ``init > covid`` is asked for with."""
    return {
        "profile": tiny_profile,
        "run": plan.final["control"],
        "prepared": prepared,
        "seed": 0,
        "device": DEVICE,
        "parent": "the identity of the initial parameters",
    }


def of_role(asked, **changes):
    """``asked`` with the target's data changed."""
    covid = replace(asked["prepared"].roles["covid"], **changes)
    return {**asked, "prepared": replace(asked["prepared"], roles={"covid": covid})}


def of_pack(asked, **changes):
    return of_role(asked, pack=replace(asked["prepared"].roles["covid"].pack, **changes))


def of_profile(asked, **changes):
    return {**asked, "profile": replace(asked["profile"], **changes)}


def without(asked, part):
    """``asked`` without the first image of a part of the target."""
    role = asked["prepared"].roles["covid"]
    return of_role(asked, parts={**role.parts, part: role.rows(part)[1:]})


CHANGES = {
    "run": lambda asked, plan: {**asked, "run": plan.final["findings"]},
    "parent": lambda asked, _: {**asked, "parent": "another"},
    "seed": lambda asked, _: {**asked, "seed": 1},
    "network": lambda asked, _: of_profile(asked, network="resnet18"),
    "size": lambda asked, _: of_profile(asked, image_size=64),
    "config": lambda asked, _: of_profile(
        asked, default_stage=replace(asked["profile"].default_stage, epochs=2)
    ),
    "target": lambda asked, _: of_profile(asked, target="findings"),
    "data: content": lambda asked, _: of_pack(asked, content="0" * 64),
    "data: labels": lambda asked, _: of_pack(asked, labels=("Pneumonia",)),
    "data: train": lambda asked, _: without(asked, "train"),
    "data: validation": lambda asked, _: without(asked, "validation"),
    "device: name": lambda asked, _: {**asked, "device": {**DEVICE, "name": "x86_64 AVX512"}},
    "device: threads": lambda asked, _: {**asked, "device": {**DEVICE, "threads": 1}},
}
PATCHED = {
    "format": ("FORMAT", 0),
    "code": ("training_source", lambda: "0" * 64),
    "versions: torch": ("versions", lambda: {"torch": "0", "torchvision": "1"}),
    "versions: torchvision": ("versions", lambda: {"torch": "1", "torchvision": "0"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_of_what_a_stage_depends_on_changes_its_key(what, asked, plan):
    changed = depends_on(**CHANGES[what](asked, plan))
    before = depends_on(**asked)
    assert digest(changed) != digest(before)
    assert [name for name in before if changed[name] != before[name]] == [what.partition(":")[0]]


@pytest.mark.parametrize("what", PATCHED)
def test_a_change_of_code_or_versions_changes_the_key(what, asked, monkeypatch):
    monkeypatch.setattr(stages, "versions", lambda: {"torch": "1", "torchvision": "1"})
    before = depends_on(**asked)
    monkeypatch.setattr(stages, *PATCHED[what])
    changed = depends_on(**asked)
    assert digest(changed) != digest(before)
    assert [name for name in before if changed[name] != before[name]] == [what.partition(":")[0]]


def test_every_part_of_the_key_is_tried(asked):
    assert {what.partition(":")[0] for what in (*CHANGES, *PATCHED)} == set(depends_on(**asked))


def keys(profile, plan, prepared, tmp_path):
    graph = Graph(profile, plan, [prepared], DEVICE, 1, tmp_path / "stages", tmp_path, Silent())
    return {str(run): folder.key for run, folder in graph.turns[0].folders.items()}


def test_a_stage_follows_the_one_that_it_starts_from(tiny_profile, plan, prepared, tmp_path):
    findings = plan.final["findings"].parent.stage
    other = replace(
        tiny_profile,
        stages=MappingProxyType({findings: replace(tiny_profile.default_stage, learning_rate=1e-5)}),
    )
    before, after = (keys(profile, plan, prepared, tmp_path) for profile in (tiny_profile, other))
    assert {run for run in before if before[run] != after[run]} == {
        "init > findings",
        "init > findings > covid",
    }


def test_the_first_stages_follow_the_initial_parameters(tiny_profile, plan, prepared, tmp_path):
    weights = tmp_path / "weights.safetensors"
    from_file = replace(tiny_profile, init=InitSettings("file", str(weights)))
    random = keys(tiny_profile, plan, prepared, tmp_path)
    weights.write_bytes(b"some")
    some = keys(from_file, plan, prepared, tmp_path)
    weights.write_bytes(b"others")
    others = keys(from_file, plan, prepared, tmp_path)
    for run in random:
        assert len({random[run], some[run], others[run]}) == 3


@pytest.mark.parametrize("scheme", ["control", "pooled"])
def test_a_stage_is_selected_by_the_target(tiny_profile, plan, prepared, tmp_path, scheme):
    run = plan.final[scheme]
    stage = make_stage(tiny_profile, run, prepared, 0, StageFolder(tmp_path, "key"), None)
    aucs = dict.fromkeys(run.stage.roles, 0.9) | {"covid": 0.4}
    assert stage.selection.score(aucs) == 0.4
    other = make_stage(
        replace(tiny_profile, target="findings"),
        plan.final["pooled"],
        prepared,
        0,
        StageFolder(tmp_path, "key"),
        None,
    )
    assert other.selection.score({"findings": 0.9, "covid": 0.4}) == 0.9
