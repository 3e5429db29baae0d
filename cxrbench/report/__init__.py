"""Results as a person reads them: a table for the terminal, a Markdown summary, an HTML page with figures.

Everything is made from :class:`~cxrbench.study.results.Results` and the prediction files it names; nothing is
trained or measured here. Importing this package imports neither jinja2 nor matplotlib.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.errors import CxrbenchError

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy

__all__ = ["write_report"]

_EXTRA = ("jinja2", "matplotlib")


def write_report(study: FinishedStudy, directory: Path) -> Path:
    """Write ``index.html``, ``summary.md`` and ``figures/*.png`` to ``directory``.

    The page holds its figures and styles in itself, so that one file can be mailed. The same results give the
    same bytes.

    Parameters
    ----------
    directory: where the report goes; made where missing.

    Returns
    -------
    The path of ``index.html``.

    Raises
    ------
    CxrbenchError: jinja2 or matplotlib is not installed, a prediction file is missing or no longer the one
        that the results were computed from, or the report cannot be written.
    """
    try:
        from cxrbench.report.write import write
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _EXTRA:
            raise
        raise CxrbenchError(
            f"the HTML report needs {error.name}, which is not installed: pip install 'cxrbench[report]'"
        ) from None
    return write(study, directory)
