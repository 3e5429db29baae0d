"""How faults are planted: into the target's images and labels, the network, or the training.

Nothing here reads or writes a file, and no input is changed in place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from cxrbench.training.augment import augment
from cxrbench.training.config import Augmentation
from cxrbench.training.data import LabelledImages
from cxrbench.training.network import Network
from cxrbench.training.selection import BestValidationAuc
from cxrbench.training.steps import shuffled

TRAINED = ("train", "validation")


@dataclass(frozen=True)
class TargetData:
    """The target's images by part, as a fault finds or leaves them.

    parts: "train", "validation" and "test" -> images with labels.
    patients, ids: part -> (n,) the patient and the id of each image.
    applied: what the fault really changed, in words; empty where it changed no data.
    leaked: positions in the test part of the images that were put into the training part as well.
    """

    parts: Mapping[str, LabelledImages]
    patients: Mapping[str, npt.NDArray[np.object_]]
    ids: Mapping[str, npt.NDArray[np.object_]]
    applied: str = ""
    leaked: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class FirstEpoch(BestValidationAuc):
    """Keeps the first epoch, whatever its AUC."""

    def score(self, aucs: Mapping[str, float]) -> float:  # noqa: ARG002
        """Return the same for every epoch."""
        return 0.0


@dataclass(frozen=True)
class LastEpoch(BestValidationAuc):
    """Keeps the last epoch, whatever its AUC."""

    epochs: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def score(self, aucs: Mapping[str, float]) -> float:  # noqa: ARG002
        """Return more for every epoch than for the one before."""
        return next(self.epochs) / 1000


def unchanged(data: TargetData, random: np.random.Generator) -> TargetData:  # noqa: ARG001
    """Return ``data`` as it is."""
    return data


def third_inverted(
    data: TargetData, random: np.random.Generator, parts: Sequence[str] = (*TRAINED, "test")
) -> TargetData:
    """Return ``data`` with the pixels of a third of the images inverted (255 - x), as in MONOCHROME1.

    Whole patients are drawn, in every part for itself, until a third of the part's images is reached: a
    scanner's convention goes with the film, not with the part that it later falls into.
    """
    inverted, counts = dict(data.parts), []
    for name in parts:
        images = data.parts[name]
        chosen = _whole_patients(data.patients[name], 1 / 3, random)
        pixels = np.where(chosen[:, None, None], 255 - images.pixels, images.pixels).astype(np.uint8)
        inverted[name] = LabelledImages(pixels, images.labels)
        counts.append(f"{chosen.sum()} of {len(images)} {name}")
    return replace(data, parts=inverted, applied=f"{', '.join(counts)} images inverted")


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
    moved = f"{changed.sum()} changed ({in_train.sum()} in training)"
    return replace(
        data,
        parts={**data.parts, **parts},
        applied=f"{len(chosen)} of {len(labels)} labels permuted, {moved}",
    )


def leaked_into_training(data: TargetData, random: np.random.Generator, share: float) -> TargetData:
    """Return ``data`` with a random ``share`` of the test images, with their labels, trained on as well."""
    train, test = data.parts["train"], data.parts["test"]
    leaked = np.sort(random.choice(len(test), round(share * len(test)), replace=False)).astype(np.int64)
    more = LabelledImages(
        np.concatenate([train.pixels, test.pixels[leaked]]),
        np.concatenate([train.labels, test.labels[leaked]]),
    )
    return replace(
        data,
        parts={**data.parts, "train": more},
        patients=_joined(data.patients, leaked, "test"),
        ids=_joined(data.ids, leaked, "test"),
        applied=f"{len(leaked)} of {len(test)} test images among {len(more)} training images",
        leaked=leaked,
    )


def one_patient_reversed(data: TargetData, random: np.random.Generator) -> TargetData:
    """Return ``data`` with the labels of one training patient reversed, one with the most images."""
    train, patients = data.parts["train"], data.patients["train"].astype(str)
    names, counts = np.unique(patients, return_counts=True)
    chosen = patients == random.choice(names[counts == counts.max()])
    labels = np.where(chosen[:, None], 1 - train.labels, train.labels).astype(np.float32)
    return replace(
        data,
        parts={**data.parts, "train": LabelledImages(train.pixels, labels)},
        applied=f"labels of {chosen.sum()} of {len(train)} training images reversed",
    )


def validation_trained_on(data: TargetData, random: np.random.Generator) -> TargetData:  # noqa: ARG001
    """Return ``data`` with the validation images trained on as well."""
    train, validation = data.parts["train"], data.parts["validation"]
    every = np.arange(len(validation))
    return replace(
        data,
        parts={
            **data.parts,
            "train": LabelledImages(
                np.concatenate([train.pixels, validation.pixels]),
                np.concatenate([train.labels, validation.labels]),
            ),
        },
        patients=_joined(data.patients, every, "validation"),
        ids=_joined(data.ids, every, "validation"),
        applied=f"{len(validation)} validation images among {len(train) + len(validation)} training images",
    )


def split_by_image(data: TargetData, random: np.random.Generator) -> TargetData:
    """Return ``data`` split again into parts of the same sizes, by image and not by patient."""
    sizes = [len(images) for images in data.parts.values()]
    pixels = np.concatenate([images.pixels for images in data.parts.values()])
    labels = np.concatenate([images.labels for images in data.parts.values()])
    places = np.split(random.permutation(len(pixels)), np.cumsum(sizes)[:-1])
    rows = {name: np.sort(place) for name, place in zip(data.parts, places, strict=True)}
    patients, ids = (np.concatenate(list(parts.values())) for parts in (data.patients, data.ids))
    return replace(
        data,
        parts={name: LabelledImages(pixels[row], labels[row]) for name, row in rows.items()},
        patients={name: patients[row] for name, row in rows.items()},
        ids={name: ids[row] for name, row in rows.items()},
        applied=f"{sum(sizes)} images split by image",
    )


def with_resized_tests(data: TargetData, random: np.random.Generator) -> TargetData:  # noqa: ARG001
    """Return ``data`` with the test images enlarged half as much again and reduced by another filter."""
    test = data.parts["test"]
    pixels = torch.from_numpy(np.array(test.pixels))[:, None].float()
    enlarged = F.interpolate(pixels, scale_factor=1.5, mode="bicubic", align_corners=False)
    reduced = F.interpolate(enlarged, size=pixels.shape[-2:], mode="nearest")
    resized = reduced[:, 0].round().clamp(0, 255).to(torch.uint8).numpy()
    return replace(
        data,
        parts={**data.parts, "test": LabelledImages(resized, test.labels)},
        applied=f"{len(test)} test images resized",
    )


def unmasked_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean binary cross-entropy over all labels, taking those that are not known for negative."""
    return F.binary_cross_entropy_with_logits(logits, torch.nan_to_num(labels))


def without_last_batch(count: int, batch: int, generator: torch.Generator) -> Tensor:
    """Return an epoch's order without its last whole batch."""
    order = shuffled(count, batch, generator)
    return order[: max(batch, (count // batch - 1) * batch)]


def augmented_twice(images: Tensor, settings: Augmentation, draws: Tensor) -> Tensor:
    """Augment a batch twice, the second time with the draws of its other images."""
    return augment(augment(images, settings, draws), settings, draws.roll(1, 0))


def head_kept(network: Network) -> None:
    """Make the heads of ``network`` keep the constructor's parameters: a stage cannot reset them."""

    def keep(role: str, prevalence: Sequence[float], seed: int) -> None:
        """Do nothing."""

    network.reset_head = keep  # type: ignore[method-assign]


def unchanged_network(network: Network) -> None:
    """Leave ``network`` as it is."""


def channels_reversed(network: Network) -> None:
    """Make ``network`` normalise the channels in reverse order, as if they came as blue, green, red."""
    network.mean.copy_(network.mean.flip(1))
    network.std.copy_(network.std.flip(1))


def left_in_training_mode(network: Network) -> None:
    """Make ``network`` stay in training mode: it cannot be put into evaluation mode."""
    network.train()
    network.eval = lambda: network  # type: ignore[method-assign]


def without_normalisation(network: Network) -> None:
    """Make ``network`` take images in [0, 1] as they are: mean 0, standard deviation 1."""
    network.mean.zero_()
    network.std.fill_(1.0)


def _joined(
    columns: Mapping[str, npt.NDArray[np.object_]], rows: npt.NDArray[np.int64], part: str
) -> dict[str, npt.NDArray[np.object_]]:
    """Return ``columns`` with ``rows`` of ``part`` behind those of the training part."""
    return {**columns, "train": np.concatenate([columns["train"], columns[part][rows]])}


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
