"""``cxrbench data``: what a data set's folder holds."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.text import one_line, plural

if TYPE_CHECKING:
    from cxrbench.datasets.check import Counts, Reading


@click.group("data")
def command() -> None:
    """Look at the folders of radiographs that a study reads."""


def _options(
    ctx: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> dict[str, Any]:
    """Return the options of a data set; a value that is not TOML is a text."""
    options = {}
    for text in value:
        name, equals, written = text.partition("=")
        if not equals or name in options:
            raise click.BadParameter(f"{text!r}: write NAME=VALUE, each name once")
        try:
            options[name] = tomllib.loads(f"value = {written}")["value"]
        except (ValueError, RecursionError):  # also of thousands of digits or brackets
            options[name] = written
    return options


@command.command("check")
@click.argument("name")
@click.argument("root", type=PLACE)
@click.option("--read/--no-read", "read_files", default=True, help="Read every image file.  [default: read]")
@click.option("--allow-missing", is_flag=True, help="The folder is meant to hold only part of the list.")
@click.option(
    "--option",
    "options",
    callback=_options,
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the data set, with a value as in a role's options: laterals=true, file=films.csv, "
    "labels=['Edema'].",
)
@click.option("--links", is_flag=True, help="Allow links that lead out of the folder.")
@click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    help="Pixels of the largest picture that is decoded.  [default: 67,108,864]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@user_errors
def check(
    name: str,
    root: Path,
    read_files: bool,
    allow_missing: bool,
    options: dict[str, Any],
    links: bool,
    max_pixels: int | None,
    as_json: bool,
) -> None:
    """Count the images, patients and labels of data set NAME in ROOT, or in the one folder in ROOT that fits.

    Pictures that came out almost black, almost white, or with hardly any grey levels are listed.

    Exits with 1 where listed files are missing or cannot be read, and with 2 where the folder cannot be
    understood at all.
    """
    from cxrbench.datasets import discover, load
    from cxrbench.datasets.check import count, problems

    folder = discover(root, name, **options)
    cohort = load(name, folder, links=links, **options)
    readings = _read_files(folder, cohort.table["path"].tolist(), max_pixels or 0) if read_files else []
    counts = count(cohort, readings)
    broken = [reading for reading in readings if reading.error is not None]
    odd = [(reading.path, reading.faults) for reading in readings if reading.faults]
    wrong = problems(counts, broken, allow_missing=allow_missing)
    if as_json:
        result = {
            **counts.as_json(),
            "read": len(readings) - len(broken) if read_files else None,
            "broken": [{"path": reading.path, "reason": reading.error} for reading in broken],
            "odd_pictures": [{"path": path, "faults": list(faults)} for path, faults in odd],
            "problems": wrong,
        }
        click.echo(json.dumps(result, indent=2, ensure_ascii=False))
    else:
        click.echo(_as_text(counts, folder, len(readings) - len(broken) if read_files else None))
        if odd:
            click.echo(f"\npictures that may not be radiographs: {len(odd):,}")
            click.echo("\n".join(f"  {one_line(path)}: {', '.join(faults)}" for path, faults in odd))
    for line in wrong:
        click.echo(f"Error: {line}", err=True)
    if wrong:
        click.get_current_context().exit(1)


def _read_files(folder: Path, paths: list[str], max_pixels: int) -> list[Reading]:
    from cxrbench.datasets.check import read_all

    readings = read_all(folder, paths, max_pixels=max_pixels)
    if not sys.stderr.isatty():
        return list(readings)
    with click.progressbar(length=len(paths), label="reading", file=sys.stderr) as bar:
        done = []
        for reading in readings:
            done.append(reading)
            bar.update(1)
        return done


def _as_text(counts: Counts, folder: Path, read: int | None) -> str:
    from tabulate import tabulate

    from cxrbench.datasets.check import remaining
    from cxrbench.datasets.folder import shortened

    steps: list[tuple[str, int | str, int]] = [("listed", "", counts.listed)]
    steps += [(reason, number, left) for reason, number, left in remaining(counts)]
    label_rows = [(label, *numbers) for label, numbers in counts.labels.items()]
    parts = [
        f"{counts.dataset} in {folder}: {counts.images:,} images of {counts.patients:,} patients",
        tabulate(steps, headers=("", "left out", "images"), intfmt=","),
        tabulate(label_rows, headers=("label", "positive", "negative", "uncertain", "unknown"), intfmt=","),
    ]
    tallies = {"view": counts.views, "sex": counts.sexes, **counts.others}
    facts = [f"{title}: {_tally(tally)}" for title, tally in tallies.items()]
    if counts.official_test:
        facts.append(f"official test: {counts.official_test:,} images")
    if counts.unlisted:
        facts.append(
            f"here but in no list: {plural(len(counts.unlisted), 'image')} ({shortened(counts.unlisted)})"
        )
    facts += [f"note: {note}" for note in counts.notes]
    facts.append(
        "files were not read" if read is None else f"read whole: {read:,} of {counts.images:,} files"
    )
    return "\n\n".join([*parts, "\n".join(facts)])


def _tally(tally: dict[str, int]) -> str:
    return "; ".join(f"{value} ({number:,})" for value, number in tally.items())
