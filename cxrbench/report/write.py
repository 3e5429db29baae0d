"""The report as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.errors import CxrbenchError
from cxrbench.files import write_bytes_atomic, write_text_atomic
from cxrbench.report.curves import read_curves
from cxrbench.report.figures import NAMES, ReportFigure, draw_figures
from cxrbench.report.figures.two import two
from cxrbench.report.looks import NAMES as LOOKS
from cxrbench.report.looks import look
from cxrbench.report.markdown import summary
from cxrbench.report.page import page, side_by_side
from cxrbench.report.redact import without_paths
from cxrbench.report.tables import Table, tables
from cxrbench.report.two import two_studies

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy

_PAGE = "index.html"


def write(study: FinishedStudy, directory: Path, private_films: bool) -> Path:
    """Write the report; see :func:`cxrbench.report.write_report`."""
    results = study.results
    figures = draw_figures(results, read_curves(study))
    looks = look(study, private_films)
    with _writing(directory):
        _figures(directory, [*figures, *looks.figures])
        # A figure of an earlier report that this study does not give, such as the spread over seeds.
        for name in {*NAMES, *LOOKS} - {figure.name for figure in (*figures, *looks.figures)}:
            _png(directory, name).unlink(missing_ok=True)
        _tables(directory, tables(without_paths(results), looks.pointing))
        write_text_atomic(directory / "summary.md", summary(results))
        write_text_atomic(directory / _PAGE, page(results, figures, looks))
    return directory / _PAGE


def write_two(a: FinishedStudy, b: FinishedStudy, directory: Path) -> Path:
    """Write two studies side by side; see :func:`cxrbench.report.write_side_by_side`."""
    studies = two_studies(a, b)
    figures = [two(studies)]
    with _writing(directory):
        _figures(directory, figures)
        _tables(directory, {"schemes": studies.table})
        write_text_atomic(directory / _PAGE, side_by_side(studies, figures))
    return directory / _PAGE


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CxrbenchError(
            f"the report cannot be written to {directory}: {error.strerror}; name another folder"
        ) from None


def _figures(directory: Path, figures: Sequence[ReportFigure]) -> None:
    for figure in figures:
        write_bytes_atomic(_png(directory, figure.name), figure.png)


def _tables(directory: Path, made: Mapping[str, Table]) -> None:
    for name, table in made.items():
        write_text_atomic(directory / "tables" / f"{name}.csv", table.csv())
        write_text_atomic(directory / "tables" / f"{name}.tex", table.latex())


def _png(directory: Path, name: str) -> Path:
    return directory / "figures" / f"{name}.png"
