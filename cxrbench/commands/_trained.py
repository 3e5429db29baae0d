"""The options that name one trained network of a study."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from cxrbench.commands._numbers import whole_number
from cxrbench.commands._paths import PLACE

F = TypeVar("F", bound=Callable[..., Any])


def trained_options(function: F) -> F:
    """Add the argument TRAINED and the options that choose among a study's networks."""
    for option in reversed(
        [
            click.argument("trained", type=PLACE),
            click.option("--scheme", help="Of a study.  [default: that of the best validation AUC]"),
            click.option(
                "--seed", type=whole_number, help="Of the scheme.  [default: that of the best validation AUC]"
            ),
            click.option(
                "--fold",
                type=whole_number,
                help="Of a cross-validation.  [default: that of the best validation AUC]",
            ),
        ]
    ):
        function = option(function)
    return function
