"""Doubt: a scheme that reads the scanner is told from one that reads the film."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests

from cxrbench.cohort.pack import pack
from cxrbench.datasets import load
from cxrbench.errors import CxrbenchError
from cxrbench.radiograph import read_header
from cxrbench.statistics.predictions import Predictions
from cxrbench.study.doubt import ALL, COVARIATES, doubt, read_covariates, write_covariates

FIXTURES = Path(__file__).parents[2] / "fixtures"
N = 1200
LABELS = np.random.default_rng(0).permutation(np.arange(N) % 2) == 1
IDS = np.array([f"i{row}" for row in range(N)], dtype=object)
PATIENTS = np.array([f"p{row // 2}" for row in range(N)], dtype=object)


def predictions(name, *scores):
    curves = {f"{name}, seed {seed}": np.asarray(of, dtype=np.float64) for seed, of in enumerate(scores)}
    return Predictions(IDS, LABELS, curves, PATIENTS, pd.DataFrame())


@pytest.fixture(scope="module")
def covariates():
    draws = np.random.default_rng(1)
    bedside = draws.random(N) < np.where(LABELS, 0.85, 0.15)
    return pd.DataFrame(
        {
            "image_id": IDS,
            "view": np.where(bedside, "AP", "PA"),
            "age": draws.integers(20, 90, N).astype(float),
            "sex": pd.Series([None] * N, dtype=object),
            "source": "here",
            "height": 64,
            "width": 64,
            "brightness": draws.normal(120, 10, N),
        }
    ).sample(frac=1, random_state=2)


@pytest.fixture(scope="module")
def found(covariates):
    bedside = covariates.set_index("image_id").loc[IDS, "view"].to_numpy() == "AP"
    noise = [np.random.default_rng(seed).normal(size=N) for seed in range(4)]
    curves = {
        "control": predictions("control", *(bedside * 3 + noise[seed] for seed in (0, 1))),
        "findings": predictions("findings", *(LABELS * 2 + noise[seed] for seed in (2, 3))),
    }
    return doubt(curves, covariates, "0" * 64, "control")


def test_what_goes_with_the_label_is_found_and_the_rest_is_not(found):
    alone = {shortcut.name: shortcut.auc for shortcut in found.shortcuts}
    assert alone["view"] == pytest.approx(0.85, abs=0.03)
    assert alone[ALL] == pytest.approx(0.85, abs=0.03)
    assert alone["age"] == pytest.approx(0.5, abs=0.06)
    assert alone["mean brightness"] == pytest.approx(0.5, abs=0.06)


def test_among_films_of_one_view_only_the_scheme_that_reads_the_film_ranks(found):
    (view,) = [shortcut for shortcut in found.shortcuts if shortcut.name == "view"]
    assert view.within["control"].auc == pytest.approx(0.5, abs=0.05)
    assert view.within["findings"].auc > 0.85
    assert view.within["findings"].strata == 2
    assert view.within["findings"].images == N


def test_what_tells_nothing_apart_is_named_with_the_reason(found):
    assert found.left_out == {
        "sex": "not known",
        "source": "the same in all images",
        "image size": "the same in all images",
    }


def test_subgroups_are_compared_with_the_control_and_adjusted_together(found):
    pairs = found.subgroups
    assert {(pair.a, pair.b) for pair in pairs} == {("findings", "control")}
    assert {pair.value for pair in pairs if pair.by == "view"} == {"AP", "PA"}
    assert {pair.by for pair in pairs} == {"view", "age", "mean brightness"}
    expected = multipletests([pair.p_value for pair in pairs], method="holm")[1]
    assert [pair.p_adjusted for pair in pairs] == pytest.approx(list(expected))
    assert all(pair.difference > 0.2 for pair in pairs if pair.by == "view")


def test_subgroups_stand_in_the_order_of_their_numbers(found):
    ages = list(dict.fromkeys(pair.value for pair in found.subgroups if pair.by == "age"))
    assert ages == ["18-39", "40-59", "60-79", "80+"]
    lower = [
        float(pair.value.partition(" to ")[0]) for pair in found.subgroups if pair.by == "mean brightness"
    ]
    assert lower == sorted(lower)
    assert min(lower) < 100 < max(lower)


def test_view_age_and_sex_come_from_the_header_where_the_tables_do_not_know_them(tmp_path):
    root = FIXTURES / "rsna-pneumonia"
    cohort = load("rsna-pneumonia", root)
    assert cohort.table[["view", "age", "sex"]].isna().all(axis=None)
    packed = pack(cohort, 32, tmp_path / "packs")
    data = SimpleNamespace(cohort=cohort, pack=packed, rows=lambda _: np.arange(len(packed)))
    kept = read_covariates(tmp_path, write_covariates([data], tmp_path))
    for row, path in zip(kept.itertuples(), packed.table["path"], strict=True):
        header = read_header(root / path)
        assert (row.view, row.sex, row.age) == (header.view, header.sex, header.age)
    assert set(kept["view"]) == {"AP", "PA"}


def test_an_age_that_cannot_be_is_not_known(covariates):
    wrong = covariates.assign(age=covariates["age"].where(covariates.index % 7 != 0, -3.0))
    control = predictions("control", LABELS + np.random.default_rng(8).normal(size=N))
    (age,) = [s for s in doubt({"control": control}, wrong, "0" * 64, None).shortcuts if s.name == "age"]
    assert age.unknown == sum(covariates.index % 7 == 0)


def test_a_study_keeps_what_it_knows_of_its_test_images(tiny):
    kept = tiny.results.doubt
    table = read_covariates(tiny.out, kept.sha256)
    assert len(table) == tiny.results.n_images
    assert set(table.columns) >= {"view", "age", "sex", "source", "height", "width", "brightness"}
    assert table["brightness"].between(1, 254).all()
    # A phantom has no file, so that no size is known.
    assert kept.left_out["image size"] == "not known"
    assert (COVARIATES, kept.sha256) in tiny.study.files
    with pytest.raises(CxrbenchError, match="was changed; run the study again"):
        read_covariates(tiny.out, "0" * 64)
