"""``cxrbench baseline``: keep a study to compare later ones with."""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json


@click.group("baseline")
def command() -> None:
    """Keep a study's predictions, results and speeds as a baseline."""


@command.command("save")
@click.argument("directory", type=PLACE)
@click.option(
    "--study",
    type=PLACE,
    default=Path(".cxrbench/phantom"),
    show_default=True,
    help="The study's folder, or its results.json.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@user_errors
def save(directory: Path, study: Path, as_json: bool) -> None:
    """Save a study as the baseline in DIRECTORY; an older baseline there is replaced."""
    from cxrbench.gate.baseline import save_baseline
    from cxrbench.study.finished import FinishedStudy

    stored = FinishedStudy.open(study)
    save_baseline(stored, directory)
    results = stored.results
    if as_json:
        said = {"profile": results.profile, "schemes": list(results.names), "images": results.n_images}
        echo_json({"baseline": str(directory), **said})
        return
    click.echo(
        f"{directory}: baseline of profile {results.profile}, "
        f"schemes {', '.join(results.names)}, {results.n_images} test images"
    )
