"""The leak audit: named, counted, and what to leave out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from cxrbench.cohort.pack import Pack
from cxrbench.errors import LeakError
from cxrbench.leaks.audit import Duplicate, LeakReport, SharedPatient, audit


def film(seed: int) -> npt.NDArray[np.uint8]:
    noise = gaussian_filter(np.random.default_rng(seed).standard_normal((64, 64)), 1.5)
    return np.clip(128 + 40 * noise / noise.std(), 0, 255).astype(np.uint8)


def pack_of(dataset: str, films: list[int], patients: list[str]) -> Pack:
    return Pack(
        dataset=dataset,
        table=pd.DataFrame(
            {"image_id": [f"{dataset}-{n}" for n in range(len(films))], "patient_id": patients}
        ),
        labels=("label",),
        pixels=np.stack([film(seed) for seed in films]),
        key="k",
        content="c",
        left_out=(),
        directory=Path(),
    )


def rows(*numbers: int) -> npt.NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


NIH = pack_of("nih", [0, 1, 2, 3, 4], ["a", "a", "b", "c", "d"])
RSNA = pack_of("rsna", [9, 3, 1], ["a", "x", "y"])


def test_nothing_is_found_where_nothing_is_shared() -> None:
    report = audit([("findings", NIH, rows(0, 2, 4))], ("pneumonia", RSNA, rows(0, 1, 2)))
    assert report == LeakReport("pneumonia")
    report.raise_if_any()
    assert report.drop_train_copies() == {}


def test_a_film_under_another_name_is_found_and_named() -> None:
    report = audit(
        [("findings", NIH, rows(0, 1, 2, 3, 4)), ("pneumonia", RSNA, rows(0))],
        ("pneumonia", RSNA, rows(1, 2)),
    )
    assert [(p.train_role, p.train_image_id, p.test_image_id) for p in report.pairs] == [
        ("findings", "nih-1", "rsna-2"),
        ("findings", "nih-3", "rsna-1"),
    ]
    assert all(p.similarity == pytest.approx(1.0, abs=1e-4) for p in report.pairs)
    with pytest.raises(LeakError) as caught:
        report.raise_if_any()
    assert str(caught.value) == (
        "leak into the test images of role 'pneumonia': training images that show a tested film: 2 "
        "(findings nih-1 is rsna-2 (1.00); findings nih-3 is rsna-1 (1.00)); patients both trained and "
        "tested on: 1 (findings a); set on_leak = 'drop-train' in the profile to leave these training images "
        "out"
    )
    # Film 1 shows that patient "a" is tested: their other film must go, too. Patient "c" has no other.
    assert report.patients == (SharedPatient("findings", "a", ("nih-0", "nih-1")),)
    assert report.drop_train_copies() == {"findings": frozenset({"nih-0", "nih-1", "nih-3"})}


def test_after_dropping_nothing_is_left() -> None:
    test = ("pneumonia", RSNA, rows(1, 2))
    dropped = audit([("findings", NIH, rows(0, 1, 2, 3, 4))], test).drop_train_copies()["findings"]
    kept = np.flatnonzero(~NIH.table["image_id"].isin(dropped).to_numpy())
    audit([("findings", NIH, kept)], test).raise_if_any()


def test_rows_that_are_not_trained_on_do_not_count() -> None:
    assert audit([("findings", NIH, rows(0, 2))], ("pneumonia", RSNA, rows(0, 1, 2))).pairs == ()
    assert audit([("findings", NIH, rows(0, 1, 2))], ("pneumonia", RSNA, rows(0, 1))).pairs == ()


def test_patients_are_compared_within_a_data_set_only() -> None:
    other_role = audit([("findings", NIH, rows(0, 2, 3))], ("covid", NIH, rows(1, 4)))
    assert other_role.patients == (SharedPatient("findings", "a", ("nih-0",)),)
    assert other_role.drop_train_copies() == {"findings": frozenset({"nih-0"})}
    with pytest.raises(
        LeakError, match=r"patients both trained and tested on: 1 \(findings a\); set on_leak"
    ):
        other_role.raise_if_any()
    # Patient "a" of another data set is somebody else.
    assert audit([("findings", NIH, rows(0))], ("pneumonia", RSNA, rows(0))).patients == ()


def test_ten_are_named_and_all_are_counted() -> None:
    pairs = tuple(Duplicate("findings", f"t{n:02d}", f"e{n:02d}", 0.99) for n in range(13))
    patients = tuple(SharedPatient("findings", f"p{n:02d}", (f"t{n:02d}",)) for n in range(11))
    with pytest.raises(LeakError) as caught:
        LeakReport("covid", pairs, patients).raise_if_any()
    message = str(caught.value)
    assert "training images that show a tested film: 13 (" in message
    assert "findings t09 is e09 (0.99) and 3 more)" in message
    assert "t10" not in message
    assert "tested on: 11 (" in message
    assert "p09 and 1 more)" in message


def test_one_training_image_that_is_two_test_images_counts_once() -> None:
    pairs = (Duplicate("findings", "t", "e1", 1.0), Duplicate("findings", "t", "e2", 0.9))
    with pytest.raises(LeakError, match="tested film: 1 "):
        LeakReport("covid", pairs).raise_if_any()


def test_no_rows_at_all() -> None:
    assert audit([], ("covid", RSNA, rows(0))) == LeakReport("covid")
    assert audit([("findings", NIH, rows())], ("covid", RSNA, rows(0))) == LeakReport("covid")
    assert audit([("findings", NIH, rows(0))], ("covid", NIH, rows())) == LeakReport("covid")


def test_a_stored_report_is_used_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = [("findings", NIH, rows(0, 1, 2, 3, 4))], ("pneumonia", RSNA, rows(0, 1, 2))
    shared = [*train, ("covid", RSNA, rows(0, 2))]
    first = audit(shared, test, store=tmp_path)
    assert first == audit(shared, test)
    assert first.pairs
    assert first.patients

    def refuse(*_: object) -> None:
        raise AssertionError("audited again")

    monkeypatch.setattr("cxrbench.leaks.audit.search", refuse)
    assert audit(shared, test, store=tmp_path) == first
    changes = [
        (train, test, 0.75),
        (shared, ("pneumonia", RSNA, rows(0, 1)), 0.75),
        (shared, ("other", RSNA, rows(0, 1, 2)), 0.75),
        (shared, ("pneumonia", replace(RSNA, content="d"), rows(0, 1, 2)), 0.75),
        (shared, test, 0.8),
    ]
    for changed in changes:
        with pytest.raises(AssertionError, match="audited again"):
            audit(*changed, store=tmp_path)
    (stored,) = tmp_path.iterdir()
    whole = stored.read_text()
    for damaged in (whole[:-5], whole.replace('"findings"', '"pneumonia"', 1), "{}"):
        stored.write_text(damaged)
        said: list[str] = []
        with pytest.raises(AssertionError, match="audited again"):
            audit(shared, test, store=tmp_path, say=said.append)
        (line,) = said
        assert line.startswith(str(stored))
