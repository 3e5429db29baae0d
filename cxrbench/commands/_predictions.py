"""What the commands on prediction files share: the options, and the output as tables or JSON.

Nothing heavy is imported at the top: ``cxrbench --help`` loads this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from cxrbench.commands._gathered import Command, gathered
from cxrbench.commands._numbers import column, number, whole_number
from cxrbench.text import one_line

if TYPE_CHECKING:
    from cxrbench.statistics import Columns, Comparison, Resampling

RESAMPLES = 2000
INTERVALS = ("newcombe", "logit", "wald")
ADJUSTMENTS = ("holm", "bonferroni", "fdr_bh", "none")


@dataclass(frozen=True)
class Reading:
    """How prediction files are read, how intervals are made, and how the result is written."""

    cluster: str | None
    id_column: str
    label_column: str
    score_columns: tuple[str, ...]
    patient_column: str
    interval: Literal["newcombe", "logit", "wald"]
    level: float
    as_json: bool

    @property
    def columns(self) -> Columns:
        """The columns' names; a cluster column must be there, a patient column need not."""
        from cxrbench.statistics import Columns

        patient, required = self.cluster or self.patient_column, self.cluster is not None
        return Columns(self.id_column, self.label_column, self.score_columns, patient, required)


@dataclass(frozen=True)
class Extras:
    """What is computed besides AUCs, for one curve or a pair."""

    thresholds: tuple[float, ...]
    specificities: tuple[float, ...]
    net_benefits: tuple[float, ...]
    bootstrap: int | None
    seed: int

    @property
    def any(self) -> bool:
        """Whether anything is asked for."""
        return bool(self.thresholds or self.specificities or self.net_benefits) or self.bootstrap is not None

    def resampling(self, level: float) -> Resampling | None:
        """Return how the bootstrap is made, or None where nothing asks for one."""
        from cxrbench.statistics import Resampling

        if self.bootstrap is None and not self.specificities:
            return None
        return Resampling(self.seed, RESAMPLES if self.bootstrap is None else self.bootstrap, level)


def prediction_options(function: Command) -> Command:
    """Add the options of :class:`Reading`, which arrive as ``reading``."""
    function = gathered(Reading, "reading")(function)
    for option in reversed(
        [
            click.option(
                "--cluster",
                type=column,
                metavar="COLUMN",
                help="Column of the patient (or other group) whose images are correlated; "
                "standard errors then allow for it (Obuchowski 1997).",
            ),
            click.option(
                "--id-column", default="image_id", show_default=True, help="Column of the image id."
            ),
            click.option(
                "--label-column", default="label", show_default=True, help="Column of the label, 0 or 1."
            ),
            click.option(
                "--score-column",
                "score_columns",
                multiple=True,
                default=("score",),
                show_default="score",
                help="Column of a score; give it several times for several curves in one file.",
            ),
            click.option(
                "--patient-column",
                type=column,
                default="patient_id",
                show_default=True,
                help="Column of the patient, to count patients where --cluster is not given; may be absent.",
            ),
            click.option(
                "--interval",
                type=click.Choice(INTERVALS),
                default="newcombe",
                show_default=True,
                help="Kind of confidence intervals: newcombe holds in small samples; logit and wald are the "
                "large-sample ones of other programs (differences: Wald).",
            ),
            click.option(
                "--level", type=number, default=0.95, show_default=True, help="Confidence of the intervals."
            ),
            click.option(
                "--json", "as_json", is_flag=True, help="Write JSON, and nothing else, to standard output."
            ),
        ]
    ):
        function = option(function)
    return function


def more_options(function: Command) -> Command:
    """Add the options of :class:`Extras`, which arrive as ``extras``."""
    function = gathered(Extras, "extras")(function)
    for option in reversed(
        [
            click.option(
                "--threshold",
                "thresholds",
                type=number,
                multiple=True,
                help="Add sensitivity and specificity at this score, for a pair with McNemar's tests; "
                "repeatable.",
            ),
            click.option(
                "--specificity",
                "specificities",
                type=number,
                multiple=True,
                help="Add sensitivity at this specificity, and the mean sensitivity from there to 1 (partial "
                "AUC), by bootstrap; repeatable.",
            ),
            click.option(
                "--net-benefit",
                "net_benefits",
                type=number,
                multiple=True,
                help="Add the net benefit of acting from this probability on; repeatable.",
            ),
            click.option(
                "--bootstrap",
                type=whole_number,
                help=f"Add bootstrap (BCa) intervals from this many resamples; {RESAMPLES} where another "
                "option needs it.",
            ),
            click.option("--seed", type=whole_number, default=0, show_default=True, help="Of the bootstrap."),
        ]
    ):
        function = option(function)
    return function


def resampled_numbers(specificities: tuple[float, ...]) -> dict[str, Callable[[Any, Any], float]]:
    """Return the numbers that the bootstrap is made of, by name: functions of labels and scores."""
    from functools import partial

    from cxrbench.statistics import average_precision, partial_auc, sensitivity_at
    from cxrbench.statistics.partial import area

    numbers: dict[str, Callable[[Any, Any], float]] = {"AUC": area, "average precision": average_precision}
    for value in specificities:
        numbers[f"sensitivity at specificity {value:g}"] = partial(sensitivity_at, specificity=value)
        if value < 1:
            numbers[f"mean sensitivity from specificity {value:g}"] = partial(partial_auc, specificity=value)
    return numbers


def with_patients(comparison: Comparison, patients: int | None, column: str) -> Comparison:
    """Add the number of patients where images counted as independent, and say so if they are not."""
    from dataclasses import replace

    if comparison.clustered or patients is None:
        return comparison
    notes = comparison.notes
    if patients < comparison.n_images:
        notes += (
            f"{comparison.n_images} images of {patients} patients count as independent, so intervals are "
            f"too narrow where images of a patient are alike; --cluster {column} allows for it",
        )
    return replace(comparison, n_patients=patients, notes=notes)


def echo_json(result: dict[str, Any]) -> None:
    """Write a result as JSON with every digit; there is no NaN in it."""
    click.echo(json.dumps(result, indent=2, allow_nan=False))


def echo_table(rows: list[dict[str, Any]]) -> None:
    """Write rows as a plain table, column names above; no text of a file steers the terminal."""
    from tabulate import tabulate

    shown = [{one_line(name): one_line(str(cell)) for name, cell in row.items()} for row in rows]
    click.echo(tabulate(shown, headers="keys", tablefmt="simple", disable_numparse=True))


def show(value: float | None, digits: int = 4) -> str:
    """Format a number for a table; "-" where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def show_interval(low: float | None, high: float | None) -> str:
    """Format an interval for a table; "-" where there is none."""
    return "-" if low is None or high is None else f"{low:.4f} to {high:.4f}"


def show_number(value: float | None, low: float | None, high: float | None) -> str:
    """Format a number with its interval for a table."""
    return f"{show(value)} [{show_interval(low, high)}]"


def show_p(value: float | None) -> str:
    """Format a p-value for a table: four decimals, small ones by their power of ten."""
    if value is None:
        return "-"
    if value < 1e-300:
        return "<1e-300"
    return f"{value:.4f}" if value >= 0.001 else f"{value:.1e}"


def curve_rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the table of AUCs."""
    interval = f"{100 * comparison.level:g}% interval"
    return [
        {
            "curve": curve.name,
            "AUC": show(curve.auc),
            "SE": show(curve.se),
            interval: show_interval(curve.ci_low, curve.ci_high),
        }
        for curve in comparison.curves
    ]


def echo_sample(comparison: Comparison) -> None:
    """Write how large the sample is and what the reader must know of it."""
    patients = "" if comparison.n_patients is None else f" of {comparison.n_patients} patients"
    kind = "clustered by patient (Obuchowski)" if comparison.clustered else "images independent (DeLong)"
    click.echo(
        f"{comparison.n_images} images{patients}, {comparison.n_positive} positive; standard errors: {kind}"
    )
    noted = [(item.name, item.note) for item in comparison.curves]
    noted += [(f"{pair.a} against {pair.b}", pair.note) for pair in comparison.pairs]
    for note in [*comparison.notes, *(f"{name}: {note}" for name, note in noted if note)]:
        click.echo(one_line(f"note: {note}"))
