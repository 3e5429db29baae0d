"""Patient identifiers in what leaves the machine: keyed hashes.

A keyed hash (HMAC-SHA256) tells images of one patient apart from another's and cannot be turned back
without the key. The key is the environment variable ``CXRBENCH_PATIENT_KEY``. Where it is not set, a fixed
key is used for data sets that are declared public, whose identifiers anyone has, so that two machines write
the same prediction files; all other data asks for the variable.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping

from cxrbench.datasets import adapter
from cxrbench.errors import ProfileError

VARIABLE = "CXRBENCH_PATIENT_KEY"
_PUBLIC_KEY = "cxrbench public data"


def patient_key(dataset: str, environment: Mapping[str, str] = os.environ) -> bytes:
    """Return the key for the patients of ``dataset``.

    Raises
    ------
    ProfileError: the data set is not declared public and the variable is not set.
    DatasetError: no data set has that name.
    """
    key = environment.get(VARIABLE, "")
    if key:
        return key.encode()
    if not adapter(dataset).public:
        raise ProfileError(
            f"data set {dataset!r} is not declared public, so its patient ids are written as keyed hashes: "
            f"set {VARIABLE} to a secret of yours (keep it, to compare with later runs), or set "
            "patient_ids = 'plain' in the profile"
        )
    return _PUBLIC_KEY.encode()


def hashed(patient_ids: Iterable[str], key: bytes) -> list[str]:
    """Return the keyed hashes of ``patient_ids``, 16 hex digits each."""
    return [hmac.new(key, str(p).encode(), hashlib.sha256).hexdigest()[:16] for p in patient_ids]
