"""The options that name one trained network of a study."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._numbers import whole_number
from cxrbench.commands._paths import PLACE

if TYPE_CHECKING:
    from cxrbench.use.trained import TrainedNetwork


@dataclass(frozen=True)
class Which:
    """Which trained network is meant; None where the best by validation AUC is."""

    trained: Path
    scheme: str | None
    seed: int | None
    fold: int | None

    def find(self) -> TrainedNetwork:
        """Return it.

        Raises
        ------
        CxrbenchError: there is none such.
        """
        from cxrbench.use.trained import find_trained

        return find_trained(self.trained, self.scheme, self.seed, self.fold)


def trained_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the argument TRAINED and the options that choose among a study's networks, as one ``which``."""

    @wraps(command)
    def function(
        trained: Path, scheme: str | None, seed: int | None, fold: int | None, **others: Any
    ) -> None:
        command(which=Which(trained, scheme, seed, fold), **others)

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
