"""The options of every command that runs a study: those of :class:`~cxrbench.study.asked.Asked`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields

import click

from cxrbench.commands._gathered import Command, gathered
from cxrbench.commands._paths import PLACE
from cxrbench.errors import ProfileError
from cxrbench.study.asked import Asked, read_seeds


def study_options(*left_out: str) -> Callable[[Command], Command]:
    """Add ``--out``, ``--quiet`` and the fields of ``Asked``, which arrive as one argument, ``asked``."""

    def decorate(function: Command) -> Command:
        options = [
            click.option(
                f"--{field.name.replace('_', '-')}",
                is_flag=isinstance(field.default, bool),
                multiple=isinstance(field.default, tuple),
                type={"jobs": int, "data_root": PLACE}.get(field.name),
                default=field.default,
                metavar=field.metadata["metavar"],
                help=f"{field.metadata['help'][0].upper()}{field.metadata['help'][1:]}.",
            )
            for field in fields(Asked)
            if field.name not in left_out
        ]
        options.append(
            click.option(
                "--out",
                type=PLACE,
                required=True,
                help="The study's folder; what is there already is not trained again.",
            )
        )
        options.append(click.option("--quiet", is_flag=True, help="No progress bars."))
        return functools.reduce(
            lambda to, option: option(to), reversed(options), gathered(Asked, "asked")(function)
        )

    return decorate


def seeds(ctx: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, ...]:  # noqa: ARG001
    """Return the numbers of a click option's value; none where it is not given.

    Raises
    ------
    click.BadParameter: the value is not whole numbers with commas between them.
    """
    try:
        return read_seeds(value)
    except ProfileError as error:
        raise click.BadParameter(str(error)) from None
