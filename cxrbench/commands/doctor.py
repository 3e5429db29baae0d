"""``cxrbench doctor``: what is here, what is missing, and what to expect of this machine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json, echo_table

if TYPE_CHECKING:
    from cxrbench.doctor.machine import Machine, Torch

_LITTLE = 2.0
"""GiB of free disk below which a study may not fit."""


@click.command("doctor")
@click.option("--data-root", type=PLACE, help="Look for the data sets in this folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="Where a study would be written.  [default: here]",
)
@click.option("--speed/--no-speed", default=True, show_default=True, help="Time a few steps (5 s at most).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
@user_errors
def command(context: click.Context, data_root: Path | None, out: Path, speed: bool, as_json: bool) -> None:
    """Say what is installed, which images can be read, what the hardware can do, and what is missing.

    Exits with 1 where something that is installed does not work.
    """
    from cxrbench.doctor.decoders import decoders
    from cxrbench.doctor.machine import data_sets, look, look_at_torch, weights

    machine = look((out,))
    missing = {extra.name: extra.missing for extra in machine.extras}
    tried = [] if missing["images"] else list(decoders())
    torch = look_at_torch()
    trains = torch is not None and not missing["train"] and not missing["images"]
    published = weights() if torch is not None else None
    found = data_sets(data_root) if data_root is not None else None
    speeds = _speeds() if speed and trains else []
    problems = [f"{one.stored} cannot be read: {one.fault}" for one in tried if one.fault]
    problems += [
        f"{folder}: {free:g} GiB are free" for folder, free in machine.disk.items() if free < _LITTLE
    ]
    result: dict[str, Any] = {
        **asdict(machine),
        "torch": None if torch is None else asdict(torch),
        "decoders": [asdict(one) for one in tried],
        "weights": published,
        "data_sets": found,
        "speeds": speeds,
        "problems": problems,
    }
    if as_json:
        echo_json(result)
    else:
        _show(machine, torch, result)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        context.exit(1)


def _speeds() -> list[dict[str, Any]]:
    import torch

    from cxrbench.doctor.speed import SECONDS, measure

    sizes = {"cpu": 64, **({"cuda": 224} if torch.cuda.is_available() else {})}
    return [
        asdict(measure(torch.device(device), size, SECONDS / len(sizes))) for device, size in sizes.items()
    ]


def _show(machine: Machine, torch: Torch | None, result: dict[str, Any]) -> None:
    rows = [
        ("cxrbench", machine.cxrbench),
        ("Python", f"{machine.python}, {machine.system}"),
        ("CPU", f"cores {machine.cores}; {' '.join(machine.instructions) or 'instruction sets not known'}"),
        ("threads", machine.threads),
    ]
    if torch is None:
        rows.append(("torch", "not installed: pip install 'cxrbench[train]'"))
    else:
        gpus = ", ".join(torch.gpus) or f"no GPU found (built with {torch.cuda or 'no CUDA'})"
        rows += [
            ("torch", f"{torch.version}, {torch.instructions}"),
            ("GPU", gpus),
            ("precision of 'auto'", ", ".join(f"{name}: {kind}" for name, kind in torch.precision.items())),
        ]
    rows += [("free disk", f"{folder}: {free:g} GiB") for folder, free in machine.disk.items()]
    weights = result["weights"]
    if weights:
        where = f"in {weights['folder']}" if weights["here"] else "not here, downloaded when first needed"
        rows.append(("ImageNet parameters", f"{weights['file']}: {where}"))
    for one in result["speeds"]:
        rows.append(
            (
                f"speed, {one['device']}",
                f"{one['network']} at {one['size']} px, {one['precision']}: trains {one['training']:,.0f} "
                f"(in batches of {one['batch']}) and predicts {one['predicting']:,.0f} images a second; "
                f"measured in {one['seconds']:.1f} s",
            )
        )
    echo_table([{"what": what, "found": found} for what, found in rows])
    click.echo()
    echo_table(
        [
            {
                "extra": extra.name,
                "installed": ", ".join(f"{name} {number}" for name, number in extra.versions.items()),
                "missing": ", ".join(extra.missing),
            }
            for extra in machine.extras
        ]
    )
    click.echo()
    if result["decoders"]:
        echo_table(
            [
                {"images": one["stored"], "read by": one["library"], "works": one["fault"] or "yes"}
                for one in result["decoders"]
            ]
        )
    else:
        click.echo("images cannot be read: pip install 'cxrbench[images]'")
    if result["data_sets"] is not None:
        click.echo()
        echo_table(
            [{"data set": name, "folder": folder or "-"} for name, folder in result["data_sets"].items()]
        )
