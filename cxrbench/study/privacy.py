"""Identifiers of patients and images in what a study writes: keyed hashes.

A keyed hash (HMAC-SHA256) separates the images of one patient from another's and cannot be turned back
without the key. The key is the environment variable ``CXRBENCH_PATIENT_KEY``.

Of data that is not declared public, patient ids and image ids (which may be file names) are hashed when the
cohort is made, before anything is written: splits, packs, audits and predictions hold hashes only, and no
column that the cohort carries along. The one table that says which hash belongs to whom is
``private/ROLE.csv`` in the study's folder.

Of public data, whose identifiers anyone has, patient ids in prediction files alone are hashed, under a fixed
key where the variable is not set, so that two machines write the same files.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from cxrbench.cohort.table import COLUMNS, Cohort
from cxrbench.datasets import adapter
from cxrbench.errors import ProfileError
from cxrbench.files import atomic_path
from cxrbench.study.profile import Profile

VARIABLE = "CXRBENCH_PATIENT_KEY"
FOLDER = "private"
_PUBLIC_KEY = "cxrbench public data"


def patient_key(dataset: str, environment: Mapping[str, str] = os.environ) -> bytes:
    """Return the key for the patients of ``dataset``.

    Raises
    ------
    ProfileError: the data set is not declared public and the variable is not set.
    DatasetError: no data set has that name.
    """
    key = key_of_variable(environment)
    if key is not None:
        return key
    if not adapter(dataset).public:
        raise ProfileError(
            f"data set {dataset!r} is not declared public, so its patient ids are written as keyed hashes: "
            f"set {VARIABLE} to a secret of yours (keep it, to compare with later runs), or set "
            "patient_ids = 'plain' in the profile"
        )
    return _PUBLIC_KEY.encode()


def key_of_variable(environment: Mapping[str, str] = os.environ) -> bytes | None:
    """Return the user's key; None where the variable is not set."""
    return environment.get(VARIABLE, "").encode() or None


def hashed(ids: Iterable[str], key: bytes) -> list[str]:
    """Return the keyed hashes of ``ids``, 16 hex digits each."""
    return [hmac.new(key, str(one).encode(), hashlib.sha256).hexdigest()[:16] for one in ids]


def written_patients(profile: Profile, role: str, patient_ids: Iterable[str]) -> list[str]:
    """Return the patient ids of a role's images as prediction files hold them.

    Raises
    ------
    ProfileError: as :func:`patient_key`.
    """
    dataset = profile.cohorts[role].dataset
    # Those of private data are hashes already.
    if profile.patient_ids == "plain" or not adapter(dataset).public:
        return [str(patient) for patient in patient_ids]
    return hashed(patient_ids, patient_key(dataset))


def keep_private(
    profile: Profile, role: str, cohort: Cohort, folder: Path, say: Callable[[str], None]
) -> Cohort:
    """Return the role's cohort as the study's files may hold it: public data, and "plain", as it is.

    Parameters
    ----------
    folder: where ``private/ROLE.csv`` is written, readable by its owner alone: whose each hash is.
    say: called with one line where another table is there.

    Raises
    ------
    ProfileError: the key is not set, or the table cannot be written.
    """
    dataset = profile.cohorts[role].dataset
    if profile.patient_ids == "plain" or adapter(dataset).public:
        return cohort
    return hash_ids(cohort, patient_key(dataset), folder / FOLDER / f"{role}.csv", say)


def hash_ids(cohort: Cohort, key: bytes, path: Path, say: Callable[[str], None] | None = None) -> Cohort:
    """Return ``cohort`` with hashes for ids and paths, and without the columns that it carries along.

    Parameters
    ----------
    path: where the table is written that says whose each hash is, readable by its owner alone.
    say: called with one line where another table is there.

    Raises
    ------
    ProfileError: the table cannot be written.
    """
    names = cohort.table["image_id"]
    # Other words than for patients, so that one id gives two hashes where it names both.
    images = dict(zip(names, hashed((f"image {name}" for name in names), key), strict=True))
    table = cohort.table[[*COLUMNS, *cohort.labels]].copy()
    table["image_id"] = table["image_id"].map(images)
    table["patient_id"] = hashed(table["patient_id"], key)
    table["path"] = table["image_id"]
    whose = pd.DataFrame(
        {
            "image_hash": table["image_id"],
            "patient_hash": table["patient_id"],
            **{column: cohort.table[column] for column in ("image_id", "patient_id", "path")},
        }
    )
    text = whose.to_csv(index=False, lineterminator="\n").encode(errors="surrogateescape")
    try:
        if not (path.is_file() and path.read_bytes() == text):
            if path.exists() and say is not None:
                say(f"{path}: it was changed, or the data were; it is written again")
            with atomic_path(path) as temporary:
                temporary.touch(mode=0o600)
                temporary.write_bytes(text)
    except OSError as error:
        raise ProfileError(f"{path}: cannot be written: {error.strerror}") from None
    official = frozenset(images[image] for image in cohort.official_test if image in images)
    return replace(cohort, table=table, official_test=official)
