"""Profiles of studies that take seconds: everything is there, and nothing means anything."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import tomlkit

from cxrbench.study.profile import Profile, parse_profile

NAME = "tiny.toml"

_STUDY = {
    "name": "tiny",
    "title": "Tiny",
    "image_size": 32,
    # Of torchvision's networks the one that trains fastest.
    "network": "shufflenet_v2_x0_5",
    "init": {"kind": "random"},
    "data_seed": 5,
    "seeds": [0],
    "target": "covid",
    "label": "COVID-19",
}
_ROLES: dict[str, dict[str, Any]] = {
    "findings": {
        "dataset": "phantom",
        "validation": 0.3,
        "labels": ["Effusion", "Infiltration"],
        "options": {"cohort": "findings", "n_images": 60},
    },
    "pneumonia": {
        "dataset": "phantom",
        "validation": 0.3,
        "options": {"cohort": "pneumonia", "n_images": 40},
    },
    "covid": {
        "dataset": "phantom",
        "validation": 0.3,
        "options": {"cohort": "covid", "n_images": 80, "n_test_images": 60},
    },
}
_STAGES = {"default": {"epochs": 1, "batch_size": 16}}
_TARGETS = {"control": {"at_least": 0.01, "source": "an AUC that any network has"}}


def profile_text(
    changes: Mapping[str, Any] | None = None, roles: tuple[str, ...] = ("findings", "covid")
) -> str:
    """Return a profile of phantoms at 32 px, of one epoch and one seed, as TOML.

    ``changes``: where a value stands, with dots (``"roles.covid.validation"``), -> the value to be there
    instead; None takes it out.
    """
    tables: dict[str, Any] = copy.deepcopy(
        {
            "study": _STUDY,
            "roles": {role: _ROLES[role] for role in roles},
            "stages": _STAGES,
            "targets": _TARGETS,
        }
    )
    for place, value in (changes or {}).items():
        *above, key = place.split(".")
        table = tables
        for name in above:
            table = table.setdefault(name, {})
        if value is None:
            del table[key]
        else:
            table[key] = copy.deepcopy(value)
    return tomlkit.dumps(tables)


def profile(
    changes: Mapping[str, Any] | None = None, roles: tuple[str, ...] = ("findings", "covid")
) -> Profile:
    """Return :func:`profile_text`, parsed."""
    return parse_profile(profile_text(changes, roles), NAME)


MANIFEST = {
    "study.image_size": 64,
    "study.patient_ids": "plain",
    "roles.findings": {
        "dataset": "manifest",
        "validation": 0.25,
        "options": {"file": "findings.csv", "labels": ["Mass"]},
    },
    "roles.covid": {
        "dataset": "manifest",
        "validation": 0.25,
        "test": 0.5,
        "options": {"file": "covid.csv", "labels": ["COVID-19"]},
    },
}
"""Changes for a study of two lists of films, ``findings.csv`` and ``covid.csv``."""
