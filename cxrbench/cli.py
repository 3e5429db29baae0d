"""The command line: ``cxrbench COMMAND``. A command's module is imported when that command is called.

Modules under :mod:`cxrbench.commands` import only what is cheap at their top: ``--help`` answers at once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path

import click

from cxrbench import __version__

_COMMANDS = {
    "schemes": "cxrbench.commands.schemes",
    "profiles": "cxrbench.commands.profiles",
    "data": "cxrbench.commands.data",
    "study": "cxrbench.commands.study",
    "report": "cxrbench.commands.report",
    "calibrate": "cxrbench.commands.calibrate",
    "predict": "cxrbench.commands.predict",
    "export": "cxrbench.commands.export",
    "evaluate": "cxrbench.commands.evaluate",
    "compare": "cxrbench.commands.compare",
    "power": "cxrbench.commands.power",
    "faults": "cxrbench.commands.faults",
    "baseline": "cxrbench.commands.baseline",
    "gate": "cxrbench.commands.gate",
    "trace": "cxrbench.commands.trace",
    "doctor": "cxrbench.commands.doctor",
}


class _NoFolderError(click.ClickException):
    exit_code = 2


class _LazyGroup(click.Group):
    """A group whose commands are found in modules by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command = import_module(_COMMANDS[cmd_name]).command
        assert isinstance(command, click.Command)
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            # Click would end with 1, which the gate calls a regression.
            click.echo("stopped", err=True)
            ctx.exit(130)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, package_name="cxrbench")
def main() -> None:
    """Did a chest-radiograph classifier get better or worse?"""
    # A terminal that has no sign for a character shows its number, and nothing stops after hours of training.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        Path.cwd()
    except OSError:
        raise _NoFolderError("the current folder is gone or closed to you; change to another") from None
