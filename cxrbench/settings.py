"""Frozen dataclasses from TOML tables, with errors that name the key and the nearest right one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, TypeVar

from cxrbench.errors import ProfileError
from cxrbench.text import did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")

# How the dataclasses annotate what is written in TOML, and how a message calls it.
_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "a text in quotes"),
    "int": (int, "a whole number"),
    "float": ((int, float), "a number"),
    "bool": (bool, "true or false"),
    "tuple[str, ...]": ((list, tuple), "a list of texts"),
    "Mapping[str, Any]": (Mapping, "a table"),
}


def from_mapping(kind: type[T], values: object, where: str) -> T:
    """Return ``kind(**values)``.

    Raises
    ------
    ProfileError: ``values`` is not a table, a key is unknown or missing, or a value is of the wrong kind or
        refused by ``kind``; the message begins with ``where``.
    """
    known = [f.name for f in fields(kind)]
    table = as_table(values, where, f"with keys among {', '.join(known)}")
    refuse_unknown(table, known, where)
    try:
        made = kind(**table)
    except ProfileError as error:
        raise ProfileError(f"{where}: {error}") from None
    except (TypeError, ValueError) as error:
        _refuse_wrong_kinds(kind, table, where)
        raise ProfileError(f"{where}: {_without_constructor(str(error))}") from None
    # Only now: what ``kind`` says of a wrong value is more to the point.
    _refuse_wrong_kinds(kind, table, where)
    return made


def as_table(values: object, where: str, such: str) -> Mapping[str, Any]:
    """Return ``values``; raise ProfileError that asks for a table ``such`` where it is none."""
    if not isinstance(values, Mapping):
        raise ProfileError(f"{where}: write a table {such}, not {values!r}")
    return values


def refuse_unknown(values: Mapping[str, Any], known: list[str], where: str) -> None:
    """Raise ProfileError where ``values`` has a key that is not among ``known``."""
    for key in values:
        if key not in known:
            raise ProfileError(
                f"{where}: unknown key {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})"
            )


def _refuse_wrong_kinds(kind: type[DataclassInstance], values: Mapping[str, Any], where: str) -> None:
    for f in fields(kind):
        annotation = str(f.type).removesuffix(" | None")
        if f.name not in values or annotation not in _KINDS:
            continue
        value = values[f.name]
        types, called = _KINDS[annotation]
        # In Python a bool is an int; in TOML `limit = true` is a mistake.
        fits = isinstance(value, types) and (annotation == "bool" or not isinstance(value, bool))
        if fits and annotation == "tuple[str, ...]":
            fits = all(isinstance(item, str) for item in value)
        if not fits:
            raise ProfileError(f"{where}: {f.name} must be {called}, not {value!r}")


def _without_constructor(message: str) -> str:
    """Strip ``Kind.__init__() missing 1 required …`` of the name that means nothing in a TOML file."""
    return message.split("__init__() ", 1)[-1].replace("positional argument", "key")
