"""Divided by patient: nobody on two sides, stratified, the same again, and stored to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.cohort.divide import divide, load_or_divide, strata
from cxrbench.cohort.split import PARTS, Division, Split, check_split, save_split
from cxrbench.errors import CohortError, LeakError

FRACTIONS = (0.7, 0.1, 0.2)


def table_of(patients: Sequence[str], label: Sequence[float], name: str = "covid") -> pd.DataFrame:
    ids = [f"i{n:04d}" for n in range(len(patients))]
    return pd.DataFrame({"image_id": ids, "patient_id": patients, name: label})


def cohort(images: int = 1060, patients: int = 475, positive: float = 0.75, seed: int = 0) -> pd.DataFrame:
    """Return a table in the structure of the paper's target set."""
    rng = np.random.default_rng(seed)
    of = np.concatenate([np.arange(patients), rng.integers(0, patients, images - patients)])
    sick = rng.random(patients) < positive
    label = np.where(rng.random(images) < 0.02, ~sick[of], sick[of])
    return table_of([f"p{p:03d}" for p in of], label.astype(float).tolist())


def split_of(
    table: pd.DataFrame,
    fractions: tuple[float, ...] = FRACTIONS,
    seed: int = 0,
    official: frozenset[str] = frozenset(),
    labels: Sequence[str] = ("covid",),
) -> Split:
    return divide(table, Division("d", tuple(labels), seed, fractions), official)


def folds_of(table: pd.DataFrame, k: int, seed: int = 0) -> Split:
    return divide(table, Division("d", ("covid",), seed, folds=k))


def images(split: Split, part: str, fold: int | None = None) -> list[str]:
    table = pd.DataFrame({"image_id": split.image_ids})
    return table["image_id"][split.parts_of(table, fold) == part].tolist()


def patients(split: Split, table: pd.DataFrame, part: str) -> list[str]:
    return sorted(set(table["patient_id"][split.parts_of(table) == part]))


def test_fractions_and_class_balance_are_met_on_the_papers_structure() -> None:
    table = cohort()
    split = split_of(table, seed=7)
    for part, fraction in zip(PARTS, FRACTIONS, strict=True):
        mask = split.parts_of(table) == part
        assert mask.sum() / len(table) == pytest.approx(fraction, abs=0.01)
        assert table["covid"][mask].mean() == pytest.approx(table["covid"].mean(), abs=0.02)
    check_split(split, table, ["covid"])


def test_parts_partition_images_and_patients() -> None:
    table = cohort()
    split = split_of(table, seed=1)
    assert sorted(chain(*(images(split, part) for part in PARTS))) == sorted(table["image_id"])
    assert sorted(chain(*(patients(split, table, part) for part in PARTS))) == sorted(
        set(table["patient_id"])
    )


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2, 0.0), (0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.55, 0.3, 0.15), (0.97, 0.01, 0.02)]
)
def test_any_fractions(fractions: tuple[float, float, float]) -> None:
    split = split_of(cohort(), fractions, seed=1)
    for part, fraction in zip(PARTS, fractions, strict=True):
        assert len(images(split, part)) / 1060 == pytest.approx(fraction, abs=0.012)
        assert bool(images(split, part)) == (fraction > 0)


def test_the_seed_changes_the_split_and_nothing_else_does() -> None:
    table = cohort()
    first = split_of(table, seed=1)
    assert split_of(table, seed=1) == first
    assert split_of(table.sample(frac=1, random_state=3).reset_index(drop=True), seed=1) == first
    assert split_of(table, seed=2).hash != first.hash
    assert folds_of(table, 5, 0).hash != folds_of(table, 5, 1).hash


def test_the_split_is_the_same_in_every_version() -> None:
    """A stored study is compared against new ones on the same test images, so this must not drift."""
    table = table_of([f"p{n % 10}" for n in range(30)], [float(n % 10 < 5) for n in range(30)])
    split = split_of(table, (0.6, 0.2, 0.2))
    assert {part: patients(split, table, part) for part in PARTS} == {
        "train": ["p0", "p3", "p4", "p5", "p8", "p9"],
        "validation": ["p2", "p6"],
        "test": ["p1", "p7"],
    }
    folds = folds_of(table, 3)
    numbers = dict(zip(folds.patient_ids, folds.parts, strict=True))
    assert [numbers[f"p{n}"] for n in range(10)] == ["3", "1", "2", "3", "1", "2", "1", "1", "2", "3"]
    assert folds.hash.startswith("b405dabee738")


def test_images_of_a_patient_with_both_labels_stay_together() -> None:
    table = table_of(["a", "a", "b", "b", "c", "c", "d", "d"], [1, 0, 1, 0, 1, 0, 1, 0])
    split = split_of(table, (0.5, 0.25, 0.25))
    assert [len(patients(split, table, part)) for part in PARTS] == [2, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_three_positive_patients_go_one_to_each_part(seed: int) -> None:
    table = table_of([f"p{n:02d}" for n in range(60)], [1.0, 1.0, 1.0] + [0.0] * 57)
    check_split(split_of(table, seed=seed), table, ["covid"])


def test_unknown_labels_are_a_stratum_of_their_own() -> None:
    table = table_of([f"p{n:03d}" for n in range(100)], [1.0] * 40 + [0.0] * 40 + [float("nan")] * 20)
    split = split_of(table, (0.5, 0.25, 0.25))
    unknown = table["covid"].isna().to_numpy()
    assert [int(((split.parts_of(table) == part) & unknown).sum()) for part in PARTS] == [10, 5, 5]


def test_strata_are_the_rarest_label_counted_in_patients() -> None:
    nan = float("nan")
    table = pd.DataFrame(
        {
            "patient_id": ["a", "a", "a", "b", "c", "d", "e"],
            # One patient has "hernia" three times; two have "mass": hernia is the rarer.
            "mass": [1, 0, 0, 1, 0, 0, nan],
            "hernia": [1, 1, 1, 0, 0, nan, nan],
        }
    )
    assert strata(table, ["mass", "hernia"]).tolist() == [1, 1, 1, 0, 2, 2, 3]
    assert strata(table, ["mass"]).tolist() == [0, 1, 1, 0, 1, 1, 2]


def test_fourteen_labels_are_balanced_with_the_rare_ones_in_each_part() -> None:
    rng = np.random.default_rng(0)
    labels = [f"finding {j}" for j in range(14)]
    of = rng.integers(0, 600, 2000)
    table = table_of([f"p{p:03d}" for p in of], [0.0] * 2000, labels[0])
    for j, label in enumerate(labels):
        table[label] = (rng.random(2000) < 0.15 / (1 + j)).astype(float)
    part = split_of(table, labels=labels).parts_of(table)
    for label in labels:
        shares = [table[label][part == name].sum() / table[label].sum() for name in PARTS]
        assert shares == pytest.approx(FRACTIONS, abs=0.08)


def test_a_label_without_positives_does_no_harm() -> None:
    split = split_of(cohort(200, 100).assign(hernia=0.0), labels=["covid", "hernia"])
    assert all(images(split, part) for part in PARTS)


tables = st.integers(3, 40).flatmap(
    lambda patients: st.tuples(
        st.lists(st.integers(0, patients - 1), min_size=0, max_size=80).map(
            lambda extra: [f"p{p}" for p in [*range(patients), *extra]]
        ),
        st.randoms(use_true_random=False),
        st.integers(0, 2**32 - 1),
        st.sampled_from([(0.7, 0.1, 0.2), (0.6, 0.2, 0.2), (0.9, 0.05, 0.05), (0.34, 0.33, 0.33)]),
    )
)


@settings(max_examples=60)
@given(tables)
def test_every_cohort_of_three_patients_or_more_is_split_with_all_parts_filled(drawn) -> None:  # type: ignore[no-untyped-def]
    of, random, seed, fractions = drawn
    table = table_of(of, [random.choice([0.0, 1.0, float("nan")]) for _ in of])
    split = split_of(table, fractions, seed)
    check_split(split, table)
    assert set(split.image_ids) == set(table["image_id"])
    order = list(range(len(table)))
    random.shuffle(order)
    assert split_of(table.iloc[order].reset_index(drop=True), fractions, seed) == split
    # A part misses its share by no more than the fold and the largest patient can explain.
    largest = table["patient_id"].value_counts().iloc[0]
    for part, fraction in zip(PARTS, fractions, strict=True):
        slack = 2 * largest + len(table) / table["patient_id"].nunique() + 0.05 * len(table)
        assert len(images(split, part)) > 0
        assert abs(len(images(split, part)) - fraction * len(table)) <= slack


def test_the_official_test_list_is_the_test_part() -> None:
    table = cohort()
    tested = sorted(table["patient_id"].unique())[:100]
    official = frozenset(table["image_id"][table["patient_id"].isin(tested)]) | {"not here"}
    split = split_of(table, (0.8, 0.2, 0.0), 1, official)
    assert set(images(split, "test")) == official - {"not here"}
    rest = len(table) - len(images(split, "test"))
    assert len(images(split, "validation")) == pytest.approx(0.2 * rest, abs=10)
    assert split_of(table, (0.4, 0.1, 0.5), 1, official).hash == split.hash


def test_an_official_list_that_parts_a_patient_names_them() -> None:
    table = table_of(["a", "a", "b", "c", "c"], [1, 0, 1, 0, 1])
    with pytest.raises(LeakError, match=r"official test list: 2 patients \(a, c\) are in more than one part"):
        split_of(table, (0.5, 0.5, 0), 0, frozenset({"i0001", "i0003"}))


def test_an_official_list_of_which_nothing_is_here() -> None:
    table = table_of(["a", "b", "c"], [1, 0, 1])
    official = frozenset({"x", "y"})
    assert images(split_of(table, (0.5, 0.5, 0), 0, official), "test") == []
    with pytest.raises(CohortError, match="none of the 2 images of the official test list"):
        split_of(table, FRACTIONS, 0, official)


def test_an_official_list_that_is_everything() -> None:
    table = table_of(["a", "b"], [1, 0])
    with pytest.raises(CohortError, match="nothing is left to train on"):
        split_of(table, (1, 0, 0), 0, frozenset(table["image_id"]))


def test_too_few_patients() -> None:
    table = table_of(["a", "a", "b"], [1, 0, 1])
    with pytest.raises(CohortError, match=r"too few patients to fill .*: 2, and 3 are needed"):
        split_of(table)
    with pytest.raises(CohortError, match=r"too few patients to fill .*: 2, and 4 are needed"):
        folds_of(table, 4)


def test_columns_that_are_missing() -> None:
    with pytest.raises(CohortError, match="no column 'pneumonia'"):
        split_of(cohort(20, 10), labels=["pneumonia"])


# Folds.


@st.composite
def few_patients(draw: st.DrawFn) -> tuple[pd.DataFrame, int, int]:
    """A cohort of a few patients, a number of folds that it has patients for, and a seed."""
    k = draw(st.integers(3, 6))
    count = draw(st.integers(k, 3 * k))
    more = draw(st.lists(st.integers(0, count - 1), max_size=30))
    of = [f"p{p}" for p in [*range(count), *more]]
    label = draw(st.lists(st.sampled_from([0.0, 1.0]), min_size=len(of), max_size=len(of)))
    return table_of(of, label), k, draw(st.integers(0, 1000))


@settings(max_examples=60)
@given(few_patients())
def test_every_image_is_tested_once_and_validates_once(case: tuple[pd.DataFrame, int, int]) -> None:
    table, k, seed = case
    split = folds_of(table, k, seed)
    check_split(split, table)
    everything = sorted(table["image_id"])
    assert split.turns == range(1, k + 1)
    for part, times in (("test", 1), ("validation", 1), ("train", k - 2)):
        of_each = [images(split, part, fold) for fold in split.turns]
        assert all(of_each)
        assert sorted(chain(*of_each)) == sorted(everything * times)


@settings(max_examples=60)
@given(few_patients(), st.randoms(use_true_random=False))
def test_patients_stay_whole_and_the_order_of_rows_does_not_matter(
    case: tuple[pd.DataFrame, int, int], random: Random
) -> None:
    table, k, seed = case
    split = folds_of(table, k, seed)
    assert len(set(zip(split.patient_ids, split.parts, strict=True))) == table["patient_id"].nunique()
    order = list(range(len(table)))
    random.shuffle(order)
    again = folds_of(table.iloc[order].reset_index(drop=True), k, seed)
    assert again == split
    assert again.hash == split.hash


def test_folds_are_of_one_size_and_one_mixture_of_labels() -> None:
    table = cohort(531, 311, 0.8)
    split = folds_of(table, 5)
    check_split(split, table, ["covid"])
    for fold in split.turns:
        tested = split.parts_of(table, fold) == "test"
        assert tested.sum() == pytest.approx(531 / 5, abs=3)
        assert table["covid"][tested].mean() == pytest.approx(table["covid"].mean(), abs=0.03)


# Stored.


def test_what_is_stored_is_used_again(tmp_path: Path) -> None:
    path, table, division = tmp_path / "split.csv", cohort(100, 50), Division("d", ("covid",), 3, FRACTIONS)
    made = load_or_divide(path, table, division)
    assert made == divide(table, division)
    # What is stored counts, not what would be made today.
    kept = replace(made, parts=tuple("train" if p == "validation" else p for p in made.parts))
    save_split(kept, path)
    assert load_or_divide(path, table, division) == kept
    folds = Division("d", ("covid",), 3, folds=4)
    assert load_or_divide(tmp_path / "f.csv", table, folds) == load_or_divide(
        tmp_path / "f.csv", table, folds
    )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seed": 4}, "seed 3, now 4; delete the file"),
        ({"fractions": (0.8, 0.1, 0.1)}, r"fractions \(0.7, 0.1, 0.2\), now \(0.8, 0.1, 0.1\)"),
        ({"fractions": (), "folds": 3}, r"fractions .*, now \(\); folds 0, now 3"),
        ({"labels": ("other",)}, r"labels \('covid',\), now \('other',\)"),
        ({"dataset": "e"}, "dataset 'd', now 'e'"),
    ],
)
def test_a_stored_split_of_another_division_says_what_differs(
    tmp_path: Path, changes: dict[str, object], match: str
) -> None:
    table, division = cohort(100, 50).assign(other=0.0), Division("d", ("covid",), 3, FRACTIONS)
    load_or_divide(tmp_path / "split.csv", table, division)
    with pytest.raises(CohortError, match=match):
        load_or_divide(tmp_path / "split.csv", table, replace(division, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("table", "official", "match"),
    [
        (cohort(101, 50), (), "0 of the split are gone, 1 are new"),
        (cohort(100, 50).tail(98), (), "2 of the split are gone, 0 are new"),
        (cohort(100, 50, seed=9), (), "the patients of the images"),
        (cohort(100, 50), ("i0000",), "the official test list"),
    ],
)
def test_a_stored_split_of_other_images_says_what_differs(
    tmp_path: Path, table: pd.DataFrame, official: tuple[str, ...], match: str
) -> None:
    division = Division("d", ("covid",), 3, FRACTIONS)
    load_or_divide(tmp_path / "split.csv", cohort(100, 50), division)
    with pytest.raises(CohortError, match=match):
        load_or_divide(tmp_path / "split.csv", table, division, frozenset(official))
