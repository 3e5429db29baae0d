"""Pictures of iterated function systems."""

from __future__ import annotations

import numpy as np
import pytest

from cxrbench.datasets.fractals import fractals
from cxrbench.errors import DatasetError


@pytest.fixture(scope="module")
def cohort():
    return fractals(12, 10, 1)


@pytest.fixture(scope="module")
def pictures(cohort):
    return cohort.pixels.read_batch(np.arange(len(cohort)), 32)


def test_every_picture_has_one_class_and_every_class_as_many(cohort):
    labels = cohort.table[list(cohort.labels)].to_numpy()
    assert labels.shape == (120, 12)
    assert (labels.sum(axis=1) == 1).all()
    assert (labels.sum(axis=0) == 10).all()
    assert cohort.table["image_id"].is_unique


@pytest.mark.parametrize("index", [0, 77])
def test_a_picture_is_the_same_in_any_company(cohort, pictures, index):
    assert (cohort.pixels.read(index, 32) == pictures[index]).all()
    assert (cohort.pixels.read_batch([5, index, 5], 32)[1] == pictures[index]).all()


def test_more_pictures_or_classes_leave_the_others_as_they_are(cohort, pictures):
    more = fractals(15, 20, 1)
    names = more.table["image_id"].tolist()
    rows = [names.index(name) for name in cohort.table["image_id"][:30]]
    assert (more.pixels.read_batch(rows, 32) == pictures[:30]).all()


def test_another_seed_draws_others(cohort, pictures):
    other = fractals(12, 10, 2)
    assert other.pixels.fingerprint() != cohort.pixels.fingerprint()
    assert (other.pixels.read_batch(np.arange(12), 32) != pictures[:12]).mean() > 0.5


def test_no_two_pictures_are_the_same(pictures):
    assert len(np.unique(pictures.reshape(len(pictures), -1), axis=0)) == len(pictures)


def test_a_class_can_be_told_by_its_shape(cohort, pictures):
    # The nearest mean of the other pictures, after the smooth background is taken off: far above 1 in 12.
    of = cohort.table[list(cohort.labels)].to_numpy().argmax(axis=1)
    dots = (pictures.astype(float) > 130).reshape(len(pictures), -1)
    train, test = np.arange(120) < 96, np.arange(120) >= 96
    means = np.stack([dots[train & (of == k)].mean(axis=0) for k in range(12)])
    nearest = ((dots[test, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == of[test]).mean() > 0.5


@pytest.mark.parametrize("size", [8, 33, 64])
def test_any_size_is_drawn(cohort, size):
    drawn = cohort.pixels.read_batch([0, 1], size)
    assert drawn.shape == (2, size, size)
    assert drawn.std() > 10


@pytest.mark.parametrize(("option", "value"), [("classes", 1), ("each", 0), ("classes", 2.5), ("each", True)])
def test_numbers_that_cannot_be(option, value):
    with pytest.raises(DatasetError, match=f"fractals: {option} must be a whole number"):
        fractals(**{"classes": 3, "each": 3, "seed": 0, option: value})
