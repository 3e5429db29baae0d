"""Knobs, numbers among the options of a role's data set, by the name ROLE.OPTION: set, and swept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Any

from cxrbench.calibration.records import Knobs
from cxrbench.datasets import adapter, check_options
from cxrbench.errors import DatasetError, ProfileError
from cxrbench.study.profile import Profile
from cxrbench.text import did_you_mean


def with_knobs(profile: Profile, knobs: Knobs) -> Profile:
    """Return ``profile`` with other values of its roles' options; its settings have them too.

    Raises
    ------
    ProfileError: a name is not of the form ROLE.OPTION (or ROLE.TABLE.OPTION), there is no such role or
        option (the message gives the nearest), or its value is out of range.
    """
    roles = dict(profile.roles)
    settings = dict(profile.settings)
    for name, value in knobs.items():
        role, *path = split_knob(name)
        if role not in roles:
            raise ProfileError(
                f"knob {name!r}: profile {profile.name!r} has no role {role!r}{did_you_mean(role, roles)}"
            )
        roles[role] = replace(roles[role], options=_with(roles[role].options, path, value))
        settings["roles"] = _with(settings["roles"], [role, "options", *path], value)
    for role in {split_knob(name)[0] for name in knobs}:
        try:
            check_options(adapter(roles[role].dataset), roles[role].options)
        except DatasetError as error:
            raise ProfileError(f"profile {profile.name!r}: role {role!r}: {error}") from None
    return replace(profile, roles=MappingProxyType(roles), settings=MappingProxyType(settings))


def split_knob(name: str) -> list[str]:
    """Return the parts of a knob's name: a role, and the way to one of its options.

    Raises
    ------
    ProfileError: the name has no two parts.
    """
    parts = name.split(".")
    if len(parts) < 2 or "" in parts:
        raise ProfileError(f"knob {name!r}: write ROLE.OPTION, such as covid.severity_median")
    return parts


def _with(table: Any, path: list[str], value: Any) -> dict[str, Any]:
    """Return a copy of nested tables with another ``value`` at the end of ``path``."""
    first, *rest = path
    inner = table.get(first, {})
    if rest and not isinstance(inner, Mapping):
        raise ProfileError(f"{first!r} is one value and no table, so it has no {'.'.join(rest)!r}")
    return {**table, first: _with(inner, rest, value) if rest else value}


def points(sweep: Mapping[str, tuple[float, ...]]) -> tuple[Knobs, ...]:
    """Return all combinations of the swept knobs' values, the last knob fastest; one empty point of none."""
    return tuple(dict(zip(sweep, values, strict=True)) for values in product(*sweep.values()))


def knobs_text(knobs: Knobs) -> str:
    """Return ``covid.severity_median=0.75,imaging.noise=1``, also good as a folder's name."""
    return ",".join(f"{name}={value:g}" for name, value in knobs.items()) or "as-in-the-profile"
