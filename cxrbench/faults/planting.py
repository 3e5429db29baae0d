"""How faults are planted: into the target's images and labels, the network, or the training.

Nothing here reads or writes a file, and no input is changed in place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cxrbench.training.augment import augment
from cxrbench.training.config import Augmentation
from cxrbench.training.data import LabelledImages
from cxrbench.training.network import Network

TRAINED = ("train", "validation")


@dataclass(frozen=True)
class TargetData:
    """The target's images by part, as a fault finds or leaves them.

    parts: "train", "validation" and "test" -> images with labels.
    patients: part -> (n,) the patient of each image.
    applied: what the fault really changed, in words; empty where it changed no data.
    leaked: positions in the test part of the images that were put into the training part as well.
    """

    parts: Mapping[str, LabelledImages]
    patients: Mapping[str, npt.NDArray[np.object_]]
    applied: str = ""
    leaked: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


def unchanged(data: TargetData, random: np.random.Generator) -> TargetData:  # noqa: ARG001
    """Return ``data`` as it is."""
    return data


def third_inverted(data: TargetData, random: np.random.Generator) -> TargetData:
    """Return ``data`` with the pixels of a third of the images inverted (255 - x), as in MONOCHROME1.

    Whole patients are drawn, in every part for itself, until a third of the part's images is reached: a
    scanner's convention goes with the film, not with the part that it later falls into.
    """
    parts, told = {}, []
    for name, images in data.parts.items():
        chosen = _whole_patients(data.patients[name], 1 / 3, random)
        pixels = np.where(chosen[:, None, None], 255 - images.pixels, images.pixels).astype(np.uint8)
        parts[name] = LabelledImages(pixels, images.labels)
        told.append(f"{chosen.sum()} of {len(images)} {name}")
    return replace(data, parts=parts, applied=f"{', '.join(told)} images inverted")


def labels_shuffled(data: TargetData, random: np.random.Generator, share: float) -> TargetData:
    """Return ``data`` with the labels of a random ``share`` of what is trained on permuted among themselves.

    Drawn from training and validation images together. Most of them get the label that they had, the more so
    the less common the other one is; ``applied`` says how many really changed.
    """
    images = [data.parts[part] for part in TRAINED]
    labels = np.concatenate([part.labels for part in images])
    chosen = random.choice(len(labels), round(share * len(labels)), replace=False)
    shuffled = labels.copy()
    shuffled[chosen] = labels[random.permutation(chosen)]
    same = (shuffled == labels) | (np.isnan(shuffled) & np.isnan(labels))
    split = np.split(shuffled, [len(images[0])])
    parts = {
        name: LabelledImages(part.pixels, part_labels)
        for name, part, part_labels in zip(TRAINED, images, split, strict=True)
    }
    changed = (~same).any(axis=1)
    in_train = changed[: len(images[0])]
    told = f"{changed.sum()} changed ({in_train.sum()} in training)"
    return replace(
        data,
        parts={**data.parts, **parts},
        applied=f"{len(chosen)} of {len(labels)} labels permuted, {told}",
    )


def leaked_into_training(data: TargetData, random: np.random.Generator, share: float) -> TargetData:
    """Return ``data`` with a random ``share`` of the test images, with their labels, trained on as well."""
    train, test = data.parts["train"], data.parts["test"]
    leaked = np.sort(random.choice(len(test), round(share * len(test)), replace=False)).astype(np.int64)
    more = LabelledImages(
        np.concatenate([train.pixels, test.pixels[leaked]]),
        np.concatenate([train.labels, test.labels[leaked]]),
    )
    patients = np.concatenate([data.patients["train"], data.patients["test"][leaked]])
    return replace(
        data,
        parts={**data.parts, "train": more},
        patients={**data.patients, "train": patients},
        applied=f"{len(leaked)} of {len(test)} test images among {len(more)} training images",
        leaked=leaked,
    )


def augmented_twice(images: Tensor, settings: Augmentation, generator: torch.Generator) -> Tensor:
    """Augment a batch twice."""
    return augment(augment(images, settings, generator), settings, generator)


def head_kept(network: Network) -> None:
    """Make the heads of ``network`` keep the constructor's parameters: a stage cannot reset them."""

    def keep(role: str, prevalence: Sequence[float], seed: int) -> None:
        """Do nothing."""

    network.reset_head = keep  # type: ignore[method-assign]


def unchanged_network(network: Network) -> None:
    """Leave ``network`` as it is."""


def without_normalisation(network: Network) -> None:
    """Make ``network`` take images in [0, 1] as they are: mean 0, standard deviation 1."""
    network.mean.zero_()
    network.std.fill_(1.0)


def _whole_patients(
    patients: npt.NDArray[np.object_], share: float, random: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """Return which images belong to randomly drawn patients who have about ``share`` of all images."""
    names, codes, counts = np.unique(patients.astype(str), return_inverse=True, return_counts=True)
    order = random.permutation(len(names))
    reached = np.cumsum(counts[order])
    # The patient who crosses the share is in where that comes nearer to it.
    taken = order[reached - counts[order] / 2 <= share * len(patients)]
    chosen: npt.NDArray[np.bool_] = np.isin(codes, taken)
    return chosen
