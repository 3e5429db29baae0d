"""The first stage of a plan whose trunks start from formula-driven pictures, as the paper's from ImageNet.

It is trained once for every seed and scheme, on pictures of iterated function systems
(:mod:`cxrbench.datasets.fractals`), and lies in the store under a key of its own: network, image size, recipe
and its own seed, not the study's. It is an ordinary stage, with the ordinary record and trace.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from cxrbench.cohort.pack import pack
from cxrbench.datasets.fractals import fractals
from cxrbench.schemes import INIT
from cxrbench.study.prepare import PackedImages
from cxrbench.study.profile import Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.study.stages import FORMAT, Stage, training_source, versions
from cxrbench.training.checkpoints import StageFolder
from cxrbench.training.initial import Initial
from cxrbench.training.networks import architecture
from cxrbench.training.selection import BestValidationAuc

PICTURES = "fractals"
"""What plays the role in this stage."""
HELD_OUT = 4
"""Further pictures of each class, which choose the epoch."""


def formula_stage(
    profile: Profile,
    store: Path,
    device: Mapping[str, str | int],
    progress: StudyProgress,
    processes: int = 1,
) -> Stage | None:
    """Return the stage that makes the initial parameters of ``profile``; None where none does.

    Its pictures are drawn and packed where they are not in the store yet.

    Parameters
    ----------
    store: the folder of packs and checkpoints. device: by what bits depend on. processes: how many stages are
    trained at a time.

    Raises
    ------
    CohortError: the store cannot be written.
    """
    init = profile.init
    if init.kind != "formula":
        return None
    seed = init.seed or 0
    cohort = fractals(init.classes, init.each + HELD_OUT, seed)
    with progress.task("drawing the formula's pictures", len(cohort)) as step:
        packed = pack(cohort, profile.image_size, store / "packs", progress=step, say=progress.say)
    # The pictures go by their number, and under one number by their class.
    rows = np.arange(len(packed), dtype=np.int64)
    labels = packed.table[list(packed.labels)].to_numpy(dtype=np.float32)
    first = init.classes * init.each
    parts = {
        name: {PICTURES: PackedImages(packed.directory / "pixels.npy", rows[part], labels[part])}
        for name, part in (("train", slice(first)), ("validation", slice(first, None)))
    }
    content = {
        "format": FORMAT,
        "run": INIT,
        "seed": seed,
        "network": architecture(profile.network).identity,
        "size": profile.image_size,
        "config": asdict(init.config),
        "pictures": packed.content,
        "held out": HELD_OUT,
        "code": training_source(),
        "versions": {name: versions()[name] for name in ("torch", "torchvision")},
        "device": dict(device),
    }
    return Stage(
        name=INIT,
        folder=StageFolder.of(store / "stages", content),
        network=profile.network,
        outputs={PICTURES: init.classes},
        initial=Initial("random"),
        parent=None,
        train=parts["train"],
        validation=parts["validation"],
        config=init.config,
        selection=BestValidationAuc(PICTURES),
        seed=seed,
        processes=processes,
    )
