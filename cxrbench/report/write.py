"""The report as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.errors import CxrbenchError
from cxrbench.files import write_bytes_atomic, write_text_atomic
from cxrbench.report.curves import read_curves
from cxrbench.report.figures import NAMES, draw_figures
from cxrbench.report.markdown import summary
from cxrbench.report.page import page

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy


def write(study: FinishedStudy, directory: Path) -> Path:
    """Write the report; see :func:`cxrbench.report.write_report`."""
    results = study.results
    figures = draw_figures(results, read_curves(study))
    index = directory / "index.html"
    try:
        for figure in figures:
            write_bytes_atomic(_png(directory, figure.name), figure.png)
        # A figure of an earlier report that this study does not give, such as the spread over seeds.
        for name in set(NAMES) - {figure.name for figure in figures}:
            _png(directory, name).unlink(missing_ok=True)
        write_text_atomic(directory / "summary.md", summary(results))
        write_text_atomic(index, page(results, figures))
    except OSError as error:
        raise CxrbenchError(
            f"the report cannot be written to {directory}: {error.strerror}; name another folder"
        ) from None
    return index


def _png(directory: Path, name: str) -> Path:
    return directory / "figures" / f"{name}.png"
