"""Frozen dataclasses from TOML tables, with errors that name the key and the nearest right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

from cxrbench.errors import ProfileError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def from_mapping(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Return ``kind(**values)``.

    Raises
    ------
    ProfileError: a key is unknown or missing, or ``kind`` refuses a value; the message begins with ``where``.
    """
    known = [f.name for f in fields(kind)]
    refuse_unknown(values, known, where)
    try:
        return kind(**values)
    except (TypeError, ProfileError) as error:
        raise ProfileError(f"{where}: {_without_constructor(str(error))}") from None


def refuse_unknown(values: Mapping[str, Any], known: list[str], where: str) -> None:
    """Raise ProfileError where ``values`` has a key that is not among ``known``."""
    for key in values:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ProfileError(f"{where}: unknown key {key!r}{hint} (known: {', '.join(known)})")


def _without_constructor(message: str) -> str:
    """Strip ``Kind.__init__() missing 1 required …`` of the name that means nothing in a TOML file."""
    return message.split("__init__() ", 1)[-1].replace("positional argument", "key")
