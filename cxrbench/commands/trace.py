"""``cxrbench trace``: do two studies do the same thing, and where do they part?"""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import UserError, user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.trace.parting import KINDS

SAME, CHANGED = 0, 4


@click.command("trace")
@click.argument("now", type=PLACE)
@click.argument("baseline", type=PLACE)
@click.option(
    "--allow-change",
    "allowed",
    type=click.Choice(KINDS),
    multiple=True,
    help="What may differ (may be repeated).",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
@user_errors
def command(
    context: click.Context, now: Path, baseline: Path, allowed: tuple[str, ...], as_json: bool
) -> None:
    """Name the first place where the study NOW parts from BASELINE: folders of studies or baselines.

    Exit codes: 0 the same experiment, 4 the experiment changed, 2 nothing could be compared.
    """
    from cxrbench.trace import text
    from cxrbench.trace.compare import compare_traces
    from cxrbench.trace.records import find_trace

    comparison = compare_traces(find_trace(now), find_trace(baseline))
    if not comparison.same and not comparison.partings:
        raise UserError(
            f"nothing could be compared: {now} and {baseline} have no stage and no prediction in common; run "
            "the same schemes with the same seeds"
        )
    shown = text.as_json(comparison, allowed) if as_json else "\n".join(text.lines(comparison, allowed))
    click.echo(shown)
    context.exit(CHANGED if comparison.changed(allowed) else SAME)
