"""Planted faults do what they say and no more: checked on a few small arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cxrbench.faults.planting import (
    FirstEpoch,
    LastEpoch,
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
    unmasked_loss,
    validation_trained_on,
    with_resized_tests,
    without_last_batch,
    without_normalisation,
)
from cxrbench.training.augment import augment, draw
from cxrbench.training.config import Augmentation
from cxrbench.training.data import LabelledImages
from cxrbench.training.network import Network
from cxrbench.training.seeds import generator
from cxrbench.training.steps import masked_loss, shuffled

COUNTS = {"train": 240, "validation": 60, "test": 400}
IMAGES_PER_PATIENT = 3


def images(count, seed):
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 4 != 0).astype(np.float32)[:, None]
    return LabelledImages(random.integers(0, 256, (count, 4, 4), dtype=np.uint8), labels)


@pytest.fixture
def data():
    """Three parts of patients with three images each, three quarters of them positive."""
    return TargetData(
        {part: images(count, count) for part, count in COUNTS.items()},
        {
            part: np.array([f"{part}-{i // IMAGES_PER_PATIENT}" for i in range(count)], dtype=object)
            for part, count in COUNTS.items()
        },
        {
            part: np.array([f"{part} {i}" for i in range(count)], dtype=object)
            for part, count in COUNTS.items()
        },
    )


@pytest.fixture
def random():
    return np.random.default_rng(3)


def copies(data):
    return {part: (images.pixels.copy(), images.labels.copy()) for part, images in data.parts.items()}


def changed_rows(before, after):
    return (before != after).reshape(len(before), -1).any(axis=1)


def test_no_fault_changes_nothing(data, random):
    assert unchanged(data, random) is data


@pytest.mark.parametrize("part", COUNTS)
def test_a_third_of_every_part_is_inverted_by_patient(part, data, random):
    faulty = third_inverted(data, random)
    before, after = data.parts[part].pixels, faulty.parts[part].pixels
    inverted = (after == 255 - before).reshape(len(after), -1).all(axis=1)
    assert abs(inverted.sum() - len(after) / 3) <= IMAGES_PER_PATIENT
    assert np.array_equal(after[~inverted], before[~inverted])
    by_patient = {name: set(inverted[data.patients[part] == name]) for name in set(data.patients[part])}
    assert all(len(kinds) == 1 for kinds in by_patient.values())
    assert np.array_equal(faulty.parts[part].labels, data.parts[part].labels)
    assert f"{inverted.sum()} of {len(after)} {part}" in faulty.applied
    assert after.dtype == np.uint8


@pytest.mark.parametrize("share", [0.05, 0.10])
def test_labels_are_permuted_among_a_share_of_what_is_trained_on(share, data, random):
    faulty = labels_shuffled(data, random, share)
    before, after = (
        np.concatenate([each.parts[part].labels for part in ("train", "validation")])
        for each in (data, faulty)
    )
    changed = changed_rows(before, after)
    assert 0 < changed.sum() <= share * 300
    assert after.sum() == before.sum()
    in_train = changed[: COUNTS["train"]].sum()
    assert faulty.applied == (
        f"{round(share * 300)} of 300 labels permuted, {changed.sum()} changed ({in_train} in training)"
    )
    assert faulty.parts["test"] is data.parts["test"]
    assert all(faulty.parts[part].pixels is data.parts[part].pixels for part in COUNTS)


def test_a_label_that_is_not_known_is_no_change_where_it_stays_so(data, random):
    part = data.parts["train"]
    unknown = LabelledImages(part.pixels, np.full_like(part.labels, np.nan))
    only = TargetData({**data.parts, "train": unknown, "validation": unknown}, data.patients, data.ids)
    assert "24 of 480 labels permuted, 0 changed" in labels_shuffled(only, random, 0.05).applied


def test_a_leak_puts_exactly_its_share_of_test_images_behind_the_training_images(data, random):
    faulty = leaked_into_training(data, random, 0.05)
    train, test = data.parts["train"], data.parts["test"]
    assert len(faulty.leaked) == len(set(faulty.leaked)) == 20
    assert len(faulty.parts["train"]) == len(faulty.patients["train"]) == 260
    assert np.array_equal(faulty.parts["train"].pixels[:240], train.pixels)
    assert np.array_equal(faulty.parts["train"].pixels[240:], test.pixels[faulty.leaked])
    assert np.array_equal(faulty.parts["train"].labels[240:], test.labels[faulty.leaked])
    assert faulty.patients["train"][240:].tolist() == data.patients["test"][faulty.leaked].tolist()
    assert faulty.parts["test"] is test
    assert faulty.applied == "20 of 400 test images among 260 training images"


@pytest.mark.parametrize(
    "fault",
    [
        third_inverted,
        lambda data, random: labels_shuffled(data, random, 0.1),
        lambda data, random: leaked_into_training(data, random, 0.05),
    ],
    ids=["inverted", "shuffled", "leaked"],
)
def test_planting_leaves_its_input_alone_and_repeats_itself(fault, data):
    before = copies(data)
    first, second = (fault(data, np.random.default_rng(1)) for _ in range(2))
    for part, (pixels, labels) in before.items():
        assert np.array_equal(data.parts[part].pixels, pixels)
        assert np.array_equal(data.parts[part].labels, labels)
        assert np.array_equal(first.parts[part].pixels, second.parts[part].pixels)
        assert np.array_equal(first.parts[part].labels, second.parts[part].labels)
    other = fault(data, np.random.default_rng(2))
    assert any(
        not np.array_equal(getattr(first.parts[part], what), getattr(other.parts[part], what))
        for part in COUNTS
        for what in ("pixels", "labels")
    )


def test_without_normalisation_the_network_sees_plain_intensities():
    network, honest = (
        Network("densenet121", {"covid": 1}, seed=0),
        Network("densenet121", {"covid": 1}, seed=0),
    )
    batch = torch.rand(2, 1, 32, 32, generator=generator("batch"))
    seen = []
    network.trunk.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0]))
    without_normalisation(network)
    network.eval()
    with torch.inference_mode():
        network.features(batch)
    assert torch.equal(seen[0], batch.expand(2, 3, 32, 32))
    parameters = honest.state_dict()
    assert all(torch.equal(tensor, parameters[name]) for name, tensor in network.state_dict().items())


def test_a_kept_head_is_the_constructors():
    kept, honest = Network("densenet121", {"covid": 1}, seed=0), Network("densenet121", {"covid": 1}, seed=0)
    head_kept(kept)
    constructed = honest.heads["covid"].weight.clone()
    kept.reset_head("covid", [0.75], 1)
    honest.reset_head("covid", [0.75], 1)
    assert torch.equal(kept.heads["covid"].weight, constructed)
    assert not torch.equal(honest.heads["covid"].weight, constructed)


def test_a_batch_is_augmented_twice_with_draws_of_its_own_each_time():
    batch = torch.rand(2, 1, 32, 32, generator=generator("batch"))
    draws = draw(2, generator("draws"))
    found = augmented_twice(batch, Augmentation(), draws)
    once = augment(batch, Augmentation(), draws)
    assert torch.equal(found, augment(once, Augmentation(), draws.flip(0)))
    assert not torch.equal(found, augment(once, Augmentation(), draws))
    assert not torch.equal(found, once)


def test_a_part_alone_can_be_inverted(data, random):
    faulty = third_inverted(data, random, parts=("test",))
    assert faulty.parts["train"] is data.parts["train"]
    assert not np.array_equal(faulty.parts["test"].pixels, data.parts["test"].pixels)


def test_one_patient_s_labels_are_reversed_and_no_other(data, random):
    faulty = one_patient_reversed(data, random)
    changed = (faulty.parts["train"].labels != data.parts["train"].labels).any(axis=1)
    assert changed.sum() == IMAGES_PER_PATIENT
    assert len(set(data.patients["train"][changed])) == 1


def test_validation_images_come_behind_the_training_images(data, random):
    faulty = validation_trained_on(data, random)
    train, validation = (data.parts[part] for part in ("train", "validation"))
    assert np.array_equal(faulty.parts["train"].pixels[len(train) :], validation.pixels)
    assert faulty.ids["train"].tolist() == [*data.ids["train"], *data.ids["validation"]]
    assert faulty.parts["validation"] is validation


def test_a_split_by_image_keeps_sizes_and_images_and_parts_patients(data, random):
    faulty = split_by_image(data, random)
    assert {part: len(images) for part, images in faulty.parts.items()} == COUNTS
    assert sorted(np.concatenate(list(faulty.ids.values()))) == sorted(
        np.concatenate(list(data.ids.values()))
    )
    assert set(faulty.patients["train"]) & set(faulty.patients["test"])
    own = {name: (image.tobytes(), label) for p in COUNTS for name, image, label in _rows(data, p)}
    for part in COUNTS:
        for name, image, label in _rows(faulty, part):
            assert own[name] == (image.tobytes(), label)


def _rows(data, part):
    images = data.parts[part]
    return zip(data.ids[part], images.pixels, images.labels[:, 0], strict=True)


def test_only_test_images_are_resized_and_only_a_little(data, random):
    faulty = with_resized_tests(data, random)
    assert faulty.parts["train"] is data.parts["train"]
    before, now = (of.parts["test"].pixels.astype(float) for of in (data, faulty))
    assert now.shape == before.shape
    assert not np.array_equal(now, before)
    assert np.corrcoef(now.ravel(), before.ravel())[0, 1] > 0.5


def test_a_batch_less_is_trained_on():
    generator = torch.Generator().manual_seed(0)
    honest = shuffled(100, 16, torch.Generator().manual_seed(0))
    order = without_last_batch(100, 16, generator)
    assert order.tolist() == honest[:80].tolist()


def test_without_the_mask_unknown_labels_count_as_negative():
    logits, labels = torch.tensor([[2.0, 1.0]]), torch.tensor([[1.0, float("nan")]])
    known = torch.tensor([[1.0, 0.0]])
    assert float(unmasked_loss(logits, labels)) == float(unmasked_loss(logits, known))
    assert float(unmasked_loss(logits, labels)) != float(masked_loss(logits, labels))


def test_a_network_left_in_training_mode_cannot_be_put_into_evaluation_mode():
    network = Network("densenet121", {"covid": 1}, seed=0).eval()
    left_in_training_mode(network)
    assert network.eval() is network
    assert network.training


def test_channels_are_normalised_in_reverse_order():
    network = Network("densenet121", {"covid": 1}, seed=0)
    mean = network.mean.flatten().tolist()
    channels_reversed(network)
    assert network.mean.flatten().tolist() == mean[::-1]


@pytest.mark.parametrize(("kind", "kept"), [(FirstEpoch, 0), (LastEpoch, 2)])
def test_another_epoch_can_be_kept(kind, kept):
    selection = kind("covid")
    scores = [selection.score({"covid": auc}) for auc in (0.5, 0.9, 0.7)]
    assert scores.index(max(scores)) == kept
