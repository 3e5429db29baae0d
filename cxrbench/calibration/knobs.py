"""The phantom's knobs by the name PART.KNOB: set on a profile, and all points of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from types import MappingProxyType
from typing import Any

from cxrbench.calibration.records import Knobs
from cxrbench.errors import ProfileError
from cxrbench.study.profile import Profile


def with_knobs(profile: Profile, knobs: Knobs) -> Profile:
    """Return ``profile`` with other values of the phantom's knobs; its settings tell of them too.

    Raises
    ------
    ProfileError: a name is not of the form PART.KNOB, or the profile draws no phantom.
    DatasetError: no such part or knob (the message gives the nearest), or its value is out of range.
    """
    if not knobs:
        return profile
    if not profile.synthetic:
        raise ProfileError(
            f"profile {profile.name!r} draws no phantom, so it has no knob {next(iter(knobs))!r} to set; "
            "leave --sweep away"
        )
    tables: dict[str, dict[str, Any]] = {part: dict(table) for part, table in profile.phantom.items()}
    for name, value in knobs.items():
        part, dot, knob = name.partition(".")
        if not (part and dot and knob):
            raise ProfileError(f"knob {name!r}: write PART.KNOB, such as covid.severity_median")
        tables.setdefault(part, {})[knob] = value
    # Imported here because the phantom renders with torch.
    from cxrbench.datasets.phantom import PhantomConfig

    PhantomConfig.from_mapping(tables)
    return replace(
        profile,
        phantom=MappingProxyType(tables),
        settings=MappingProxyType({**profile.settings, "phantom": tables}),
    )


def points(sweep: Mapping[str, tuple[float, ...]]) -> tuple[Knobs, ...]:
    """Return all combinations of the swept knobs' values, the last knob fastest; one empty point of none."""
    return tuple(dict(zip(sweep, values, strict=True)) for values in product(*sweep.values()))


def knobs_text(knobs: Knobs) -> str:
    """Return ``covid.severity_median=0.75,imaging.noise=1``, also good as a folder's name."""
    return ",".join(f"{name}={value:g}" for name, value in knobs.items()) or "as-in-the-profile"
