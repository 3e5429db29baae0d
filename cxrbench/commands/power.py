"""``cxrbench power``: how many images a study needs, or what it can show, before there are data."""

from __future__ import annotations

from typing import Any, Literal

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._numbers import number, whole_number
from cxrbench.commands._predictions import echo_json
from cxrbench.text import plural


@click.command("power")
@click.option("--auc", type=number, required=True, help="The AUC expected.")
@click.option("--prevalence", type=number, default=0.5, show_default=True, help="Share of positive images.")
@click.option("--null", "null", type=number, help="Show that the AUC differs from this one.")
@click.option("--half-width", type=number, help="Reach an interval of this half-width instead.")
@click.option("--against", type=number, help="Compare with a second AUC on the same images instead.")
@click.option(
    "--correlation", type=number, default=0.5, show_default=True, help="Of the two AUCs, with --against."
)
@click.option(
    "--hypothesis",
    type=click.Choice(["difference", "noninferiority", "superiority"]),
    default="difference",
    show_default=True,
    help="What is to be shown with --against.",
)
@click.option("--margin", type=number, default=0.0, help="In AUC, for the one-sided hypotheses.")
@click.option("--power", "wanted", type=number, default=0.8, show_default=True, help="The power wanted.")
@click.option("--images", type=whole_number, help="Give the power of this many images instead of the number.")
@click.option("--images-per-patient", type=number, default=1.0, show_default=True, help="Their mean number.")
@click.option(
    "--icc",
    type=number,
    default=0.0,
    show_default=True,
    help="Correlation of two images of one patient; with --images-per-patient it gives the design effect.",
)
@click.option("--level", type=number, default=0.95, show_default=True, help="Confidence of the interval.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, and nothing else, to standard output.")
@user_errors
def command(
    auc: float,
    prevalence: float,
    null: float | None,
    half_width: float | None,
    against: float | None,
    correlation: float,
    hypothesis: Literal["difference", "noninferiority", "superiority"],
    margin: float,
    wanted: float,
    images: int | None,
    images_per_patient: float,
    icc: float,
    level: float,
    as_json: bool,
) -> None:
    """Plan a study: give one of --null, --half-width and --against.

    Normal approximation with Hanley and McNeil's variance (1982). In small samples the limits that decide a
    verdict are wider than normal ones (docs/statistics.md): add images where a number under about 60 of the
    rarer class comes out.
    """
    import math

    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import (
        auc_power,
        comparison_power,
        design_effect,
        images_for_comparison,
        images_for_power,
        images_for_precision,
        planned_se,
    )
    from cxrbench.statistics.power import split_images

    if [null, half_width, against].count(None) != 2:
        raise StatisticsError("give one of --null, --half-width and --against")
    if images is not None and half_width is not None:
        raise StatisticsError("--images: with --half-width there is no power to give")
    if against is None and (hypothesis != "difference" or margin):
        raise StatisticsError("--hypothesis and --margin are of a comparison: give --against with them")
    effect = design_effect(images_per_patient, icc)
    found: dict[str, Any] = {"design_effect": effect, "level": level}
    if images is None:
        if null is not None:
            needed = images_for_power(
                auc, null, prevalence, wanted_power=wanted, design_effect=effect, level=level
            )
        elif half_width is not None:
            needed = images_for_precision(auc, half_width, prevalence, design_effect=effect, level=level)
        else:
            assert against is not None
            needed = images_for_comparison(
                auc,
                against,
                prevalence,
                correlation=correlation,
                wanted_power=wanted,
                hypothesis=hypothesis,
                margin=margin,
                design_effect=effect,
                level=level,
            )
        patients = math.ceil(needed / images_per_patient)
        if patients < 4:
            raise StatisticsError(
                f"--images-per-patient: {needed:,} images would be those of {plural(patients, 'patient')}, "
                "and an interval needs two patients of each class"
            )
        found |= {"images": needed, "patients": patients}
        text = f"{needed:,} images of {found['patients']:,} patients"
    else:
        classes = split_images(images, prevalence)
        if null is not None:
            power = auc_power(auc, null, *classes, design_effect=effect, level=level)
        else:
            assert against is not None
            se = planned_se(auc, against, *classes, correlation=correlation)
            power = comparison_power(
                auc - against, se * math.sqrt(effect), hypothesis=hypothesis, margin=margin, level=level
            )
        found |= {"images": images, "power": power}
        text = f"power {power:.3f} with {images:,} images"
    if as_json:
        echo_json(found)
    else:
        click.echo(f"{text}, {100 * prevalence:g}% positive; design effect {effect:g}")
