"""``cxrbench report``: the report of a finished study, or two studies side by side."""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import user_errors


@click.command("report")
@click.argument("study", type=click.Path(path_type=Path))
@click.argument("other", required=False, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Where the report goes. [default: STUDY/report, or STUDY/side-by-side where two are given]",
)
@click.option(
    "--private-films",
    is_flag=True,
    help="Show films of data sets that are not declared public: who reads the report sees patients.",
)
@user_errors
def command(study: Path, other: Path | None, out: Path | None, private_films: bool) -> None:
    """Write the report of STUDY (its folder or results.json), or of STUDY and OTHER side by side.

    Films, and where the networks look, are shown where the study still has its packs and checkpoints.
    """
    from cxrbench.report import write_report, write_side_by_side
    from cxrbench.study.finished import FinishedStudy

    first = FinishedStudy.open(study)
    if other is None:
        written = write_report(first, out or first.folder / "report", private_films=private_films)
    else:
        if private_films:
            raise click.UsageError("--private-films: two studies side by side show no films")
        second = FinishedStudy.open(other)
        written = write_side_by_side(first, second, out or first.folder / "side-by-side")
    click.echo(f"report: {written}")
