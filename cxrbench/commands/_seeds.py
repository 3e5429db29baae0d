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
    written = [seed.strip() for seed in value.split(",")]
    # int() would take 1_0 for 10, and digits of other scripts.
    if not all(seed.isascii() and seed.removeprefix("-").isdigit() for seed in written):
        raise click.BadParameter("write whole numbers with commas between them, such as 0,1,2")
    return tuple(int(seed) for seed in written)
