"""``cxrbench study``: run a profile's study and write its results."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._errors import goes_on, user_errors
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json
from cxrbench.commands._seeds import seeds as seeds_option

if TYPE_CHECKING:
    import torch

    from cxrbench.study.finished import FinishedStudy


@click.command("study")
@click.option("--profile", "profile_name", default="phantom", show_default=True, help="Name or .toml file.")
@click.option("--data-root", type=PLACE, help="The folder that holds the data sets.")
@click.option("--out", type=PLACE, required=True, help="Where everything is written.")
@click.option(
    "--scheme",
    "schemes",
    multiple=True,
    help="Only this scheme, a name or NAME=NOTATION (may be repeated).",
)
@click.option("--schemes", "scheme_set", help="A shipped set, six or paths, instead of the profile's.")
@click.option(
    "--seeds", callback=seeds_option, help="Training seeds, such as 0,1,2, instead of the profile's."
)
@click.option("--network", help="A network by name, such as resnet18 or timm:NAME, instead of the profile's.")
@click.option("--gpu", is_flag=True, help="Train on the GPU; fails where CUDA is missing.")
@click.option(
    "--jobs",
    type=int,
    help="Stages trained at a time on the CPU, each in its own process. [default: one per thread, up to 4]",
)
@click.option(
    "--devices", metavar="D,D", help="Where stages are trained, one at a time on each, such as cuda:0,cuda:1."
)
@click.option(
    "--cluster", metavar="ADDRESS", help="Train on a Dask cluster: tcp://HOST:PORT, or its scheduler.json."
)
@click.option("--deterministic", is_flag=True, help="The same bits every time on a GPU too, more slowly.")
@click.option("--quiet", is_flag=True, help="No progress bars.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--report/--no-report", default=True, help="Write the HTML report to OUT/report.")
@goes_on
@user_errors
def command(
    profile_name: str,
    data_root: Path | None,
    out: Path,
    schemes: tuple[str, ...],
    scheme_set: str | None,
    seeds: tuple[int, ...],
    network: str | None,
    gpu: bool,
    jobs: int | None,
    devices: str | None,
    cluster: str | None,
    deterministic: bool,
    quiet: bool,
    as_json: bool,
    report: bool,
) -> None:
    """Train and test the schemes of a profile; what is there already is not done again."""
    from cxrbench.report.terminal import scheme_table
    from cxrbench.study.executor import choose_devices
    from cxrbench.study.profile import load_profile
    from cxrbench.study.progress import Bars, Silent
    from cxrbench.study.run import run_study
    from cxrbench.study.team import follow, leading
    from cxrbench.training.team import joined, this_team, torchrun_size

    profile = load_profile(profile_name)
    if scheme_set:
        profile = profile.with_schemes(scheme_set)
    if seeds:
        profile = profile.with_seeds(seeds)
    if network:
        profile = profile.with_network(network)
    if deterministic:
        profile = replace(profile, deterministic=True)
    with ExitStack() as stack:
        chosen: tuple[torch.device, ...] | None
        if torchrun_size() > 1:
            chosen = (stack.enter_context(joined(gpu)),)
            if this_team().rank > 0:
                follow(chosen[0])
                return
            stack.enter_context(leading())
        else:
            local = not cluster or gpu or jobs or devices
            chosen = choose_devices(gpu, jobs, devices) if local else None
        finished = run_study(
            profile,
            out,
            data_root=data_root,
            schemes=schemes,
            devices=chosen,
            cluster=cluster,
            progress=Silent() if quiet else Bars(),
        )
    page = None
    if report:
        from cxrbench.report import write_report

        page = write_report(finished, out / "report")
    if as_json:
        echo_json(_summary(finished, page))
        return
    click.echo(scheme_table(finished.results))
    if page:
        click.echo(f"report: {page}")


def _summary(finished: FinishedStudy, page: Path | None) -> dict[str, Any]:
    """Return the table of the schemes, and where the rest lies."""
    from cxrbench.study.results import RESULTS

    results = finished.results
    return {
        "profile": results.profile,
        "synthetic": results.synthetic,
        "seeds": list(results.seeds),
        "images": results.n_images,
        "schemes": [
            {
                "name": scheme.name,
                "notation": scheme.notation,
                "auc": scheme.auc,
                "ci_low": scheme.ci_low,
                "ci_high": scheme.ci_high,
                "verdict": asdict(scheme.verdict),
                "train_seconds": scheme.train_seconds,
            }
            for scheme in results.schemes
        ],
        "results": str(finished.folder / RESULTS),
        "report": str(page) if page else None,
    }
