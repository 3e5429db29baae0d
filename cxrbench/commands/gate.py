"""``cxrbench gate``: hold a study against a baseline; the exit code says how it went."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._numbers import number

PASSED, FAILED, NO_BASELINE = 0, 1, 3


@click.command("gate")
@click.argument("results", type=click.Path(path_type=Path))
@click.option("--baseline", type=click.Path(path_type=Path), required=True, help="Folder of the baseline.")
@click.option("--margin", type=number, help="Loss of AUC that is put up with; default: the profile's.")
@click.option("--slowdown", type=number, default=1.25, show_default=True, help="How much slower is too slow.")
@click.option("--fail-inconclusive", is_flag=True, help="Exit 1 where a scheme's verdict is inconclusive.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write a Markdown summary to this file.")
@click.pass_context
@user_errors
def command(
    context: click.Context,
    results: Path,
    baseline: Path,
    margin: float | None,
    slowdown: float,
    fail_inconclusive: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
) -> None:
    """Compare a study (its folder or results.json) with a baseline.

    Exit codes: 0 no regression, 1 a regression, 2 nothing could be compared (the message says why), 3 no
    baseline yet. Where GITHUB_STEP_SUMMARY is set, the Markdown summary is appended to the file it names.
    """
    from cxrbench.files import write_text_atomic
    from cxrbench.gate import formats
    from cxrbench.gate.baseline import NoBaselineError, load_baseline
    from cxrbench.gate.rules import gate
    from cxrbench.study.finished import FinishedStudy

    study = FinishedStudy.open(results)
    try:
        stored = load_baseline(baseline)
    except NoBaselineError as error:
        click.echo(str(error), err=True)
        context.exit(NO_BASELINE)
    report = gate(study, stored, margin=margin, slowdown=slowdown)
    click.echo(formats.as_json(report) if as_json else formats.as_text(report))
    if junit is not None:
        write_text_atomic(junit, formats.as_junit(report, fail_inconclusive))
    if markdown is not None:
        write_text_atomic(markdown, formats.as_markdown(report))
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(formats.as_markdown(report))
    failing = {"fail", "inconclusive"} if fail_inconclusive else {"fail"}
    context.exit(FAILED if report.outcome in failing else PASSED)
