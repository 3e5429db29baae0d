"""``cxrbench faults``: plant faults into a study's target stage, and say which of them it sees."""

from __future__ import annotations

from pathlib import Path

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._seeds import seeds as seeds_option


@click.command("faults")
@click.option("--profile", "profile_name", default="phantom", show_default=True, help="Name or .toml file.")
@click.option("--data-root", type=PLACE, help="The folder that holds the data sets.")
@click.option(
    "--out",
    type=PLACE,
    required=True,
    help="The study's folder; what is there already is not trained again.",
)
@click.option("--scheme", help="The scheme to plant into. [default: sequential, where the profile has it]")
@click.option("--seeds", callback=seeds_option, help="Training seeds instead of the profile's.")
@click.option("--gpu", is_flag=True, help="Train on the GPU; fails where CUDA is missing.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@user_errors
def command(
    profile_name: str,
    data_root: Path | None,
    out: Path,
    scheme: str | None,
    seeds: tuple[int, ...],
    gpu: bool,
    quiet: bool,
    as_json: bool,
) -> None:
    """Run a profile's study, then plant one fault after another into one scheme's target stage.

    Each fault costs one training of that stage per seed. The table is shown, and written to OUT as
    sensitivity.json and sensitivity.md.
    """
    from cxrbench.faults import records
    from cxrbench.faults.run import check_one_split, measure
    from cxrbench.files import write_text_atomic
    from cxrbench.report.faults import faults_markdown, faults_text
    from cxrbench.study.executor import choose_devices
    from cxrbench.study.profile import load_profile
    from cxrbench.study.progress import Bars, Silent
    from cxrbench.study.run import run_study

    profile = load_profile(profile_name)
    if seeds:
        profile = profile.with_seeds(seeds)
    check_one_split(profile)
    progress = Silent() if quiet else Bars()
    devices = choose_devices(gpu)
    study = run_study(
        profile,
        out,
        data_root=data_root,
        schemes=(scheme,) if scheme else (),
        devices=devices,
        progress=progress,
    )
    found = measure(profile, study, data_root=data_root, device=devices[0], progress=progress)
    text = records.as_json(found)
    write_text_atomic(out / "sensitivity.json", text)
    write_text_atomic(out / "sensitivity.md", faults_markdown(found))
    click.echo(text if as_json else faults_text(found))
