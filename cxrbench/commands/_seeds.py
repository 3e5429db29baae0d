"""An option's list of training seeds, such as ``0,1,2``."""

from __future__ import annotations

import click


def seeds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:  # noqa: ARG001
    """Return the numbers of a click option's value; none where it is not given.

    Raises
    ------
    click.BadParameter: the value is not whole numbers with commas between them.
    """
    if value is None:
        return ()
    try:
        return tuple(int(seed) for seed in value.split(","))
    except ValueError:
        raise click.BadParameter("write whole numbers with commas between them, such as 0,1,2") from None
