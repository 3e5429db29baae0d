"""The faults, as data: one line of the table each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from cxrbench.faults.planting import (
    TargetData,
    augmented_twice,
    channels_reversed,
    head_kept,
    labels_shuffled,
    leaked_into_training,
    left_in_training_mode,
    one_patient_reversed,
    split_by_image,
    third_inverted,
    unchanged,
    unchanged_network,
    unmasked_loss,
    validation_trained_on,
    with_resized_tests,
    without_last_batch,
    without_normalisation,
)
from cxrbench.training.network import Network
from cxrbench.training.steps import HONEST, Steps

Start = Literal["parent", "grandparent", "initial"]


@dataclass(frozen=True)
class Fault:
    """One fault in the target stage, or a control: every field's default is what the study does.

    name: used in the table, in keys and in the draws of ``data``.
    what: what is done, for a person to read.
    data: changes the target's images; draws from the generator that it is given.
    start: which parameters the stage starts from; "initial" are the study's initial ones.
    seed_shift: added to the training seed.
    network: changes the network that the stage starts with.
    steps: by what functions the stage takes its steps.
    path: changes a network before it predicts the test images.
    trains: False where the study's own network is tested.
    other_epoch: the parameters of another epoch than the kept one predict.
    scheme: the one that the fault is planted into; None for the study's choice.
    control: nothing is wrong, so nothing may be seen.
    """

    name: str
    what: str
    data: Callable[[TargetData, np.random.Generator], TargetData] = unchanged
    start: Start = "parent"
    seed_shift: int = 0
    network: Callable[[Network], None] = unchanged_network
    steps: Steps = HONEST
    path: Callable[[Network], None] = unchanged_network
    trains: bool = True
    other_epoch: bool = False
    scheme: str | None = None
    control: bool = False


SAME_SEED = Fault(
    "no fault, same seed", "the target stage is trained again, nothing is changed", control=True
)
OTHER_SEED = Fault(
    "no fault, another seed",
    "the target stage, and no other, is trained with seed + 1000",
    seed_shift=1000,
    control=True,
)
MONOCHROME1 = Fault(
    "MONOCHROME1 not inverted", "a third of the target's patients have inverted pixels", data=third_inverted
)
NO_NORMALISATION = Fault(
    "normalisation forgotten",
    "mean 0 and standard deviation 1 when the test images are predicted",
    path=without_normalisation,
    trains=False,
)
UNTRAINED = Fault(
    "wrong parent: untrained", "the target stage starts from the study's initial parameters", start="initial"
)

FAULTS = (
    SAME_SEED,
    OTHER_SEED,
    MONOCHROME1,
    Fault(
        "labels shuffled, 5%",
        "labels of a random 5% of training and validation images are permuted among themselves",
        data=partial(labels_shuffled, share=0.05),
    ),
    Fault(
        "labels shuffled, 10%",
        "labels of a random 10% of training and validation images are permuted among themselves",
        data=partial(labels_shuffled, share=0.10),
    ),
    NO_NORMALISATION,
    Fault("head not reset", "the target's head keeps the constructor's parameters", network=head_kept),
    Fault(
        "wrong parent: grandparent",
        "the target stage starts from the stage before its parent",
        start="grandparent",
    ),
    UNTRAINED,
    Fault(
        "augmentation twice", "every training batch is augmented twice", steps=Steps(augment=augmented_twice)
    ),
    Fault(
        "leak, 5%",
        "5% of the test images are trained on as well, put in behind the leak audit",
        data=partial(leaked_into_training, share=0.05),
    ),
    Fault(
        "test images resized by another filter",
        "test images are enlarged by half (bicubic) and reduced again (nearest neighbour)",
        data=with_resized_tests,
        trains=False,
    ),
    Fault(
        "validation trained on",
        "the validation images are trained on as well",
        data=validation_trained_on,
    ),
    Fault(
        "another epoch predicts",
        "the parameters of another epoch than the kept one predict the test images",
        other_epoch=True,
    ),
    Fault(
        "channels reversed",
        "mean and standard deviation of the channels are reversed when the test images are predicted",
        path=channels_reversed,
        trains=False,
    ),
    Fault(
        "split by image",
        "the target is split by image and not by patient, in the same sizes",
        data=split_by_image,
    ),
    Fault(
        "MONOCHROME1 in the test part",
        "a third of the test patients have inverted pixels",
        data=partial(third_inverted, parts=("test",)),
        trains=False,
    ),
    Fault(
        "last batch dropped",
        "the last whole batch of every epoch is not trained on",
        steps=Steps(order=without_last_batch),
    ),
    Fault(
        "no evaluation mode",
        "the network stays in training mode when the test images are predicted",
        path=left_in_training_mode,
        trains=False,
    ),
    Fault(
        "loss without the mask",
        "labels that are not known are trained on as negative; in pooled-all, which pools data sets",
        steps=Steps(loss=unmasked_loss),
        scheme="pooled-all",
    ),
    Fault(
        "one patient's label reversed",
        "the labels of one training patient are reversed",
        data=one_patient_reversed,
    ),
)
"""All of them, in the order of the table, the controls first."""
