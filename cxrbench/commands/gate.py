"""``cxrbench gate``: hold a study against a baseline; the exit code says how it went."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cxrbench.commands._errors import UserError, user_errors
from cxrbench.commands._numbers import number
from cxrbench.commands._paths import PLACE
from cxrbench.trace.parting import KINDS

PASSED, FAILED, CANNOT, NO_BASELINE, CHANGED = 0, 1, 2, 3, 4


@click.command("gate")
@click.argument("results", type=PLACE)
@click.option("--baseline", type=PLACE, required=True, help="Folder of the baseline.")
@click.option("--margin", type=number, help="Loss of AUC that is tolerated.  [default: the baseline's]")
@click.option("--slowdown", type=number, default=1.25, show_default=True, help="How much slower is too slow.")
@click.option("--speed/--no-speed", default=True, show_default=True, help="Compare speeds.")
@click.option(
    "--allow-change",
    "allowed",
    type=click.Choice(KINDS),
    multiple=True,
    help="Which part of the experiment may differ from the baseline's (repeatable).",
)
@click.option(
    "--fail-inconclusive",
    is_flag=True,
    help="Exit 1 also where anything is inconclusive: a scheme, one that was not run, an order, a speed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--junit", type=PLACE, help="Write JUnit XML to this file.")
@click.option("--markdown", type=PLACE, help="Write a Markdown summary to this file.")
@click.pass_context
@user_errors
def command(
    context: click.Context,
    results: Path,
    baseline: Path,
    margin: float | None,
    slowdown: float,
    speed: bool,
    allowed: tuple[str, ...],
    fail_inconclusive: bool,
    as_json: bool,
    junit: Path | None,
    markdown: Path | None,
) -> None:
    """Compare a study (its folder or results.json) with a baseline.

    Exit codes: 0 no regression; 1 a regression, and nothing else; 2 it cannot be said (the message says why:
    nothing could be compared, a file is damaged, a summary cannot be written); 3 no baseline yet; 4 no
    regression, but another experiment than the baseline's. Where GITHUB_STEP_SUMMARY is set, the Markdown
    summary is appended to the file it names.
    """
    from cxrbench.errors import CxrbenchError, GateError
    from cxrbench.gate import formats
    from cxrbench.gate.baseline import NoBaselineError, load_baseline
    from cxrbench.gate.experiment import same_experiment
    from cxrbench.gate.rules import gate
    from cxrbench.report.gate import experiment_lines, gate_markdown, gate_text
    from cxrbench.study.finished import FinishedStudy
    from cxrbench.text import complaint

    if junit is not None and markdown is not None and junit.absolute() == markdown.absolute():
        raise UserError("--junit and --markdown name one file; name two")
    try:
        study = FinishedStudy.open(results)
        try:
            stored = load_baseline(baseline)
        except NoBaselineError as error:
            click.echo(str(error), err=True)
            context.exit(NO_BASELINE)
        try:
            report = gate(study, stored, margin=margin, slowdown=slowdown, speed=speed, allowed=allowed)
        except GateError as error:
            # What makes results incomparable is most often another experiment: then that is the outcome.
            experiment = same_experiment(study, stored, allowed)
            if experiment is None or not experiment.changed:
                raise
            click.echo("\n".join(("CHANGED", *experiment_lines(experiment))))
            click.echo(f"AUCs cannot be compared: {error}", err=True)
            context.exit(CHANGED)
        click.echo(formats.as_json(report) if as_json else gate_text(report))
        if junit is not None:
            _write(junit, formats.as_junit(report, fail_inconclusive))
        if markdown is not None:
            _write(markdown, gate_markdown(report))
        summary = os.environ.get("GITHUB_STEP_SUMMARY")
        if summary:
            _append(Path(summary), gate_markdown(report))
    except (CxrbenchError, click.ClickException, click.exceptions.Exit):
        raise
    except Exception as error:
        # Python's own exit code for these is 1, which here means a regression.
        kind = type(error).__name__
        raise UserError(
            f"the gate itself failed, and says nothing about the study: {kind}: {complaint(error)}"
        ) from error
    failing = {"fail", "inconclusive"} if fail_inconclusive else {"fail"}
    if report.outcome == "changed":
        context.exit(CHANGED)
    context.exit(FAILED if report.outcome in failing else PASSED)


def _write(path: Path, text: str) -> None:
    from cxrbench.files import write_text_atomic

    try:
        write_text_atomic(path, text)
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UserError(f"GITHUB_STEP_SUMMARY: {path} cannot be written: {error.strerror or error}") from None
