"""A calibrated profile: the profile's own text, with the fitted knobs and the new targets put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import tomlkit

from cxrbench.calibration.knobs import split_knob
from cxrbench.calibration.records import Knobs
from cxrbench.statistics.verdicts import Margin, Target


def calibrated_profile(
    text: str,
    knobs: Knobs,
    targets: Mapping[str, Target],
    claims: Mapping[str, Margin],
    added: Mapping[str, str],
) -> str:
    """Return the profile ``text`` with ``knobs`` set, and a table for each target and claim; all else stays.

    ``added`` are further schemes to register, name -> notation.

    A target that the profile states already loses the keys that the new one has not; targets of other schemes
    are left alone. Whether the profile may assert the paper's claims (``[study] calibrated``) is not decided
    here.
    """
    document = tomlkit.parse(text)
    for name, value in knobs.items():
        role, *tables, option = split_knob(name)
        table = _table(document, "roles")
        for step in (role, "options", *tables):
            table = _table(table, step)
        table[option] = value
    for scheme, notation in added.items():
        _table(document, "schemes")[scheme] = notation
    for kind, stating in (
        ("targets", {scheme: stated(target) for scheme, target in targets.items()}),
        ("claims", {name: asdict(margin) for name, margin in claims.items()}),
    ):
        for name, values in stating.items():
            table = _table(_table(document, kind), name)
            for key in [key for key in table if key not in values]:
                del table[key]
            for key, value in values.items():
                table[key] = value
    return tomlkit.dumps(document)


def stated(target: Target) -> dict[str, Any]:
    """Return what the profile says of ``target``: what is not the default."""
    return {
        field.name: value
        for field in fields(target)
        if (value := getattr(target, field.name)) != field.default
    }


def _table(parent: Any, name: str) -> Any:
    """Return the table ``name`` of ``parent``, made where missing; tomlkit's tables have no one type."""
    if name not in parent:
        parent[name] = tomlkit.table()
    return parent[name]
