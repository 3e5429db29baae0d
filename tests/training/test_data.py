"""Images and labels on the device: pooled roles, labels side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from cxrbench.errors import TrainingError
from cxrbench.training.data import LabelledImages, pool

CPU = torch.device("cpu")
NAN = float("nan")


def images(count: int, labels: list[list[float]], size: int = 4, first: int = 0) -> LabelledImages:
    pixels = np.arange(first, first + count, dtype=np.uint8).reshape(-1, 1, 1).repeat(size, 1).repeat(size, 2)
    return LabelledImages(pixels, np.array(labels, np.float32).reshape(count, -1))


def test_labels_of_pooled_roles_stand_side_by_side_with_nan_where_a_role_knows_nothing() -> None:
    a = images(2, [[1, 0], [NAN, 1]])
    b = images(3, [[1], [0], [1]], first=10)
    both = pool({"b": b, "a": a}, ["a", "b"], CPU)
    expected = [[1, 0, NAN], [NAN, 1, NAN], [NAN, NAN, 1], [NAN, NAN, 0], [NAN, NAN, 1]]
    np.testing.assert_array_equal(both.labels.numpy(), np.array(expected, np.float32))
    assert both.labels.dtype == torch.float32
    assert both.pixels.shape == (5, 1, 4, 4)
    assert both.pixels.dtype == torch.uint8
    assert both.pixels[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 12]
    assert len(both) == 5


def test_the_order_of_the_roles_is_the_order_of_rows_and_columns() -> None:
    a, b = images(1, [[1, 0]]), images(1, [[0]], first=10)
    swapped = pool({"a": a, "b": b}, ["b", "a"], CPU)
    np.testing.assert_array_equal(swapped.labels.numpy(), [[0, NAN, NAN], [NAN, 1, 0]])
    assert swapped.pixels[:, 0, 0, 0].tolist() == [10, 0]


def test_only_the_named_roles_are_taken() -> None:
    a, other_size = images(2, [[1], [0]]), images(1, [[1]], size=8)
    assert len(pool({"a": a, "other": other_size}, ["a"], CPU)) == 2


def test_a_read_only_memory_map_is_copied_without_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    np.save(path, np.full((2, 4, 4), 7, np.uint8))
    labels = np.array([[1], [0]], np.float32)
    labels.flags.writeable = False
    mapped = LabelledImages(np.load(path, mmap_mode="r"), labels)
    pooled = pool(
        {"a": mapped}, ["a"], CPU
    )  # pytest turns torch's warning about read-only arrays into an error
    pooled.pixels.zero_()
    pooled.labels.zero_()
    assert np.load(path).min() == 7
    assert mapped.labels[0, 0] == 1


def test_a_part_of_a_memory_map_picked_by_index_is_taken_in_that_order(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    np.save(path, images(6, [[0]] * 6).pixels)
    picked = LabelledImages(np.load(path, mmap_mode="r")[[4, 1]], np.zeros((2, 1), np.float32))
    assert pool({"a": picked}, ["a"], CPU).pixels[:, 0, 3, 3].tolist() == [4, 1]


def test_roles_of_different_sizes_cannot_be_pooled() -> None:
    mixed = {"a": images(1, [[1]]), "b": images(1, [[1]], size=8)}
    with pytest.raises(TrainingError, match=r"different sizes: \[\(4, 4\), \(8, 8\)\]"):
        pool(mixed, ["a", "b"], CPU)


def test_images_and_labels_must_be_as_many() -> None:
    with pytest.raises(TrainingError, match="2 images have 3 rows of labels"):
        LabelledImages(np.zeros((2, 4, 4), np.uint8), np.zeros((3, 1), np.float32))


def test_no_images_are_refused() -> None:
    with pytest.raises(TrainingError, match="no images"):
        LabelledImages(np.zeros((0, 4, 4), np.uint8), np.zeros((0, 1), np.float32))


def test_prevalence_counts_only_what_is_known() -> None:
    known = images(4, [[1, NAN, NAN], [0, NAN, 1], [0, NAN, 1], [0, NAN, 1]])
    assert known.prevalence() == [0.25, 0.5, 1.0]
    assert len(known) == 4
