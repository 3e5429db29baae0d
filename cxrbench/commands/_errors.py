"""How the command line reports an error: one line on standard error, exit code 2, no traceback."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from cxrbench.errors import CxrbenchError
from cxrbench.study.stopping import Stopped, stoppable
from cxrbench.text import one_line

P = ParamSpec("P")
R = TypeVar("R")


class UserError(click.ClickException):
    """An error that the user can mend: bad input, or a request that cannot be met."""

    exit_code = 2


def user_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command so that a :class:`~cxrbench.errors.CxrbenchError` becomes a :class:`UserError`."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except CxrbenchError as error:
            raise UserError(str(error)) from error
        except BrokenPipeError:
            # Whoever read the output has gone; click ends quietly.
            raise
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise UserError(one_line(f"{place}{error.strerror or error}")) from error

    return wrapper


def goes_on(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a command that goes on where it was stopped, so that it says so: exit code 130 or 143."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with stoppable():
                return function(*args, **kwargs)
        except Stopped as stopped:
            click.echo(str(stopped), err=True)
            raise SystemExit(stopped.exit_code) from None

    return wrapper
