"""Splits by patient: nobody on two sides, stratified, the same again, written down with a hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxrbench.cohort.grouping import strata
from cxrbench.cohort.split import (
    PARTS,
    Split,
    check_split,
    load_or_make,
    load_split,
    save_split,
    split_by_patient,
)
from cxrbench.errors import CohortError, LeakError


def table_of(patients: list[str], label: list[float], name: str = "covid") -> pd.DataFrame:
    ids = [f"i{n:04d}" for n in range(len(patients))]
    return pd.DataFrame({"image_id": ids, "patient_id": patients, name: label})


def cohort(images: int = 1060, patients: int = 475, positive: float = 0.75, seed: int = 0) -> pd.DataFrame:
    """Return a table in the structure of the paper's target set."""
    rng = np.random.default_rng(seed)
    of = np.concatenate([np.arange(patients), rng.integers(0, patients, images - patients)])
    sick = rng.random(patients) < positive
    label = np.where(rng.random(images) < 0.02, ~sick[of], sick[of])
    return table_of([f"p{p:03d}" for p in of], label.astype(float).tolist())


FRACTIONS = (0.7, 0.1, 0.2)


def test_fractions_and_class_balance_are_met_on_the_papers_structure() -> None:
    table = cohort()
    split = split_by_patient(table, ["covid"], FRACTIONS, seed=7, dataset="target")
    for part, fraction in zip(PARTS, FRACTIONS, strict=True):
        mask = split.mask(table, part)
        assert mask.sum() / len(table) == pytest.approx(fraction, abs=0.01)
        assert table["covid"][mask].mean() == pytest.approx(table["covid"].mean(), abs=0.02)
    check_split(split, table, ["covid"])


def test_parts_partition_images_and_patients() -> None:
    table = cohort()
    split = split_by_patient(table, ["covid"], FRACTIONS, seed=1)
    images = [set(split.images(part)) for part in PARTS]
    assert set.union(*images) == set(table["image_id"])
    assert sum(map(len, images)) == len(table)
    assert (
        table.groupby("patient_id")["image_id"]
        .agg(lambda ids: ids.map(split.assignment).nunique())
        .eq(1)
        .all()
    )
    counts = split.counts()
    assert sum(c["images"] for c in counts.values()) == 1060
    assert sum(c["patients"] for c in counts.values()) == 475


@pytest.mark.parametrize(
    "fractions", [(0.8, 0.2, 0.0), (0.8, 0.0, 0.2), (1.0, 0.0, 0.0), (0.55, 0.3, 0.15), (0.97, 0.01, 0.02)]
)
def test_any_fractions(fractions: tuple[float, float, float]) -> None:
    table = cohort()
    split = split_by_patient(table, ["covid"], fractions, seed=1)
    for part, fraction in zip(PARTS, fractions, strict=True):
        assert len(split.images(part)) / 1060 == pytest.approx(fraction, abs=0.012)
        assert bool(split.images(part)) == (fraction > 0)


def test_the_seed_changes_the_split_and_nothing_else_does() -> None:
    table = cohort()
    first = split_by_patient(table, ["covid"], FRACTIONS, seed=1)
    assert split_by_patient(table, ["covid"], FRACTIONS, seed=1) == first
    shuffled = table.sample(frac=1, random_state=3).reset_index(drop=True)
    assert split_by_patient(shuffled, ["covid"], FRACTIONS, seed=1) == first
    assert split_by_patient(table, ["covid"], FRACTIONS, seed=2).hash != first.hash


def test_the_split_is_the_same_in_every_version() -> None:
    """A stored study is compared against new ones on the same test images, so this must not drift."""
    table = table_of([f"p{n % 10}" for n in range(30)], [float(n % 10 < 5) for n in range(30)])
    split = split_by_patient(table, ["covid"], (0.6, 0.2, 0.2), seed=0)
    parts = {p: split.assignment[i] for i, p in zip(table["image_id"], table["patient_id"], strict=True)}
    assert {part: sorted(p for p in parts if parts[p] == part) for part in PARTS} == {
        "train": ["p0", "p3", "p4", "p5", "p8", "p9"],
        "validation": ["p2", "p6"],
        "test": ["p1", "p7"],
    }


def test_images_of_a_patient_with_both_labels_stay_together() -> None:
    table = table_of(["a", "a", "b", "b", "c", "c", "d", "d"], [1, 0, 1, 0, 1, 0, 1, 0])
    split = split_by_patient(table, ["covid"], (0.5, 0.25, 0.25), seed=0)
    assert {part: c["patients"] for part, c in split.counts().items()} == {
        "train": 2,
        "validation": 1,
        "test": 1,
    }


@pytest.mark.parametrize("seed", range(5))
def test_three_positive_patients_go_one_to_each_part(seed: int) -> None:
    patients = [f"p{n:02d}" for n in range(60)]
    table = table_of(patients, [1.0, 1.0, 1.0] + [0.0] * 57)
    check_split(split_by_patient(table, ["covid"], FRACTIONS, seed), table, ["covid"])


def test_unknown_labels_are_a_stratum_of_their_own() -> None:
    table = table_of([f"p{n:03d}" for n in range(100)], [1.0] * 40 + [0.0] * 40 + [float("nan")] * 20)
    split = split_by_patient(table, ["covid"], (0.5, 0.25, 0.25), seed=0)
    unknown = table["covid"].isna().to_numpy()
    assert [int((split.mask(table, part) & unknown).sum()) for part in PARTS] == [10, 5, 5]


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
    split = split_by_patient(table, labels, FRACTIONS, seed=0)
    for label in labels:
        shares = [table[label][split.mask(table, part)].sum() / table[label].sum() for part in PARTS]
        assert shares == pytest.approx(FRACTIONS, abs=0.08)


def test_a_label_without_positives_does_no_harm() -> None:
    table = cohort(200, 100).assign(hernia=0.0)
    split = split_by_patient(table, ["covid", "hernia"], FRACTIONS, seed=0)
    assert all(split.counts()[part]["patients"] > 0 for part in PARTS)


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


@settings(max_examples=60, deadline=None)
@given(tables)
def test_every_cohort_of_three_patients_or_more_is_split_with_all_parts_filled(drawn) -> None:  # type: ignore[no-untyped-def]
    patients, random, seed, fractions = drawn
    table = table_of(patients, [random.choice([0.0, 1.0, float("nan")]) for _ in patients])
    split = split_by_patient(table, ["covid"], fractions, seed)
    check_split(split, table)
    assert set(split.image_ids) == set(table["image_id"])
    assert all(split.counts()[part]["images"] > 0 for part in PARTS)
    order = list(range(len(table)))
    random.shuffle(order)
    assert (
        split_by_patient(table.iloc[order].reset_index(drop=True), ["covid"], fractions, seed).hash
        == split.hash
    )
    # A part misses its share by no more than the fold and the largest patient can explain.
    largest = table["patient_id"].value_counts().iloc[0]
    for part, fraction in zip(PARTS, fractions, strict=True):
        slack = 2 * largest + len(table) / split_patients(table) + 0.05 * len(table)
        assert abs(len(split.images(part)) - fraction * len(table)) <= slack


def split_patients(table: pd.DataFrame) -> int:
    return table["patient_id"].nunique()


def test_the_official_test_list_is_the_test_part() -> None:
    table = cohort()
    patients = sorted(table["patient_id"].unique())[:100]
    official = frozenset(table["image_id"][table["patient_id"].isin(patients)]) | {"not here"}
    split = split_by_patient(table, ["covid"], (0.8, 0.2, 0.0), 1, official)
    assert set(split.images("test")) == official - {"not here"}
    rest = len(table) - len(split.images("test"))
    assert len(split.images("validation")) == pytest.approx(0.2 * rest, abs=10)
    assert split_by_patient(table, ["covid"], (0.4, 0.1, 0.5), 1, official).hash == split.hash


def test_an_official_list_that_parts_a_patient_names_them() -> None:
    table = table_of(["a", "a", "b", "c", "c"], [1, 0, 1, 0, 1])
    with pytest.raises(LeakError, match=r"official test list: 2 patients \(a, c\) are in more than one part"):
        split_by_patient(table, ["covid"], (0.5, 0.5, 0), 0, frozenset({"i0001", "i0003"}))


def test_an_official_list_of_which_nothing_is_here() -> None:
    table = table_of(["a", "b", "c"], [1, 0, 1])
    official = frozenset({"x", "y"})
    assert split_by_patient(table, ["covid"], (0.5, 0.5, 0), 0, official).images("test") == ()
    with pytest.raises(CohortError, match="none of the 2 images of the official test list"):
        split_by_patient(table, ["covid"], FRACTIONS, 0, official)


def test_an_official_list_that_is_everything() -> None:
    table = table_of(["a", "b"], [1, 0])
    with pytest.raises(CohortError, match="nothing is left to train on"):
        split_by_patient(table, ["covid"], (1, 0, 0), 0, frozenset(table["image_id"]))


@pytest.mark.parametrize(
    ("fractions", "match"),
    [
        ((0.5, 0.5), "three numbers"),
        ((1.2, -0.1, -0.1), "three numbers"),
        ((float("nan"), 0.5, 0.5), "three numbers"),
        ((0.0, 0.5, 0.5), "train fraction is 0"),
        ((0.7, 0.1, 0.1), "add up to 1, not 0.9"),
    ],
)
def test_impossible_fractions(fractions: tuple[float, ...], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        split_by_patient(cohort(50, 20), ["covid"], fractions, 0)


def test_too_few_patients() -> None:
    table = table_of(["a", "a", "b"], [1, 0, 1])
    with pytest.raises(
        CohortError, match="too few patients to fill the parts asked for: 2, and 3 are needed"
    ):
        split_by_patient(table, ["covid"], FRACTIONS, 0)


def test_columns_that_are_missing_and_no_label() -> None:
    with pytest.raises(CohortError, match="no column 'pneumonia'"):
        split_by_patient(cohort(20, 10), ["pneumonia"], FRACTIONS, 0)
    with pytest.raises(CohortError, match="no label to stratify by"):
        split_by_patient(cohort(20, 10), [], FRACTIONS, 0)


def small(**changes: object) -> Split:
    values: dict[str, object] = {
        "dataset": "d",
        "image_ids": ("1", "2", "3"),
        "patient_ids": ("a", "b", "c"),
        "parts": PARTS,
        "seed": 0,
        "fractions": (0.4, 0.3, 0.3),
        "labels": ("covid",),
    }
    return Split(**{**values, **changes})  # type: ignore[arg-type]


def test_the_hash_is_of_image_patient_and_part_only() -> None:
    rows = json.dumps(
        [["1", "a", "train"], ["2", "b", "validation"], ["3", "c", "test"]], separators=(",", ":")
    )
    assert small().hash == hashlib.sha256(rows.encode()).hexdigest()
    assert small(seed=5, dataset="other").hash == small().hash
    others = [
        {"image_ids": ("1", "2", "4")},
        {"patient_ids": ("a", "b", "d")},
        {"parts": ("train", "test", "test")},
    ]
    assert len({small(**o).hash for o in [{}, *others]}) == 4


def test_a_split_that_leaks_cannot_be_made() -> None:
    with pytest.raises(LeakError, match=r"1 patient \(a\) is in more than one part"):
        small(patient_ids=("a", "a", "c"))


def test_names_beyond_ten_are_counted() -> None:
    ids = tuple(f"{n:02d}" for n in range(24))
    with pytest.raises(LeakError, match=r"12 patients \(00, 01, .*, 09 and 2 more\) are"):
        small(
            image_ids=ids, patient_ids=tuple(f"{n // 2:02d}" for n in range(24)), parts=("train", "test") * 12
        )


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"image_ids": ("1", "1", "3")}, r"1 image \(1\) is in it twice"),
        ({"image_ids": ("2", "1", "3")}, "ascending"),
        ({"parts": ("train", "dev", "test")}, "part 'dev' is not one of train, validation, test"),
        ({"parts": ("train",)}, "one length"),
    ],
)
def test_malformed_splits(changes: dict[str, object], match: str) -> None:
    with pytest.raises(CohortError, match=match):
        small(**changes)


def test_check_split_by_the_tables_own_patients() -> None:
    table = pd.DataFrame(
        {"image_id": ["3", "1", "2"], "patient_id": ["x", "x", "y"], "covid": [1.0, 0.0, 1.0]}
    )
    with pytest.raises(LeakError, match=r"1 patient \(x\)"):
        check_split(small(), table)


def test_check_split_wants_every_image_assigned_but_allows_fewer() -> None:
    table = pd.DataFrame({"image_id": ["1", "9"], "patient_id": ["a", "z"], "covid": [1.0, 0.0]})
    with pytest.raises(CohortError, match=r"1 image \(9\) is not in the split"):
        check_split(small(), table)
    check_split(small(), table.head(1))


def test_check_split_wants_both_classes_where_asked() -> None:
    table = pd.DataFrame(
        {"image_id": ["1", "2", "3"], "patient_id": ["a", "b", "c"], "covid": [1.0, 0.0, np.nan]}
    )
    check_split(small(), table)
    with pytest.raises(
        CohortError, match="in the train part 'covid' is 1 for 1 and 0 for 0 of 1 images; an AUC needs both"
    ):
        check_split(small(), table, ["covid"])
    with pytest.raises(CohortError, match="no label column 'x'"):
        check_split(small(), table, ["x"])


def test_no_such_part() -> None:
    with pytest.raises(CohortError, match="no part 'dev'"):
        small().images("dev")


# The file.


def test_a_stored_split_reads_back_equal_and_shows_its_hash(tmp_path: Path) -> None:
    split = replace(
        small(),
        image_ids=("007", 'a,"b"', "é"),
        patient_ids=("0012", "1e5", "NA"),
        labels=("Lung Opacity",),
        fold=(2, 5),
    )
    save_split(split, tmp_path / "sub" / "split.csv")
    assert load_split(tmp_path / "sub" / "split.csv") == split
    lines = (tmp_path / "sub" / "split.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# cxrbench split, format 2"
    header = json.loads(lines[1][2:])
    assert len(header.pop("seal")) == 64
    assert header == {
        "dataset": "d",
        "fold": [2, 5],
        "fractions": [0.4, 0.3, 0.3],
        "hash": split.hash,
        "labels": ["Lung Opacity"],
        "seed": 0,
    }
    assert lines[2:] == [
        "image_id,patient_id,part",
        "007,0012,train",
        '"a,""b""",1e5,validation',
        "é,NA,test",
    ]


def test_pandas_reads_the_file_too(tmp_path: Path) -> None:
    save_split(small(), tmp_path / "split.csv")
    frame = pd.read_csv(tmp_path / "split.csv", comment="#", dtype=str)
    assert frame["part"].tolist() == list(PARTS)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("3,c,test", "3,c,train", "changed after it was written"),
        ("3,c,test\n", "", "changed after it was written"),
        ("3,c,test", "3,a,test", "1 patient .a. is in more than one part"),
        ("3,c,test", "3,c", "damaged"),
        ("3,c,test", '3,"c,test', "damaged"),
        ("image_id,patient_id,part", "image_id,part,patient_id", "damaged"),
        ('"seed":0', '"seed":', "damaged"),
        ('"seed":0', '"sead":0', "damaged"),
        ('"seed":0', '"seed":1', "header does not match its seal"),
        ('"dataset":', '"more":1,"dataset":', "header does not match its seal"),
        ('"seal":', '"seel":', "damaged"),
        ('"seed":0', '"seed":Infinity', "damaged"),
        ("format 2", "format 1", "not a split file of this version"),
    ],
)
def test_a_file_that_was_tampered_with(tmp_path: Path, old: str, new: str, match: str) -> None:
    path = tmp_path / "split.csv"
    save_split(small(), path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(CohortError, match=match) as caught:
        load_split(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_split(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no such split file"):
        load_split(tmp_path / "absent.csv")
    with pytest.raises(CohortError, match="cannot be read"):
        load_split(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(CohortError, match="not a split file"):
        load_split(tmp_path / "binary")


def test_load_or_make_makes_once_and_then_reuses(tmp_path: Path) -> None:
    path, table = tmp_path / "split.csv", cohort(100, 50)
    made = load_or_make(path, table, ["covid"], FRACTIONS, 3, dataset="d")
    assert made == split_by_patient(table, ["covid"], FRACTIONS, 3, dataset="d")
    # What is stored counts, not what would be made today.
    kept = replace(made, parts=tuple("train" if p == "validation" else p for p in made.parts))
    save_split(kept, path)
    assert load_or_make(path, table, ["covid"], FRACTIONS, 3, dataset="d") == kept


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seed": 4}, "seed 3, now 4; delete the file"),
        ({"fractions": (0.8, 0.1, 0.1)}, r"fractions \[0.7, 0.1, 0.2\], now \[0.8, 0.1, 0.1\]"),
        ({"labels": ["other"]}, r"labels \['covid'\], now \['other'\]"),
        ({"dataset": "e"}, "dataset 'd', now 'e'"),
        ({"table": cohort(101, 50).assign(other=0.0)}, "0 of the split are gone, 1 are new"),
        ({"table": cohort(100, 50).tail(98).assign(other=0.0)}, "2 of the split are gone, 0 are new"),
        ({"table": cohort(100, 50, seed=9)}, "the patients of the images"),
        ({"official_test": frozenset({"i0000"})}, "the official test list"),
    ],
)
def test_load_or_make_says_what_differs(tmp_path: Path, changes: dict[str, object], match: str) -> None:
    asked: dict[str, object] = {
        "table": cohort(100, 50).assign(other=0.0),
        "labels": ["covid"],
        "fractions": FRACTIONS,
        "seed": 3,
        "dataset": "d",
    }
    load_or_make(tmp_path / "split.csv", **asked)  # type: ignore[arg-type]
    with pytest.raises(CohortError, match=match):
        load_or_make(tmp_path / "split.csv", **{**asked, **changes})  # type: ignore[arg-type]
