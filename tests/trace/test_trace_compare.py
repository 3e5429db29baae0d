"""Two traces that differ in one thing: the first place is named, and what follows is not listed again."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cxrbench.errors import RecordError
from cxrbench.records import write_record
from cxrbench.trace.compare import Comparison, compare_traces
from cxrbench.trace.fingerprints import of_blocks, of_labels, of_pixels, of_texts, packed, unpacked
from cxrbench.trace.records import (
    LoadedTrace,
    Moments,
    Norms,
    PartTrace,
    PathTrace,
    PredictionEntry,
    StageEntry,
    StageTrace,
    StepTrace,
    Trace,
    read_trace,
    write_trace,
)
from cxrbench.trace.tolerances import EXACT, tolerance

CPU = {"type": "cpu", "name": "x86_64 AVX512", "threads": "1", "torch": "2.15.0"}
OTHER_CPU = {**CPU, "name": "x86_64 AVX2"}


def part(role: str, name: str, **changed: Any) -> PartTrace:
    images = 12
    random = np.random.default_rng(len(role) + len(name))
    pixels = changed.pop("pixels", random.integers(0, 255, (images, 4, 4), dtype=np.uint8))
    labels = changed.pop("labels", (np.arange(images) % 3 == 0).astype(np.float32)[:, None])
    ids = changed.pop("ids", [f"{role}-{name}-{i}" for i in range(images)])
    values: dict[str, Any] = {
        "role": role,
        "part": name,
        "fold": None,
        "images": len(ids),
        "patients": 6,
        "label_names": ("finding",),
        "positive": (int((labels == 1).sum()),),
        "negative": (int((labels == 0).sum()),),
        "unknown": (0,),
        "pixel_mean": float(pixels.mean() / 255),
        "pixel_sd": float(pixels.std() / 255),
        "ids": packed(of_texts(ids)),
        "labels": packed(of_labels(labels)),
        "pixels": packed(of_pixels(pixels)),
    }
    return PartTrace(**{**values, **changed})


def stage(run: str, parent: str | None, roles: tuple[str, ...], before: float, kept: float) -> StageEntry:
    trace = StageTrace(
        loaded={role: {"train": LoadedTrace(12, "labels", "pixels")} for role in roles},
        untrained={role: Moments(-0.3, 0.1) for role in roles},
        before=Norms(before, 0.3),
        steps=tuple(StepTrace(0.7 - i / 100, 1.5 - i / 50, 1e-4 * (i + 1)) for i in range(16)),
        after=Norms(kept + 1, 0.5),
        kept=Norms(kept, 0.4),
    )
    settings = {"precision": "float32", "epochs": "2"}
    return StageEntry(run, parent, 0, None, roles, settings, (592, 592), (0.6, 0.5), trace)


def prediction(scheme: str, run: str, name: str, trunk: float) -> PredictionEntry:
    reference = tuple(float(x) for x in np.linspace(-1, 1, 12))
    path = PathTrace(Norms(trunk, 0.4), Moments(0.03, 1.1), reference)
    return PredictionEntry(scheme, run, 0, None, name, 12, path, f"{scheme}{name}")


CONTROL, FINDINGS, BOTH = "init > covid", "init > findings", "init > findings > covid"
TRACE = Trace(
    profile="tiny",
    environment=CPU,
    settings={"image_size": "64"},
    target="covid",
    parts=tuple(part(r, p) for r in ("covid", "findings") for p in ("train", "validation", "test")),
    stages=(
        stage(CONTROL, None, ("covid",), 100.0, 101.0),
        stage(FINDINGS, None, ("findings",), 100.0, 102.0),
        stage(BOTH, FINDINGS, ("covid",), 102.0, 103.0),
    ),
    predictions=tuple(
        prediction(scheme, run, name, trunk)
        for scheme, run, trunk in (("control", CONTROL, 101.0), ("findings", BOTH, 103.0))
        for name in ("validation", "test")
    ),
)


def with_part(role: str, name: str, **changed: Any) -> Trace:
    parts = tuple(part(role, name, **changed) if (p.role, p.part) == (role, name) else p for p in TRACE.parts)
    return replace(TRACE, parts=parts)


def with_entry(run: str, **changed: Any) -> Trace:
    return replace(TRACE, stages=tuple(replace(e, **changed) if e.run == run else e for e in TRACE.stages))


def with_stage(run: str, **changed: Any) -> Trace:
    (entry,) = (e for e in TRACE.stages if e.run == run)
    return with_entry(run, trace=replace(entry.trace, **changed))


def with_step(run: str, step: int, **changed: Any) -> Trace:
    (entry,) = (e for e in TRACE.stages if e.run == run)
    steps = list(entry.trace.steps)
    steps[step] = replace(steps[step], **changed)
    return with_stage(run, steps=tuple(steps))


def with_loaded(run: str, images: int, labels: str, pixels: str) -> Trace:
    (entry,) = (e for e in TRACE.stages if e.run == run)
    return with_stage(run, loaded={r: {"train": LoadedTrace(images, labels, pixels)} for r in entry.roles})


def with_predictions(**changed: Any) -> Trace:
    return replace(TRACE, predictions=tuple(replace(p, **changed) for p in TRACE.predictions))


def with_path(**changed: Any) -> Trace:
    """Return the trace with a part of the path changed in every prediction."""
    entries = tuple(replace(p, path=replace(p.path, **changed)) for p in TRACE.predictions)
    return replace(TRACE, predictions=entries)


def first(comparison: Comparison) -> tuple[str, str, int | None]:
    parting = comparison.partings[0]
    return parting.kind, parting.where, parting.step


def test_a_trace_is_the_same_as_itself() -> None:
    comparison = compare_traces(TRACE, TRACE)
    assert (comparison.partings, comparison.following, comparison.notes) == ((), (), ())
    assert (comparison.same, comparison.exact) == (7, True)


def test_labels_that_differ_are_counted_and_what_is_trained_on_them_follows() -> None:
    labels = (np.arange(12) % 3 == 0).astype(np.float32)[:, None]
    labels[[1, 2]] = 1
    comparison = compare_traces(with_part("covid", "train", labels=labels), TRACE)
    (parting,) = comparison.partings
    assert (parting.kind, parting.where, parting.what) == (
        "labels",
        "role covid, train part",
        "labels of 2 of 12 images",
    )
    assert (parting.now, parting.before) == (
        "finding 6 positive, 6 negative",
        "finding 4 positive, 8 negative",
    )
    # Both stages that train covid, and all four predictions of their networks; not the findings stage.
    assert len(comparison.following) == 6
    assert comparison.same == 1


def test_pixels_of_the_test_part_touch_only_its_predictions() -> None:
    pixels = np.random.default_rng(99).integers(0, 255, (12, 4, 4), dtype=np.uint8)
    comparison = compare_traces(with_part("covid", "test", pixels=pixels), TRACE)
    (parting,) = comparison.partings
    assert (parting.kind, parting.what) == ("pixels", "pixels of 12 of 12 images")
    assert len(comparison.following) == 2
    assert comparison.same == 5


def test_a_part_of_a_role_that_is_not_trained_on_leaves_stages_alone() -> None:
    comparison = compare_traces(with_part("findings", "test", ids=[f"other {i}" for i in range(12)]), TRACE)
    assert [p.kind for p in comparison.partings] == ["images"]
    assert comparison.following == ()


def test_other_patients_with_the_same_number_of_images_look_like_a_split_by_image() -> None:
    ids = [f"covid-train-{i}" for i in range(6)] + [f"covid-test-{i}" for i in range(6)]
    comparison = compare_traces(with_part("covid", "train", ids=ids, patients=9), TRACE)
    assert "by image" in comparison.partings[0].usually


@pytest.mark.parametrize(
    ("now", "kind", "step"),
    [
        (with_step(FINDINGS, 0, loss=0.72), "training", 0),
        (with_step(FINDINGS, 2, loss=0.8), "training", 2),
        (with_step(FINDINGS, 0, gradient_norm=1.6), "training", 0),
        (with_step(FINDINGS, 9, learning_rate=2e-3), "training", 9),
        (with_stage(FINDINGS, before=Norms(100.1, 0.3)), "start", None),
        (with_stage(FINDINGS, before=Norms(100.0, 0.5)), "start", None),
        (with_stage(FINDINGS, untrained={"findings": Moments(-0.29, 0.1)}), "start", None),
        (with_stage(FINDINGS, untrained={"findings": Moments(-0.3, 0.2)}), "start", None),
        (with_entry(FINDINGS, epoch_images=(576, 576)), "training", None),
        (with_loaded(FINDINGS, 12, "others", "pixels"), "labels", None),
        (with_loaded(FINDINGS, 12, "labels", "others"), "pixels", None),
        (with_loaded(FINDINGS, 11, "labels", "pixels"), "images", None),
    ],
)
@pytest.mark.parametrize("environment", [CPU, OTHER_CPU])
def test_the_first_place_is_named_whatever_the_machine(
    now: Trace, kind: str, step: int | None, environment: dict[str, str]
) -> None:
    comparison = compare_traces(replace(now, environment=environment), TRACE)
    assert comparison.partings[0].where.startswith(f"stage {FINDINGS!r}, seed 0")
    assert first(comparison)[::2] == (kind, step)
    assert len(comparison.partings) == 1
    # The child stage and its two predictions follow; control is compared and the same.
    assert len(comparison.following) == 3


@pytest.mark.parametrize(
    "now",
    [
        with_step(FINDINGS, 0, loss=0.7 * (1 + 2e-7)),
        with_step(FINDINGS, 12, loss=0.61),
        with_entry(FINDINGS, epoch_losses=(0.61, 0.52)),
        with_stage(FINDINGS, after=Norms(103.01, 0.5)),
    ],
)
def test_rounding_of_another_machine_is_no_parting_and_on_the_same_machine_is(now: Trace) -> None:
    elsewhere = compare_traces(replace(now, environment=OTHER_CPU), TRACE)
    assert elsewhere.partings == ()
    assert len(elsewhere.notes) == 1
    assert first(compare_traces(now, TRACE))[:2] == ("training", f"stage {FINDINGS!r}, seed 0")


def in_precision(trace: Trace, precision: str, environment: dict[str, str]) -> Trace:
    entries = (replace(e, settings={**e.settings, "precision": precision}) for e in trace.stages)
    return replace(trace, stages=tuple(entries), environment=environment)


def test_a_gpu_is_not_asked_for_the_same_bits_twice() -> None:
    gpu = {**CPU, "type": "cuda"}
    now = replace(with_step(CONTROL, 0, loss=0.7 * (1 + 1e-6)), environment=gpu)
    comparison = compare_traces(now, replace(TRACE, environment=gpu))
    assert (comparison.partings, comparison.exact) == ((), False)


def test_half_precision_is_rounded_more() -> None:
    now = with_step(CONTROL, 0, loss=0.7 * (1 + 5e-3))
    found = {
        precision: compare_traces(
            in_precision(now, precision, OTHER_CPU), in_precision(TRACE, precision, CPU)
        ).partings
        for precision in ("float32", "bfloat16")
    }
    assert found["bfloat16"] == ()
    assert [parting.what for parting in found["float32"]] == ["loss"]


@pytest.mark.parametrize("value", [float("inf")])
def test_what_is_not_finite_cannot_be_recorded(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        StepTrace(value, 1.0, 1e-4)


@pytest.mark.parametrize("environment", [CPU, OTHER_CPU])
def test_a_trunk_that_was_not_handed_on_is_seen_on_any_machine(environment: dict[str, str]) -> None:
    # The norm is near the baseline's, so only the study's own parent gives it away.
    now = replace(with_stage(BOTH, before=Norms(102.0001, 0.3)), environment=environment)
    comparison = compare_traces(now, TRACE)
    assert first(comparison) == ("start", f"stage {BOTH!r}, seed 0", None)
    assert "parent" in comparison.partings[0].what


SHIFTED = tuple(x + 0.1 for x in TRACE.predictions[0].path.reference)


@pytest.mark.parametrize("environment", [CPU, OTHER_CPU])
@pytest.mark.parametrize(
    "now",
    [
        with_path(network=Norms(99.0, 0.4)),
        with_path(inputs=Moments(0.49, 1.1)),
        with_path(inputs=Moments(0.03, 0.25)),
        with_path(reference=SHIFTED),
        with_path(reference=()),
        with_predictions(images=11),
    ],
)
def test_a_fault_of_the_prediction_path_is_named_once(now: Trace, environment: dict[str, str]) -> None:
    comparison = compare_traces(replace(now, environment=environment), TRACE)
    assert [p.kind for p in comparison.partings] == ["prediction"]
    assert len(comparison.following) == 3


def test_heads_of_another_checkpoint_are_seen() -> None:
    trunks = {p.run: p.path.network.trunk for p in TRACE.predictions}
    entries = tuple(
        replace(p, path=replace(p.path, network=Norms(trunks[p.run], 0.41))) for p in TRACE.predictions
    )
    comparison = compare_traces(replace(TRACE, predictions=entries), TRACE)
    assert "heads" in comparison.partings[0].what


OWN_TEST = replace(prediction("", FINDINGS, "own/findings", 102.0), images=12)


@pytest.mark.parametrize(
    ("changed", "kind", "what"),
    [
        ({"scores": "other"}, "prediction", "digest of the scores"),
        ({"images": 11}, "prediction", "images"),
        ({"path": replace(OWN_TEST.path, network=Norms(99.0, 0.4))}, "prediction", "norm of the trunk that"),
        ({"path": replace(OWN_TEST.path, inputs=Moments(0.49, 1.1))}, "prediction", "mean of the inputs"),
    ],
)
def test_a_role_s_own_test_is_compared_like_the_target_s(changed: Any, kind: str, what: str) -> None:
    before = replace(TRACE, predictions=(*TRACE.predictions, OWN_TEST))
    now = replace(TRACE, predictions=(*TRACE.predictions, replace(OWN_TEST, **changed)))
    assert compare_traces(before, before).same == 8
    (parting,) = compare_traces(now, before).partings
    assert parting.kind == kind
    assert parting.where == f"predictions of {FINDINGS!r} on its role's own test part, seed 0"
    assert parting.what.startswith(what)


def test_other_images_of_a_role_s_own_test_part_touch_only_that_test() -> None:
    own = {"predictions": (*TRACE.predictions, OWN_TEST)}
    pixels = np.random.default_rng(99).integers(0, 255, (12, 4, 4), dtype=np.uint8)
    now, before = replace(with_part("findings", "test", pixels=pixels), **own), replace(TRACE, **own)
    comparison = compare_traces(now, before)
    assert [(p.kind, p.where) for p in comparison.partings] == [("pixels", "role findings, test part")]
    assert (len(comparison.following), comparison.same) == (1, 7)


def test_scores_that_change_by_themselves_are_seen_on_the_same_machine() -> None:
    comparison = compare_traces(with_predictions(scores="other"), TRACE)
    assert comparison.partings[0].what == "digest of the scores"


def test_settings_of_the_study_are_named_and_all_else_follows() -> None:
    comparison = compare_traces(replace(TRACE, settings={"image_size": "48", "network": "resnet18"}), TRACE)
    assert [(p.what, p.now, p.before) for p in comparison.partings] == [
        ("image_size", "48", "64"),
        ("network", "resnet18", "none"),
    ]
    assert comparison.same == 0


def test_another_seed_or_scheme_is_noted_and_no_parting() -> None:
    now = replace(TRACE, stages=TRACE.stages[:1], predictions=TRACE.predictions[:2])
    comparison = compare_traces(now, TRACE)
    assert comparison.partings == ()
    assert comparison.same == 3
    assert len(comparison.notes) == 2


def test_partings_can_be_allowed_by_kind() -> None:
    comparison = compare_traces(with_path(inputs=Moments(0.49, 1.1)), TRACE)
    assert comparison.changed() == comparison.partings
    assert comparison.changed(["prediction"]) == ()
    assert comparison.changed(["labels"]) == comparison.partings


def test_two_faults_in_two_places_are_both_named() -> None:
    labels = np.ones((12, 1), dtype=np.float32)
    now = replace(with_part("covid", "train", labels=labels), stages=with_step(FINDINGS, 0, loss=9.0).stages)
    assert [p.kind for p in compare_traces(now, TRACE).partings] == ["labels", "training"]


def test_a_trace_is_written_and_read_to_the_last_bit_and_refused_when_changed(tmp_path: Path) -> None:
    path = tmp_path / "trace.json"
    write_trace(TRACE, path)
    assert read_trace(path) == TRACE
    path.write_text(path.read_text().replace("0.7", "0.8", 1))
    with pytest.raises(RecordError):
        read_trace(path)


def test_a_trace_of_the_format_before_is_refused_by_name(tmp_path: Path) -> None:
    write_record(tmp_path / "trace.json", TRACE, 1)
    with pytest.raises(RecordError, match="has format 1; this version reads 2"):
        read_trace(tmp_path / "trace.json")


@given(st.lists(st.integers(0, 2**32 - 1), max_size=50))
def test_fingerprints_come_back(values: list[int]) -> None:
    assert unpacked(packed(np.array(values, dtype=np.uint32)), np.uint32).tolist() == values


@given(st.integers(1, 9), st.lists(st.integers(0, 255), min_size=8, max_size=64))
@example(size=2, values=[255] * 11 + [254])
def test_pixels_are_the_same_in_blocks_of_any_size(size: int, values: list[int]) -> None:
    pixels = np.array(values[: len(values) // 4 * 4], dtype=np.uint8).reshape(-1, 2, 2)
    prints, mean, sd = of_blocks(pixels[i : i + size] for i in range(0, len(pixels), size))
    assert prints.tolist() == of_pixels(pixels).tolist()
    assert mean == pytest.approx((pixels / 255).mean(), abs=1e-14)
    assert sd == pytest.approx((pixels / 255).std(), abs=1e-14)


def test_more_images_than_a_block_keep_their_order_and_need_not_lie_together() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (300, 4, 6), dtype=np.uint8)
    expected = [zlib.crc32(image.tobytes()) for image in pixels]
    assert of_pixels(pixels).tolist() == expected
    assert of_pixels(pixels[:, :, ::2]).tolist() == [zlib.crc32(i[:, ::2].tobytes()) for i in pixels]


def test_every_label_has_its_own_fingerprint() -> None:
    labels = np.array([[0, 1, np.nan, 0.55]], dtype=np.float32)
    assert of_labels(labels).tolist() == [[0, 200, 255, 110]]


@pytest.mark.parametrize("text", ["!", "AAAA", "eJwDAAAAAAE"])
def test_damaged_fingerprints_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        unpacked(text, np.uint32)


def test_the_same_bits_are_asked_for_where_they_are_promised():
    cpu, gpu = {"type": "cpu", "name": "AVX2"}, {"type": "cuda", "name": "H100"}
    same = {**gpu, "deterministic": "yes"}
    float32 = frozenset({"float32"})
    assert tolerance(cpu, cpu, float32) is tolerance(same, same, float32) is EXACT
    for now, before in ((gpu, gpu), (same, gpu), (cpu, same)):
        assert tolerance(now, before, float32) is not EXACT


def test_a_test_of_its_own_that_a_role_no_longer_has_is_noted() -> None:
    before = replace(TRACE, predictions=(*TRACE.predictions, OWN_TEST))
    parts = tuple(p for p in TRACE.parts if (p.role, p.part) != ("findings", "test"))
    comparison = compare_traces(replace(TRACE, parts=parts), before)
    assert comparison.partings == ()
    lost, unpredicted = comparison.notes
    assert lost == "role findings, test part is only in the baseline"
    assert "own test part" in unpredicted
    assert unpredicted.endswith("is only in the baseline")
    assert len(compare_traces(before, replace(TRACE, parts=parts)).notes) == 2
