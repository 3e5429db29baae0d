"""A path on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click


class _Place(click.Path):
    """A path that is named: an empty one is a shell variable that was not set, and not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if str(value) == "" or "\0" in str(value):
            self.fail("it names nothing; write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


PLACE = _Place(path_type=Path)
