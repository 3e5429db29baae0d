"""The cohort's contract: what a table must be, and subsets of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from cxrbench.cohort.table import COLUMNS, SMOOTHED, Cohort, FilePixels, check_table, resolve
from cxrbench.errors import CohortError


class Numbered:
    """Pixels that encode the row that was read."""

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        return np.full((size, size), index, np.uint8)

    def fingerprint(self) -> str:
        return "f"


def table_of(n: int = 4, **columns: object) -> pd.DataFrame:
    values = {
        "image_id": [f"i{i}" for i in range(n)],
        "patient_id": [f"p{i // 2}" for i in range(n)],
        "view": ["PA", "AP", "lateral", None][:n],
        "sex": ["F", "M", None, "F"][:n],
        "age": [1.0, float("nan"), 80.5, 40.0][:n],
        "source": ["s"] * n,
        "path": [f"{i}.png" for i in range(n)],
        "covid": [1.0, 0.0, float("nan"), 1.0][:n],
    }
    return pd.DataFrame({**values, **columns})


def cohort_of(table: pd.DataFrame, **changes: object) -> Cohort:
    values: dict[str, object] = {
        "dataset": "d",
        "table": table,
        "labels": ("covid",),
        "pixels": Numbered(),
        "listed": 9,
        "left_out": {"missing": 5},
    }
    return Cohort(**{**values, **changes})  # type: ignore[arg-type]


def test_a_table_that_keeps_the_contract_is_taken() -> None:
    cohort = cohort_of(table_of(extra=list("abcd")), official_test=frozenset({"i0"}))
    assert len(cohort) == 4
    assert tuple(cohort.table.columns[:7]) == COLUMNS


@pytest.mark.parametrize(
    ("table", "labels", "match"),
    [
        (table_of().drop(columns=["view", "age"]), ["covid"], "columns missing: view, age"),
        (table_of(), ["covid", "mass"], "columns missing: mass"),
        (table_of(), [], "no label column"),
        (table_of(0), ["covid"], "no images; check that the folder is complete"),
        (table_of().tail(2), ["covid"], r"index must be 0\.\.n-1"),
        (
            table_of(image_id=["a", "b", "a", "a"]),
            ["covid"],
            "image_id appears twice in 3 rows, first: a, a, a",
        ),
        (table_of(image_id=["a", "", "c", "d"]), ["covid"], "column 'image_id' is empty in 1 rows"),
        (
            table_of(patient_id=["a", None, None, "d"]),
            ["covid"],
            "'patient_id' is empty in 2 rows, first: i1, i2",
        ),
        (
            table_of(view=["PA", "pa", "AP", "LL"]),
            ["covid"],
            "'view' must be one of PA, .* in 2 rows, first: i1, i3",
        ),
        (table_of(sex=["F", "M", "X", None]), ["covid"], "'sex' must be one of M, F or missing in 1 rows"),
        (
            table_of(covid=[1, 2, 0, -1]),
            ["covid"],
            "label 'covid' must be 1, 0 or missing in 2 rows, first: i1, i3",
        ),
        (
            table_of(covid=["1", "yes", None, "0"]),
            ["covid"],
            "'covid' must be 1, 0 or missing in 1 rows, first: i1",
        ),
    ],
)
def test_a_table_that_breaks_it_is_refused_by_name(
    table: pd.DataFrame, labels: list[str], match: str
) -> None:
    with pytest.raises(CohortError, match=match) as caught:
        check_table(table, labels, "d")
    assert str(caught.value).startswith("cohort 'd': ")


def test_a_subset_keeps_rows_pixels_and_the_count_of_what_it_left() -> None:
    cohort = cohort_of(table_of(), official_test=frozenset({"i3"}))
    part = cohort.subset(np.array([False, True, True, True]), "lateral").subset(
        np.array([True, False, True]), "lateral"
    )
    assert part.table["image_id"].tolist() == ["i1", "i3"]
    assert part.left_out == {"missing": 5, "lateral": 2}
    assert (part.listed, part.official_test, part.dataset) == (9, frozenset({"i3"}), "d")
    assert [int(part.pixels.read(k, 2)[0, 0]) for k in range(2)] == [1, 3]
    assert part.pixels.fingerprint() == "f"
    source, rows = resolve(part.pixels, len(part))
    assert source is cohort.pixels
    assert rows.tolist() == [1, 3]


def test_a_whole_cohort_resolves_to_itself() -> None:
    cohort = cohort_of(table_of())
    source, rows = resolve(cohort.pixels, len(cohort))
    assert source is cohort.pixels
    assert rows.tolist() == [0, 1, 2, 3]


def test_what_was_left_out_cannot_be_changed_afterwards() -> None:
    left_out = {"missing": 5}
    cohort = cohort_of(table_of(), left_out=left_out)
    left_out["missing"] = 0
    assert cohort.left_out == {"missing": 5}
    with pytest.raises(TypeError):
        cohort.left_out["missing"] = 1  # type: ignore[index]


def test_a_subset_of_nothing_is_refused() -> None:
    with pytest.raises(CohortError, match="no images"):
        cohort_of(table_of()).subset(np.zeros(4, bool), "all of them")


def test_the_fingerprint_of_files_distinguishes_missing_from_present(tmp_path: Path) -> None:
    pixels = FilePixels(tmp_path, ("a.png", "b.png"))
    nothing = pixels.fingerprint()
    (tmp_path / "a.png").write_bytes(b"x")
    assert len({nothing, pixels.fingerprint(), FilePixels(tmp_path, ("b.png", "a.png")).fingerprint()}) == 3


def test_tables_and_splits_need_neither_torch_nor_image_libraries() -> None:
    code = (
        "import sys\n"
        "import cxrbench.cohort.table, cxrbench.cohort.split, cxrbench.cohort.pack, cxrbench.leaks.audit\n"
        "print(sorted({'torch', 'PIL', 'pydicom', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def uncertain_cohort():
    table = table_of(4)
    table["Edema"] = [1.0, np.nan, 0.0, np.nan]
    table["Mass"] = [1.0, 0.0, np.nan, 1.0]
    table = table.drop(columns="covid")
    table["ward"] = ["ICU", None, "ED", "ICU"]
    table["days"] = [0, 1, 2, 3]
    table["view"] = ["PA", "AP", None, "AP"]
    table["age"] = [18.0, 40.0, np.nan, 90.0]
    return Cohort(
        "ours",
        table,
        ("Edema", "Mass"),
        Numbered(),
        listed=5,
        uncertain={"Edema": np.array([False, True, False, False])},
    )


@pytest.mark.parametrize(
    ("policy", "value"),
    [
        ({}, None),
        ({"Edema": "leave-out", "default": "ones"}, None),
        ({"Edema": "zeros"}, 0.0),
        ({"default": "ones"}, 1.0),
        ({"Edema": "smoothed", "default": "ones"}, SMOOTHED),
    ],
)
def test_uncertain_labels_become_what_the_policy_says_and_no_other_label_changes(policy, value):
    decided = uncertain_cohort().decided(policy)
    cells = decided.table["Edema"].tolist()
    assert (cells[1] == value) if value is not None else np.isnan(cells[1])
    assert cells[0] == 1.0 and cells[2] == 0.0 and np.isnan(cells[3])  # noqa: PT018
    pd.testing.assert_series_equal(decided.table["Mass"], uncertain_cohort().table["Mass"])


def test_a_subset_and_fewer_labels_keep_what_is_uncertain():
    part = uncertain_cohort().subset(np.array([False, True, True, False]), "chosen")
    assert part.uncertain["Edema"].tolist() == [True, False]
    renamed = part.with_labels({"Pulmonary Edema": "Edema"})
    assert renamed.labels == ("Pulmonary Edema",)
    assert dict(renamed.names) == {"Pulmonary Edema": "Edema"}
    assert renamed.decided({"Pulmonary Edema": "ones"}).table["Pulmonary Edema"].tolist() == [1.0, 0.0]
    assert "Mass" not in renamed.table


@pytest.mark.parametrize(
    ("asked", "rows", "reason"),
    [
        ({"view": "PA"}, [0], "view not PA"),
        ({"view": ["AP", "PA"]}, [0, 1, 3], "view not AP or PA"),
        ({"age": (18, 40)}, [0, 1], "age not known, or not 18 to 40 years"),
        ({"age": (41, None)}, [3], "age not known, or not 41 to inf years"),
        ({"ward": "ICU"}, [0, 3], "ward not ICU"),
        ({"days": [1, "3"]}, [1, 3], "days not 1 or 3"),
    ],
)
def test_a_filter_keeps_what_is_asked_for_and_counts_the_rest(asked, rows, reason):
    cohort = uncertain_cohort()
    kept = cohort.filter(**asked)
    assert kept.table["image_id"].tolist() == cohort.table["image_id"].iloc[rows].tolist()
    assert dict(kept.left_out) == {reason: 4 - len(rows)}


def test_filters_add_up_and_one_that_leaves_all_says_nothing():
    cohort = uncertain_cohort()
    assert dict(cohort.filter(view="AP", ward="ICU").left_out) == {"view not AP": 2, "ward not ICU": 1}
    assert cohort.filter() is cohort
    assert dict(cohort.filter(source=cohort.table["source"].unique().tolist()).left_out) == {}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"wrad": "ICU"}, "no column 'wrad'; did you mean 'ward'?"),
        ({"ward": "icu"}, r"no image is left: ward not icu; there are ICU \(2\)"),
        ({"view": "lateral"}, r"view not lateral; there are AP \(2\), .*not known \(1\)"),
        ({"age": (91, None)}, "no image is left: age not known, or not 91"),
    ],
)
def test_a_filter_that_fits_nothing_says_what_there_is(asked, message):
    with pytest.raises(CohortError, match=message.replace("?", r"\?")):
        uncertain_cohort().filter(**asked)
