"""The trace of a study: from its prepared images, its trained stages and its predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from cxrbench.files import digest, plain
from cxrbench.schemes import INIT
from cxrbench.study.formula import PICTURES
from cxrbench.study.graph import Graph, Turn
from cxrbench.study.prepare import PackedImages, Prepared, RoleData
from cxrbench.study.stages import versions
from cxrbench.trace.fingerprints import UNKNOWN, of_blocks, of_labels, of_texts, packed
from cxrbench.trace.records import OWN, PartTrace, PredictionEntry, StageEntry, Trace
from cxrbench.training.config import StageConfig

PARTS = ("train", "validation", "test")

BLOCK = 256
"""How many images are read at a time: 13 MB at 224 px."""


def study_trace(graph: Graph) -> Trace:
    """Return the trace of a study whose ``graph`` is finished."""
    profile = graph.profile
    return Trace(
        profile=profile.name,
        environment=environment(graph.device),
        settings={"image_size": str(profile.image_size), "network": profile.network},
        target=profile.target,
        parts=tuple(_parts(graph)),
        stages=tuple(entry for turn in graph.turns for entry in _stages(graph, turn)),
        predictions=(
            *(entry for turn in graph.turns for entry in _predictions(graph, turn)),
            *_own_predictions(graph),
        ),
    )


def environment(device: Mapping[str, str | int]) -> dict[str, str]:
    """Return what bits depend on besides code and data: the device with its threads, and versions."""
    libraries = {name: versions()[name] for name in ("torch", "torchvision", "numpy")}
    return {**{key: str(value) for key, value in device.items()}, **libraries}


def _test_parts(prepared: Prepared) -> Iterator[PartTrace]:
    for name, data in sorted(prepared.tests.items()):
        yield _traced((name, "test", None), data)


def part_trace(prepared: Prepared, role: str, part: str, fold: int | None) -> PartTrace:
    """Return what is written down of one part of a role's images.

    Raises
    ------
    CohortError: the part is empty.
    """
    return _traced((role, part, fold), prepared.roles[role])


def _traced(which: tuple[str, str, int | None], data: RoleData) -> PartTrace:
    lying = data.packed(which[1])
    rows = data.pack.table.loc[lying.rows]
    ids, patients = (rows[column].astype(str).tolist() for column in ("image_id", "patient_id"))
    return images_trace(which, ids, patients, tuple(data.pack.labels), lying.labels, _blocks(lying))


def _blocks(lying: PackedImages) -> Iterator[npt.NDArray[np.uint8]]:
    for start in range(0, len(lying.rows), BLOCK):
        some = slice(start, start + BLOCK)
        yield replace(lying, rows=lying.rows[some], labels=lying.labels[some]).load().pixels


def images_trace(
    which: tuple[str, str, int | None],
    image_ids: Sequence[str],
    patients: Sequence[str],
    names: tuple[str, ...],
    known: npt.NDArray[np.float32],
    blocks: Iterable[npt.NDArray[np.uint8]],
) -> PartTrace:
    """Return what is written down of a part's images.

    which: their role, part and fold. names: of the labels. known: the labels, NaN where they are not.
    blocks: the pixels of all images, some images at a time.
    """
    role, part, fold = which
    labels = of_labels(known)
    pixels, mean, sd = of_blocks(blocks)
    unknown = (labels == UNKNOWN).sum(axis=0)
    positive = ((labels > 100) & (labels != UNKNOWN)).sum(axis=0)
    return PartTrace(
        role=role,
        part=part,
        fold=fold,
        images=len(labels),
        patients=len(set(patients)),
        label_names=names,
        positive=tuple(map(int, positive)),
        negative=tuple(map(int, len(labels) - positive - unknown)),
        unknown=tuple(map(int, unknown)),
        pixel_mean=mean,
        pixel_sd=sd,
        ids=packed(of_texts(image_ids)),
        labels=packed(labels),
        pixels=packed(pixels),
    )


def _parts(graph: Graph) -> Iterator[PartTrace]:
    first = graph.prepared[0]
    tested = {test.role for tests in graph.own_tests.values() for test in tests}
    for role in sorted(first.roles):
        # Only the target's parts differ from fold to fold.
        target = role == graph.profile.target
        for prepared in graph.prepared if target else (first,):
            for part in PARTS if target or role in tested else PARTS[:2]:
                yield part_trace(prepared, role, part, prepared.fold if target else None)
    yield from _test_parts(first)


def _stages(graph: Graph, turn: Turn) -> Iterator[StageEntry]:
    """Yield the stages of one seed and fold; those that folds share only in the first."""
    target, fold = graph.profile.target, turn.prepared.fold
    first = graph.initial
    if first is not None and turn.prepared is graph.prepared[0]:
        # Trained once, and every seed's first stages are its children.
        yield StageEntry(
            run=INIT,
            parent=None,
            seed=turn.seed,
            fold=None,
            roles=(PICTURES,),
            settings=_flat(graph.profile.init.config),
            epoch_images=tuple(epoch.images for epoch in first.history),
            epoch_losses=tuple(epoch.loss for epoch in first.history),
            trace=first.trace,
        )
    for run in graph.plan.runs:
        shared = target not in run.roles
        if shared and fold is not None and turn.prepared is not graph.prepared[0]:
            continue
        trained = graph.stage(turn, run)
        yield StageEntry(
            run=str(run),
            parent=str(run.parent) if run.parent else INIT if first else None,
            seed=turn.seed,
            fold=None if shared else fold,
            roles=tuple(sorted(run.stage.roles)),
            settings=_flat(graph.profile.stage_config(run.stage)),
            epoch_images=tuple(epoch.images for epoch in trained.history),
            epoch_losses=tuple(epoch.loss for epoch in trained.history),
            trace=trained.trace,
        )


def _flat(settings: StageConfig) -> dict[str, str]:
    config = plain(settings)
    assert isinstance(config, dict)
    return {
        f"{key}.{inner}" if inner else key: str(setting)
        for key, value in config.items()
        for inner, setting in (value.items() if isinstance(value, dict) else (("", value),))
    }


def _predictions(graph: Graph, turn: Turn) -> Iterator[PredictionEntry]:
    for scheme, predictions in turn.predictions.items():
        for part, file in predictions.kept().items():
            if file.trace is None:
                continue
            yield PredictionEntry(
                scheme=scheme,
                run=str(graph.plan.final[scheme]),
                seed=turn.seed,
                fold=turn.prepared.fold,
                part=part,
                images=file.images,
                path=file.trace,
                scores=file.sha256,
            )


def _own_predictions(graph: Graph) -> Iterator[PredictionEntry]:
    """Yield what supplemental roles' first stages predicted of their own test parts."""
    for seed, tests in graph.own_tests.items():
        for test in tests:
            files = test.kept()
            traces = [file.trace for file in files.values() if file.trace is not None]
            if not traces:
                continue
            # All labels were predicted at once.
            yield PredictionEntry(
                scheme="",
                run=test.run,
                seed=seed,
                fold=None,
                part=f"{OWN}{test.role}",
                images=sum(file.images for file in files.values()),
                path=traces[0],
                scores=digest({label: file.sha256 for label, file in files.items()}),
            )
