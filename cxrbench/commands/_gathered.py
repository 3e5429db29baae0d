"""Options that are one thing: they arrive at a command as one record."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any

Command = Callable[..., Any]


def gathered(kind: type, name: str) -> Callable[[Command], Command]:
    """Decorate a command so that the options named like fields of ``kind`` arrive as one, ``name``."""

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def wrapper(**given: Any) -> Any:
            values = {field.name: given.pop(field.name) for field in fields(kind) if field.name in given}
            return function(**given, **{name: kind(**values)})

        return wrapper

    return decorate
