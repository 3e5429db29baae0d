"""Folds by patient: every image tested once and validated once, the same again, written down with a hash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.cohort.folds import Folds, folds_by_patient, load_folds, load_or_make_folds, save_folds
from cxrbench.cohort.split import check_split
from cxrbench.errors import CohortError, LeakError


def table_of(patients: list[str], label: list[float]) -> pd.DataFrame:
    ids = [f"i{n:04d}" for n in range(len(patients))]
    return pd.DataFrame({"image_id": ids, "patient_id": patients, "covid": label})


def cohort(images: int = 531, patients: int = 311, positive: float = 0.8, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    of = np.concatenate([np.arange(patients), rng.integers(0, patients, images - patients)])
    sick = rng.random(patients) < positive
    return table_of([f"p{p:03d}" for p in of], sick[of].astype(float).tolist())


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[pd.DataFrame, int, int]:
    """A cohort of a few patients, a number of folds that it has patients for, and a seed."""
    k = draw(st.integers(3, 6))
    patients = draw(st.integers(k, 3 * k))
    more = draw(st.lists(st.integers(0, patients - 1), max_size=30))
    of = [f"p{p}" for p in [*range(patients), *more]]
    label = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(of), max_size=len(of)))
    return table_of(of, label), k, draw(st.integers(0, 1000))


@settings(max_examples=60, deadline=None)
@given(cohorts())
def test_every_image_is_tested_once_and_validates_once(case: tuple[pd.DataFrame, int, int]) -> None:
    table, k, seed = case
    folds = folds_by_patient(table, ["covid"], k, seed, dataset="d")
    splits = [folds.split(fold) for fold in range(1, k + 1)]
    everything = sorted(table["image_id"])
    for part in ("test", "validation"):
        assert sorted(image for split in splits for image in split.images(part)) == everything
    for split in splits:
        check_split(split, table)
        assert all(split.images(part) for part in ("train", "validation", "test"))
    trained = [image for split in splits for image in split.images("train")]
    assert sorted(trained) == sorted(everything * (k - 2))


@settings(max_examples=60, deadline=None)
@given(cohorts(), st.randoms(use_true_random=False))
def test_patients_stay_whole_and_the_order_of_rows_does_not_matter(
    case: tuple[pd.DataFrame, int, int], random: Random
) -> None:
    table, k, seed = case
    folds = folds_by_patient(table, ["covid"], k, seed)
    of = dict(zip(folds.image_ids, folds.folds, strict=True))
    assert table.groupby("patient_id")["image_id"].agg(lambda ids: len({of[i] for i in ids})).max() == 1
    order = list(range(len(table)))
    random.shuffle(order)
    again = folds_by_patient(table.iloc[order].reset_index(drop=True), ["covid"], k, seed)
    assert again == folds
    assert again.hash == folds.hash


def test_a_fold_validates_on_the_next_and_the_last_on_the_first() -> None:
    folds = folds_by_patient(cohort(), ["covid"], 5, seed=1)
    splits = [folds.split(fold) for fold in range(1, 6)]
    assert [split.fold for split in splits] == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    for split, following in zip(splits, [*splits[1:], splits[0]], strict=True):
        assert split.images("validation") == following.images("test")
    with pytest.raises(CohortError, match="no fold 6; they are numbered 1 to 5"):
        folds.split(6)


def test_folds_are_of_one_size_and_one_mixture_of_labels() -> None:
    table = cohort()
    folds = folds_by_patient(table, ["covid"], 5, seed=0)
    for fold in range(1, 6):
        split = folds.split(fold)
        check_split(split, table, ["covid"])
        assert len(split.images("test")) == pytest.approx(531 / 5, abs=3)
        assert table["covid"][split.mask(table, "test")].mean() == pytest.approx(
            table["covid"].mean(), abs=0.03
        )


def test_another_seed_gives_other_folds() -> None:
    assert (
        folds_by_patient(cohort(), ["covid"], 5, 0).hash != folds_by_patient(cohort(), ["covid"], 5, 1).hash
    )


@pytest.mark.parametrize(
    ("k", "match"), [(2, "at least 3 folds, not 2"), (6, "too few patients to fill .*: 5, and 6 are needed")]
)
def test_impossible_folds(k: int, match: str) -> None:
    with pytest.raises(CohortError, match=match):
        folds_by_patient(table_of(list("abcde"), [1, 0, 1, 0, 1]), ["covid"], k, 0)


def test_a_fold_of_one_class_is_named() -> None:
    table = table_of(list("abcdef"), [1, 1, 1, 1, 1, 0])
    folds = folds_by_patient(table, ["covid"], 3, 0, dataset="d")
    # The one negative image can be tested in one fold only.
    tested = dict(zip(folds.image_ids, folds.folds, strict=True))["i0005"]
    other = folds.split(tested % 3 + 1)
    with pytest.raises(CohortError, match=rf"split of 'd', fold {tested % 3 + 1} of 3: .*an AUC needs both"):
        check_split(other, table, ["covid"])


def test_records_that_contradict_themselves_are_refused() -> None:
    good = Folds("d", ("a", "b", "c"), ("p", "q", "r"), (1, 2, 3), 3, 0, ("covid",))
    with pytest.raises(LeakError, match=r"1 patient \(p\) is in more than one part"):
        replace(good, patient_ids=("p", "p", "r"))
    with pytest.raises(CohortError, match="its folds are 1, 2, not 1 to 3"):
        replace(good, folds=(1, 2, 2))
    with pytest.raises(CohortError, match=r"1 image \(a\) is in it twice"):
        replace(good, image_ids=("a", "a", "c"))
    with pytest.raises(CohortError, match="ascending"):
        replace(good, image_ids=("b", "a", "c"))
    with pytest.raises(CohortError, match="not of one length"):
        replace(good, folds=(1, 2, 3, 3))


# The file.


def test_the_file_gives_back_what_was_written(tmp_path: Path) -> None:
    folds = folds_by_patient(cohort(40, 20), ["covid"], 4, 3, dataset="d, e")
    save_folds(folds, tmp_path / "folds.csv")
    lines = (tmp_path / "folds.csv").read_text().splitlines()
    assert lines[0] == "# cxrbench folds, format 2"
    assert lines[2] == "image_id,patient_id,fold"
    assert folds.hash in lines[1]
    read = load_folds(tmp_path / "folds.csv")
    assert read == folds
    assert read.hash == folds.hash


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "folds.csv"
    save_folds(folds_by_patient(cohort(40, 40), ["covid"], 4, 3), path)
    before = path.read_text()
    fold = before.splitlines()[3].rsplit(",", 1)[1]
    path.write_text(before.replace(f"i0000,p000,{fold}", f"i0000,p000,{int(fold) % 4 + 1}"))
    with pytest.raises(CohortError, match="was changed after it was written"):
        load_folds(path)
    path.write_text(before.replace(f"i0000,p000,{fold}", "i0000,p000,one"))
    with pytest.raises(CohortError, match="is damaged"):
        load_folds(path)
    path.write_text("image_id,part\n")
    with pytest.raises(CohortError, match="its first line should be '# cxrbench folds, format 2'"):
        load_folds(path)


def test_stored_folds_are_used_again_and_refused_for_anything_else(tmp_path: Path) -> None:
    path, table = tmp_path / "folds.csv", cohort(40, 20)
    made = load_or_make_folds(path, table, ["covid"], 4, 3, "d")
    assert load_or_make_folds(path, table, ["covid"], 4, 3, "d") == made
    with pytest.raises(CohortError, match="k 4, now 3; seed 3, now 8"):
        load_or_make_folds(path, table, ["covid"], 3, 8, "d")
    with pytest.raises(CohortError, match="something else: the images or their patients"):
        load_or_make_folds(path, table.iloc[1:], ["covid"], 4, 3, "d")
