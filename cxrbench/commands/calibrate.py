"""``cxrbench calibrate``: set a profile's difficulty, measure its spread over seeds, write its targets."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from cxrbench.commands._errors import goes_on, user_errors
from cxrbench.commands._gathered import gathered
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import echo_json
from cxrbench.commands._study import seeds as seeds_option
from cxrbench.errors import CxrbenchError
from cxrbench.study.asked import Asked, read_seeds

_EXTRAS = {"matplotlib": "report", "tomlkit": "train", "torch": "train"}


def _sweep(
    ctx: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> dict[str, tuple[float, ...]]:
    swept: dict[str, tuple[float, ...]] = {}
    for text in value:
        knob, equals, numbers = text.partition("=")
        if not equals or knob in swept:
            raise click.BadParameter(
                f"{text!r}: write ROLE.OPTION=V1,V2, such as covid.severity_median=0.7,0.8, each knob once"
            )
        try:
            swept[knob.strip()] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            raise click.BadParameter(f"{text!r}: the values must be numbers with commas between") from None
    return swept


def _aims(
    ctx: click.Context,  # noqa: ARG001
    parameter: click.Parameter,  # noqa: ARG001
    value: tuple[str, ...],
) -> dict[str, float]:
    aims: dict[str, float] = {}
    for text in value:
        scheme, _, number = text.partition("=")
        try:
            aims[scheme.strip()] = float(number)
        except ValueError:
            raise click.BadParameter(f"{text!r}: write SCHEME=AUC, such as control=0.757") from None
    return aims


@click.command("calibrate")
@click.argument("profile")
@click.option(
    "--sweep",
    callback=_sweep,
    multiple=True,
    metavar="ROLE.OPTION=V1,V2",
    help="Values to try for an option of a role's data set; with several options, all combinations.",
)
@click.option(
    "--sweep-seeds", callback=seeds_option, default="0", show_default=True, help="Seeds of the sweep."
)
@click.option("--seeds", default="0,1,2,3,4", show_default=True, help="Seeds of the confirmation.")
@click.option(
    "--aim",
    "aims",
    callback=_aims,
    multiple=True,
    metavar="SCHEME=AUC",
    help="AUC to aim at. [default, of phantoms: control=0.757 and sequential=0.857, the paper's]",
)
@click.option(
    "--scheme",
    multiple=True,
    help="Only this scheme, a name or NAME=NOTATION (may be repeated).",
)
@click.option("--out", type=PLACE, required=True, help="Where everything is written.")
@click.option("--data-root", type=PLACE, help="The folder that holds the data sets.")
@click.option(
    "--store",
    type=PLACE,
    help="Where packs, splits, audits and checkpoints are kept; several may share it. [default: OUT]",
)
@click.option(
    "--jobs", type=click.IntRange(max=1000), default=1, show_default=True, help="Seeds that run at a time."
)
@click.option("--gpu", is_flag=True, help="Train on the GPU; fails where CUDA is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the summary.")
@click.option(
    "--minutes",
    type=float,
    help="Begin no further seed after so long; the next call goes on with the others.",
)
@gathered(Asked, "asked")
@goes_on
@user_errors
def command(
    asked: Asked,
    sweep: dict[str, tuple[float, ...]],
    sweep_seeds: tuple[int, ...],
    aims: dict[str, float],
    out: Path,
    store: Path | None,
    as_json: bool,
    minutes: float | None,
) -> None:
    """Calibrate PROFILE: fit the swept knobs to the aims, run all seeds there, write the targets.

    A calibration that was killed goes on from what is in OUT.
    """
    try:
        # All of it before the first study, so that a missing library is not found after hours.
        from cxrbench.calibration.calibrate import aims_of, calibrate
        from cxrbench.calibration.records import Request
        from cxrbench.report.calibration import summary, write_calibration
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if library not in _EXTRAS:
            raise
        raise CxrbenchError(
            f"calibrating needs {library}, which is not installed: pip install 'cxrbench[{_EXTRAS[library]}]'"
        ) from None
    from cxrbench.study.profile import parse_profile, profile_text
    from cxrbench.study.where import Where
    from cxrbench.training.device import choose_device

    profile = asked.profile
    assert profile is not None
    assert asked.jobs is not None
    text = profile_text(profile)
    request = Request(
        profile=profile,
        text=text,
        sweep=sweep,
        sweep_seeds=sweep_seeds,
        seeds=read_seeds(asked.seeds),
        aims=aims or aims_of(parse_profile(text, profile), asked.scheme),
        schemes=asked.scheme,
        out=out,
        where=Where(asked.data_root, store, (choose_device(asked.gpu),) * asked.jobs),
        minutes=minutes,
    )
    calibration = calibrate(request)
    paths = write_calibration(calibration)
    if as_json:
        targets = {name: asdict(target) for name, target in calibration.targets.items()}
        echo_json({"targets": targets, "files": [str(path) for path in paths]})
        return
    click.echo(summary(calibration))
    click.echo("\n".join(f"{path}" for path in paths))
