"""``cxrbench evaluate``: the AUC of one prediction file, with its uncertainty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._predictions import (
    curve_rows,
    echo_json,
    echo_sample,
    echo_table,
    make_columns,
    prediction_options,
    show,
    show_interval,
    show_p,
    with_patients,
)

if TYPE_CHECKING:
    from cxrbench.statistics import Predictions


@click.command("evaluate")
@click.argument("predictions", type=click.Path(path_type=Path))
@prediction_options
@click.option(
    "--validation",
    type=click.Path(path_type=Path),
    help="Predictions on validation images: thresholds are chosen there (Youden, sensitivity 0.90 and 0.95).",
)
@click.option(
    "--by",
    "by",
    multiple=True,
    metavar="COLUMN",
    help="Column to split the images by (view, sex, source; age is put into bands); repeatable.",
)
@click.option("--calibration", is_flag=True, help="Add Brier score and calibration, of probabilities.")
@user_errors
def command(
    predictions: Path,
    cluster: str | None,
    id_column: str,
    label_column: str,
    score_columns: tuple[str, ...],
    patient_column: str,
    interval: Literal["newcombe", "logit", "wald"],
    level: float,
    as_json: bool,
    validation: Path | None,
    by: tuple[str, ...],
    calibration: bool,
) -> None:
    """AUC of PREDICTIONS (CSV or Parquet) with standard error and confidence interval.

    The file has one row an image with the columns image_id, label and score, and patient_id where it is
    known.
    """
    from dataclasses import asdict, replace

    from cxrbench.statistics import (
        assess_calibration,
        average_precision,
        compare_all,
        operating_points,
        read_predictions,
    )
    from cxrbench.statistics.inputs import as_probabilities

    columns = make_columns(id_column, label_column, score_columns, patient_column, cluster)
    test = read_predictions(predictions, columns)
    groups = test.patients if cluster else None
    whole = compare_all(test.labels, test.scores, groups, interval=interval, level=level)
    whole = with_patients(replace(whole, pairs=(), omnibus=None), test.n_patients, columns.patient)
    result = whole.to_dict()
    for unused in ("pairs", "omnibus", "adjust"):
        del result[unused]

    for column, curve, scores in zip(score_columns, result["curves"], test.scores.values(), strict=True):
        curve["average_precision"] = average_precision(test.labels, scores)
        if calibration:
            as_probabilities(scores, f"{predictions}: {column}", test.image_ids.tolist())
            curve["calibration"] = asdict(assess_calibration(test.labels, scores, level=level))
    if validation is not None:
        chosen_on = read_predictions(validation, columns)
        _refuse_overlap(test, chosen_on, predictions, validation)
        for curve, at, scores in zip(
            result["curves"], chosen_on.scores.values(), test.scores.values(), strict=True
        ):
            points = operating_points(chosen_on.labels, at, test.labels, scores, groups, level=level)
            curve["operating_points"] = [asdict(point) for point in points]
    for curve, scores in zip(result["curves"], test.scores.values(), strict=True):
        if by:
            curve["subgroups"] = [
                _subgroups(test, scores, column, cluster is not None, interval, level) for column in by
            ]

    if as_json:
        echo_json(result)
        return
    echo_table(curve_rows(whole))
    echo_sample(whole)
    for curve in result["curves"]:
        _echo_more(curve, level)


def _refuse_overlap(
    test: Predictions, validation: Predictions, test_path: Path, validation_path: Path
) -> None:
    """Refuse thresholds chosen on what they are tested on."""
    from cxrbench.errors import StatisticsError
    from cxrbench.statistics.inputs import name_rows

    pairs = [("image", test.image_ids, validation.image_ids)]
    if test.patients is not None and validation.patients is not None:
        pairs.append(("patient", test.patients, validation.patients))
    for kind, of_test, of_validation in pairs:
        shared = sorted(set(of_test) & set(of_validation))
        if shared:
            raise StatisticsError(
                f"{name_rows(shared, kind)} in both {test_path} and {validation_path}; a threshold must be "
                "chosen on other patients than it is tested on"
            )


def _subgroups(
    test: Predictions,
    scores: Any,
    column: str,
    clustered: bool,
    interval: Literal["newcombe", "logit", "wald"],
    level: float,
) -> dict[str, Any]:
    from dataclasses import asdict

    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import age_bands, subgroup_aucs

    if column not in test.table.columns:
        raise StatisticsError(
            f"--by {column}: no such column; besides ids, label and scores the file has "
            f"{', '.join(map(str, test.table.columns)) or 'none'}"
        )
    values = test.table[column]
    members = age_bands(values) if column == "age" else values.replace("", None)
    report = subgroup_aucs(
        test.labels,
        scores,
        members,
        test.patients if clustered else None,
        by=column,
        interval=interval,
        level=level,
    )
    return asdict(report)


def _echo_more(curve: dict[str, Any], level: float) -> None:
    interval = f"{100 * level:g}% interval"
    click.echo(f"\n{curve['name']}: average precision {show(curve['average_precision'])}")
    if "calibration" in curve:
        found = curve["calibration"]
        click.echo(
            f"Brier score {show(found['brier'])}, expected calibration error "
            f"{show(found['expected_calibration_error'])}"
        )
        echo_table(
            [
                {
                    "probability": f"{row['low']:g} to {row['high']:g}",
                    "images": row["n_images"],
                    "mean": show(row["mean_score"]),
                    "observed": show(row["observed"]),
                    interval: show_interval(row["ci_low"], row["ci_high"]),
                }
                for row in found["bins"]
            ]
        )
    if "operating_points" in curve:
        echo_table(
            [
                {
                    "threshold from validation": point["rule"],
                    "threshold": f"{point['threshold']:.6g}",
                    "sensitivity": show(point["sensitivity"]["value"]),
                    interval: show_interval(point["sensitivity"]["ci_low"], point["sensitivity"]["ci_high"]),
                    "specificity": show(point["specificity"]["value"]),
                    f"{interval} ": show_interval(
                        point["specificity"]["ci_low"], point["specificity"]["ci_high"]
                    ),
                }
                for point in curve["operating_points"]
            ]
        )
    for report in curve.get("subgroups", ()):
        echo_table(
            [
                {
                    report["by"]: row["name"],
                    "images": row["n_images"],
                    "positive": row["n_positive"],
                    "AUC": show(row["auc"]),
                    interval: show_interval(row["ci_low"], row["ci_high"]),
                    "": row["note"] or "",
                }
                for row in report["subgroups"]
            ]
        )
        test = report["heterogeneity"]
        if test["p_value"] is None:
            click.echo(f"heterogeneity by {report['by']}: {test['note']}")
        else:
            click.echo(
                f"heterogeneity by {report['by']}: chi-square {test['chi2']:.4f} on {test['df']} df, "
                f"p = {show_p(test['p_value'])}"
            )
