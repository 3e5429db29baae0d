"""An option's number, read as a person reads it."""

from __future__ import annotations

import click

from cxrbench.text import plain_number


def number(value: str | float) -> float:
    """Return the number of a click option's value: not of ``0_05``, which Python takes for 5.

    Raises
    ------
    click.BadParameter: the value is not a number.
    """
    found = plain_number(value) if isinstance(value, str) else float(value)
    if found is None:
        raise click.BadParameter(f"{value!r} is not a number")
    return found


def whole_number(value: str | int) -> int:
    """Return the whole number, from 0, of a click option's value.

    Raises
    ------
    click.BadParameter: the value is not one.
    """
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise click.BadParameter(f"{value!r} is not a whole number")
    try:
        return int(value)
    except ValueError:
        # Python reads no number of thousands of digits.
        raise click.BadParameter("it is too large") from None


def column(value: str) -> str:
    """Return a click option's column name.

    Raises
    ------
    click.BadParameter: it is empty, as from a shell variable that was not set.
    """
    if not value.strip():
        raise click.BadParameter("it names no column")
    return value
