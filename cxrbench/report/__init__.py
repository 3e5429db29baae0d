"""Results as a person reads them: a table for the terminal, a Markdown summary, an HTML page with figures.

Everything is made from :class:`~cxrbench.study.results.Results` and the prediction files it names; nothing is
trained or measured here. Films, and where networks look, are shown where the study still has its packs and
checkpoints. Importing this package imports neither jinja2 nor matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.errors import CxrbenchError

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy

__all__ = ["write_report", "write_side_by_side"]

_EXTRA = ("jinja2", "matplotlib")


def write_report(study: FinishedStudy, directory: Path, *, private_films: bool = False) -> Path:
    """Write ``index.html``, ``summary.md``, ``figures/*.png`` and ``tables/*`` to ``directory``.

    The page holds its figures and styles in itself, so that one file can be mailed. The same results give the
    same bytes.

    Parameters
    ----------
    directory: where the report goes; made where missing.
    private_films: whether films of data sets that are not declared public are shown.

    Returns
    -------
    The path of ``index.html``.

    Raises
    ------
    CxrbenchError: jinja2 or matplotlib is not installed, a prediction file is missing or no longer the one
        that the results were computed from, or the report cannot be written.
    """
    with _needs_extra():
        from cxrbench.report.write import write
    return write(study, directory, private_films)


def write_side_by_side(a: FinishedStudy, b: FinishedStudy, directory: Path) -> Path:
    """Write the schemes of two studies side by side: ``index.html``, its figure and its tables.

    Returns the path of ``index.html``; raises as :func:`write_report`.
    """
    with _needs_extra():
        from cxrbench.report.write import write_two
    return write_two(a, b, directory)


@contextmanager
def _needs_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise CxrbenchError(
            f"the HTML report needs {error.name}, which is not installed: pip install 'cxrbench[report]'"
        ) from None
