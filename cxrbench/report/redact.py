"""Paths of a user's machine are cut to the file's name before anything is written that may be passed on."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, TypeVar

T = TypeVar("T")

_WORD = r"[\w.@%+=~$-]+"
# Folders may have spaces in their names. "</b>", "1/2", "and/or" and "https://…" are not paths of a machine.
_PATH = re.compile(
    r"(?<![\w./~\\<])(?!(?<=:)//)"
    r"(?:file:/*(?=/)|~[\w-]*|[A-Za-z]:)?[\\/]{1,2}"
    rf"(?={_WORD})(?:{_WORD}(?: {_WORD})*[\\/]+)*(?:{_WORD})?"
)
_WHOLE = re.compile(r"(?:file:/+|~[\w-]*[\\/]|[A-Za-z]:[\\/]|[\\/])\S")


def file_name(path: str) -> str:
    """Return the last part of a path, of whatever system."""
    return re.split(r"[\\/]+", path.strip().rstrip("\\/"))[-1]


def without_paths(value: T) -> T:
    """Return ``value`` (a record, mapping, sequence or text) with absolute paths cut to the file's name."""
    cleaned: T = _clean(value)
    return cleaned


def without_private_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile's tables with the paths in it cut to file names, relative ones too.

    Paths are in ``study.init.path``, and ``split`` and ``options`` of roles and further tests; absolute ones
    are cut wherever they are.
    """
    cleaned: dict[str, Any] = _clean(settings)
    study = cleaned.get("study", {})
    if isinstance(study.get("init"), dict) and "path" in study["init"]:
        study["init"]["path"] = file_name(study["init"]["path"])
    for role in (*cleaned.get("roles", {}).values(), *cleaned.get("tests", {}).values()):
        if "split" in role:
            role["split"] = file_name(role["split"])
        options: dict[str, Any] = role.get("options", {})
        for name, value in options.items():
            if isinstance(value, str):
                options[name] = file_name(value)
    return cleaned


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return file_name(value) if _WHOLE.match(value) else _PATH.sub(_file_name_of, value)
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, tuple | list):
        return type(value)(_clean(item) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: _clean(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **changed)
    return value


def _mapping(value: Mapping[Any, Any]) -> dict[Any, Any]:
    cleaned: dict[Any, Any] = {}
    for key, item in value.items():
        name = kept = _clean(key)
        number = 1
        # Two reasons that differ only in a path stay two rows.
        while kept in cleaned:
            number += 1
            kept = f"{name} ({number})"
        cleaned[kept] = _clean(item)
    return cleaned


def _file_name_of(match: re.Match[str]) -> str:
    return file_name(match.group())
