"""Keyed hashes of patients: who may read them back, and when a missing key is said."""

from __future__ import annotations

import pytest
import torch

from cxrbench.datasets import registry
from cxrbench.errors import ProfileError
from cxrbench.study.privacy import VARIABLE, hashed, patient_key
from cxrbench.study.profile import load_profile
from cxrbench.study.progress import Silent
from cxrbench.study.run import run_study


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
    monkeypatch.setattr(registry, "_adapters", dict(registry._adapters))


@pytest.mark.usefixtures("own_registry")
def test_what_is_not_declared_public_is_private():
    for name, facts in (("theirs", {"public": True}), ("ours", {})):
        registry.register(name, title="", marker="", recognises=lambda _: True, **facts)(lambda _: None)
    assert patient_key("theirs", {}) == patient_key("kermany", {})
    with pytest.raises(ProfileError, match=f"'ours' is not declared public.*{VARIABLE}"):
        patient_key("ours", {})
    assert patient_key("ours", {VARIABLE: "k"}) == b"k"


def test_a_hash_tells_patients_apart_and_depends_on_the_key():
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
            data_root=tmp_path / "absent",
            schemes=(),
            devices=(torch.device("cpu"),),
            progress=Silent(),
        )
    assert not (tmp_path / "out").exists()
