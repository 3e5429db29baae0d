"""The cohort that plays a role: restricted to its labels, limited to whole patients."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.cohort.table import Cohort
from cxrbench.errors import ProfileError
from cxrbench.study.cohorts import limited


def cohort(images_of_patients):
    """Return a cohort whose patients have so many images each."""
    patients = np.repeat([f"p{i:03d}" for i in range(len(images_of_patients))], images_of_patients)
    table = pd.DataFrame(
        {
            "image_id": [f"i{n:04d}" for n in range(len(patients))],
            "patient_id": patients,
            "view": "PA",
            "age": np.nan,
            "sex": "F",
            "source": "made-up",
            "path": [f"{n}.png" for n in range(len(patients))],
            "Mass": 1.0,
        }
    )
    return Cohort(dataset="made-up", table=table, labels=("Mass",), pixels=None, listed=len(table))


def counts(kept):
    return kept.table["patient_id"].value_counts()


@given(st.lists(st.integers(1, 5), min_size=2, max_size=40), st.data())
def test_a_limit_counts_images_and_keeps_whole_patients(images, data):
    whole = cohort(images)
    limit = data.draw(st.integers(max(images), len(whole)))
    kept = limited(whole, limit, seed=3)
    assert len(kept) <= limit
    assert (counts(kept) == counts(whole)[counts(kept).index]).all()
    # No patient more would have fitted, by the order that they are drawn in: the next has at most 5 images.
    assert len(kept) == len(whole) or len(kept) > limit - 5


def test_what_is_within_the_limit_stays():
    whole = cohort([3, 2])
    assert limited(whole, 5, seed=0) is whole


def test_who_is_kept_depends_on_the_seed_and_on_nothing_else():
    whole = cohort([1] * 100)
    kept = [set(counts(limited(whole, 30, seed)).index) for seed in (1, 1, 2)]
    assert kept[0] == kept[1] != kept[2]
    reversed_rows = Cohort(
        dataset="made-up",
        table=whole.table[::-1].reset_index(drop=True),
        labels=("Mass",),
        pixels=None,
        listed=len(whole),
    )
    assert set(counts(limited(reversed_rows, 30, 1)).index) == kept[0]


def test_a_limit_that_keeps_no_patient_is_refused_in_words():
    with pytest.raises(ProfileError, match=r"limit = 3: the patient drawn first has 4 images"):
        limited(cohort([4, 4]), 3, seed=0)
