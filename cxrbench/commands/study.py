"""``cxrbench study``: run a profile's study and write its results."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._errors import goes_on, user_errors
from cxrbench.commands._imports import kept_from_the_collector
from cxrbench.commands._predictions import echo_json
from cxrbench.commands._study import study_options
from cxrbench.study.asked import Asked

if TYPE_CHECKING:
    from cxrbench.study.finished import FinishedStudy


@click.command("study")
@study_options()
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--report/--no-report", default=True, help="Write the HTML report to OUT/report.")
@goes_on
@user_errors
def command(asked: Asked, out: Path, quiet: bool, as_json: bool, report: bool) -> None:
    """Train and test the schemes of a profile; what is there already is not done again."""
    with kept_from_the_collector():
        from cxrbench.report.terminal import scheme_table
        from cxrbench.study.progress import Bars, Silent
        from cxrbench.study.run import run_study
        from cxrbench.study.team import follow, leading
        from cxrbench.study.where import Where
        from cxrbench.training.team import joined, this_team, torchrun_size

    profile = asked.load()
    with ExitStack() as stack:
        if torchrun_size() > 1:
            device = stack.enter_context(joined(asked.gpu))
            if this_team().rank > 0:
                follow(device)
                return
            stack.enter_context(leading())
            where = Where(asked.data_root, devices=(device,), cluster=asked.cluster)
        else:
            where = asked.where()
        progress = Silent() if quiet else Bars()
        finished = run_study(profile, out, schemes=asked.scheme, where=where, progress=progress)
    page = None
    if report:
        from cxrbench.report import write_report

        page = write_report(finished, out / "report")
    if as_json:
        echo_json(_summary(finished, page))
        return
    click.echo(scheme_table(finished.results))
    if page:
        click.echo(f"report: {page}")


def _summary(finished: FinishedStudy, page: Path | None) -> dict[str, Any]:
    """Return the table of the schemes, and where the rest lies."""
    from cxrbench.study.results import RESULTS

    results = finished.results
    return {
        "profile": results.profile,
        "synthetic": results.synthetic,
        "seeds": list(results.seeds),
        "images": results.n_images,
        "schemes": [
            {
                "name": scheme.name,
                "notation": scheme.notation,
                "auc": scheme.auc,
                "ci_low": scheme.ci_low,
                "ci_high": scheme.ci_high,
                "verdict": asdict(scheme.verdict),
                "train_seconds": scheme.train_seconds,
            }
            for scheme in results.schemes
        ],
        "results": str(finished.folder / RESULTS),
        "report": str(page) if page else None,
    }
