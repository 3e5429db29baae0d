"""Options of a data set that are one of a few values, looked at before anything is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cxrbench.errors import DatasetError

SWITCH = (True, False)
"""The values of an option that is on or off."""


def choices(**allowed: Sequence[bool | str]) -> Callable[..., None]:
    """Return an :attr:`Adapter.check <cxrbench.datasets.registry.Adapter>`: option -> the values it may have.

    The function that is returned raises DatasetError for another value.
    """

    def check(**options: object) -> None:
        for name, value in options.items():
            values = allowed.get(name)
            # True is not 1 here, nor "true".
            if values is not None and not any(type(value) is type(one) and value == one for one in values):
                *others, last = [
                    "true" if one is True else "false" if one is False else repr(one) for one in values
                ]
                raise DatasetError(f"{name} must be {', '.join(others)} or {last}, not {value!r}")

    return check
