"""``cxrbench export``: hand a trained network on, as files for other programs and a model card."""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json
from cxrbench.commands._trained import Which, trained_options

FORMATS = ("state-dict", "torch", "onnx")


@click.command("export")
@trained_options
@click.option("--out", type=PLACE, required=True, help="The folder to write to.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=FORMATS,
    show_default="all of them",
    help="What to write (repeatable): safetensors under the publisher's names, torch.export, ONNX.",
)
@click.option("--json", "as_json", is_flag=True, help="Say in JSON what was done.")
@user_errors
def command(
    which: Which,
    out: Path,
    formats: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write a network of TRAINED to files that other programs read, with its preprocessing and a model card.

    TRAINED is a study's folder, or that of one of its stages. Each file is read back and must give the
    network's scores to 1e-5.
    """
    from cxrbench.files import write_text_atomic
    from cxrbench.report.card import FILE, model_card
    from cxrbench.use.export import FACTS, export

    found = which.find()
    done = export(found, out, tuple(dict.fromkeys(formats)))
    write_text_atomic(out / FILE, model_card(found, done.facts, done.differences))
    if as_json:
        echo_json(
            {
                "network": str(found),
                "chosen": (found.study.chosen if found.study else "") or None,
                "stage": found.folder.key,
                "files": {name: str(path) for name, path in done.files.items()},
                "differences": dict(done.differences),
                "preprocessing": str(out / FACTS),
                "card": str(out / FILE),
                "notes": list(found.notes),
            }
        )
        return
    chosen = f": the {found.study.chosen}" if found.study and found.study.chosen else ""
    click.echo(f"{found}{chosen}")
    for name, path in done.files.items():
        click.echo(f"{path}: {name}, scores within {done.differences[name]:.1e} of the network's")
    click.echo(f"{out / FACTS}\n{out / FILE}")
