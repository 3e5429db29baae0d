"""``cxrbench faults``: plant faults into a study's target stage, and say which of them it sees."""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._study import study_options
from cxrbench.study.asked import Asked


@click.command("faults")
@study_options("cluster")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@user_errors
def command(asked: Asked, out: Path, quiet: bool, as_json: bool) -> None:
    """Run a profile's study, then plant one fault after another into one scheme's target stage.

    The scheme is sequential where the study, or --scheme, has it, otherwise the first. Each fault costs one
    training of that stage per seed. The table is shown, and written to OUT as sensitivity.json and
    sensitivity.md.
    """
    from cxrbench.faults import records
    from cxrbench.faults.run import check_one_split, measure
    from cxrbench.files import write_text_atomic
    from cxrbench.report.faults import faults_markdown, faults_text
    from cxrbench.study.progress import Bars, Silent

    profile = asked.load()
    check_one_split(profile)
    progress = Silent() if quiet else Bars()
    study = asked.run(profile, out, progress)
    found = measure(profile, study, schemes=asked.scheme, where=asked.where(), progress=progress)
    text = records.as_json(found)
    write_text_atomic(out / "sensitivity.json", text)
    write_text_atomic(out / "sensitivity.md", faults_markdown(found))
    click.echo(text if as_json else faults_text(found))
