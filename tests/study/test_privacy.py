"""Keyed hashes of patients: who may read them back, and when a missing key is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tiny_study
import torch
from PIL import Image

from cxrbench.datasets import registry
from cxrbench.errors import ProfileError
from cxrbench.study.privacy import VARIABLE, hashed, patient_key
from cxrbench.study.profile import load_profile
from cxrbench.study.progress import Silent
from cxrbench.study.results import load_results
from cxrbench.study.run import run_study
from cxrbench.study.where import Where


def test_the_key_is_the_users_where_there_is_one():
    assert (
        patient_key("manifest", {VARIABLE: "ours"}) == patient_key("phantom", {VARIABLE: "ours"}) == b"ours"
    )


def test_public_data_has_a_key_that_all_share_and_private_data_has_none():
    assert patient_key("chestxray14", {}) == patient_key("phantom", {VARIABLE: ""})
    with pytest.raises(ProfileError, match=f"set {VARIABLE} to a secret"):
        patient_key("manifest", {VARIABLE: ""})


@pytest.fixture
def own_registry(monkeypatch):
    for shipped in registry._SHIPPED:
        registry.adapter(shipped)  # What is imported from here on would be forgotten with the test.
    monkeypatch.setattr(registry, "_adapters", dict(registry._adapters))


@pytest.mark.usefixtures("own_registry")
def test_what_is_not_declared_public_is_private():
    for name, facts in (("theirs", {"public": True}), ("ours", {})):
        registry.register(name, title="", marker="", recognises=lambda _: True, **facts)(lambda _: None)
    assert patient_key("theirs", {}) == patient_key("kermany", {})
    with pytest.raises(ProfileError, match=f"'ours' is not declared public.*{VARIABLE}"):
        patient_key("ours", {})
    assert patient_key("ours", {VARIABLE: "k"}) == b"k"


def test_a_hash_separates_patients_and_depends_on_the_key():
    ids = ["7", "7", "8"]
    first, second, third = hashed(ids, b"key")
    assert first == second != third
    assert not {first, third} & set(hashed(ids, b"another"))
    assert all(len(value) == 16 and int(value, 16) >= 0 for value in (first, third))


def test_a_missing_key_is_said_before_anything_is_read(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    # The data root does not exist: reading anything of it would be another error.
    with pytest.raises(ProfileError, match=VARIABLE):
        run_study(
            load_profile("paper"),
            tmp_path / "out",
            where=Where(tmp_path / "absent", devices=(torch.device("cpu"),)),
            progress=Silent(),
        )
    assert not (tmp_path / "out").exists()


FILMS = {
    **tiny_study.MANIFEST,
    "study.image_size": 32,
    "study.patient_ids": "hashed",
    "roles.findings.patients": "north",
    "roles.findings.uncertain": {"Mass": "smoothed"},
    "roles.covid.patients": "south",
}


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    """A study of two hospitals' films, whose lists number their patients alike."""
    root = tmp_path_factory.mktemp("hospital")
    folder = root / "data" / "films"
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    for role, label in (("findings", "Mass"), ("covid", "COVID-19")):
        lines = [f"path,patient_id,{label},ward"]
        for number in range(40):
            name = f"DOE^JANE-{role}-{number}.png"
            Image.fromarray(random.integers(0, 255, (48, 48), dtype=np.uint8)).save(folder / name)
            value = -1 if role == "findings" and number % 8 == 0 else number % 2
            lines.append(f"{name},MRN-77{number},{value},WARDSEVEN")
        (folder / f"{role}.csv").write_text("\n".join(lines) + "\n")
    patch = pytest.MonkeyPatch()
    patch.setenv(VARIABLE, "a key of ours")
    out = root / "out"
    run_study(
        tiny_study.profile({**FILMS, "targets": None}),
        out,
        schemes=("findings",),
        where=Where(root / "data", devices=(torch.device("cpu"),)),
        progress=Silent(),
    )
    yield out
    patch.undo()


def test_no_file_of_a_study_of_private_data_but_one_holds_an_identifier(hospital):
    files = [path for path in hospital.rglob("*") if path.is_file()]
    private = {path for path in files if path.parent.name == "private"}
    assert {path.name for path in private} == {"findings.csv", "covid.csv"}
    names = (b"DOE^JANE", b"MRN-77", b"WARDSEVEN", b"a key of ours")
    for path in set(files) - private:
        content = path.read_bytes()
        assert not [name for name in names if name in content], path.relative_to(hospital)
    for path in private:
        assert path.stat().st_mode & 0o077 == 0


def test_the_private_table_says_whose_every_prediction_is(hospital):
    whose = pd.read_csv(hospital / "private" / "covid.csv", dtype=str)
    assert whose["patient_id"].str.startswith("south/MRN-77").all()
    assert whose["path"].str.startswith("DOE^JANE-covid-").all()
    (path,) = hospital.glob("predictions/seed-0/test/*.csv")
    predicted = pd.read_csv(path, dtype=str)
    joined = predicted.merge(whose, left_on="image_id", right_on="image_hash", suffixes=("", "_plain"))
    assert len(joined) == len(predicted) > 0
    assert (joined["patient_id"] == joined["patient_hash"]).all()


def test_two_hospitals_patients_of_one_number_are_two(hospital):
    north, south = (
        set(pd.read_csv(hospital / "private" / f"{role}.csv")["patient_hash"])
        for role in ("findings", "covid")
    )
    assert len(north) == len(south) == 40
    assert not north & south


def test_what_became_of_uncertain_labels_is_recorded(hospital):
    roles = load_results(hospital / "results.json").roles
    mass = roles["findings"].uncertain["Mass"]
    assert (mass.policy, mass.images) == ("smoothed", 5)
    assert roles["covid"].uncertain == {}
    assert roles["findings"].images == 40
