"""``cxrbench evaluate``: the AUC of one prediction file, with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._gathered import gathered
from cxrbench.commands._numbers import number
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import (
    Extras,
    Reading,
    curve_rows,
    echo_json,
    echo_sample,
    echo_table,
    more_options,
    prediction_options,
    resampled_numbers,
    show,
    show_interval,
    show_number,
    show_p,
    with_patients,
)
from cxrbench.text import one_line

if TYPE_CHECKING:
    from cxrbench.statistics import Comparison, Predictions, Resampling


@dataclass(frozen=True)
class _More:
    """What only this command computes besides the AUC."""

    validation: Path | None
    by: tuple[str, ...]
    calibration: bool
    prevalence: float | None
    sites: str | None


@dataclass(frozen=True)
class _Asked:
    """All that is asked of one file."""

    reading: Reading
    extras: Extras
    more: _More


@click.command("evaluate")
@click.argument("predictions", type=PLACE)
@prediction_options
@click.option(
    "--validation",
    type=PLACE,
    help="Predictions on validation images: thresholds are chosen there (Youden, sensitivity 0.90 and 0.95).",
)
@click.option(
    "--by",
    "by",
    multiple=True,
    metavar="COLUMN",
    help="Column to split the images by (view, sex, source; age is put into bands); repeatable.",
)
@click.option(
    "--calibration",
    is_flag=True,
    help="Add Brier score, calibration error, intercept, slope, Spiegelhalter's test and curves, of "
    "probabilities.",
)
@click.option(
    "--finding",
    "findings",
    multiple=True,
    metavar="LABEL:SCORE",
    help="Columns of a finding's label and score; repeatable, to evaluate several findings in one call.",
)
@click.option(
    "--prevalence",
    type=number,
    help="Add predictive values at this prevalence, and likelihood ratios, at every threshold.",
)
@click.option("--sites", metavar="COLUMN", help="Add the AUC within and over the sites of this column.")
@gathered(_More, "more")
@more_options
@user_errors
def command(
    predictions: Path, reading: Reading, findings: tuple[str, ...], extras: Extras, more: _More
) -> None:
    """AUC of PREDICTIONS (CSV or Parquet) with standard error and confidence interval.

    The file has one row per image with the columns image_id, label and score, and patient_id where it is
    known.
    """
    from cxrbench.errors import StatisticsError

    if more.prevalence is not None and more.validation is None and not extras.thresholds:
        raise StatisticsError("--prevalence: predictive values need a --threshold or a --validation file")
    asked = _Asked(reading, extras, more)
    if not findings:
        whole, result = _evaluate(predictions, asked)
        if reading.as_json:
            echo_json(result)
        else:
            _echo(whole, result, reading.level)
        return
    if (reading.label_column, reading.score_columns) != ("label", ("score",)):
        raise StatisticsError(
            "--finding names the columns itself: leave out --label-column and --score-column"
        )
    results = {}
    for finding in findings:
        label, _, score = finding.rpartition(":")
        if not label or not score:
            raise StatisticsError(f"--finding {finding}: write LABEL:SCORE, the two columns")
        if label in results:
            raise StatisticsError(f"--finding {finding}: the label {label!r} is given twice")
        own = replace(reading, label_column=label, score_columns=(score,))
        whole, results[label] = _evaluate(predictions, replace(asked, reading=own))
        if not reading.as_json:
            click.echo(one_line(f"{label}:"))
            _echo(whole, results[label], reading.level)
            click.echo()
    if reading.as_json:
        echo_json({"findings": results})


def _evaluate(path: Path, asked: _Asked) -> tuple[Comparison, dict[str, Any]]:
    from dataclasses import asdict

    from cxrbench.statistics import (
        assess_calibration,
        at_threshold,
        average_precision,
        compare_all,
        net_benefit,
        operating_points,
        pooled_auc,
        predictive_values,
        read_predictions,
        recalibration,
    )
    from cxrbench.statistics.inputs import as_probabilities

    extras, more, columns, level = asked.extras, asked.more, asked.reading.columns, asked.reading.level
    test = read_predictions(path, columns)
    groups = test.patients if asked.reading.cluster else None
    whole = compare_all(test.labels, test.scores, groups, interval=asked.reading.interval, level=level)
    whole = with_patients(replace(whole, pairs=(), omnibus=None), test.n_patients, columns.patient)
    result = whole.to_dict()
    for unused in ("pairs", "omnibus", "adjust"):
        del result[unused]
    chosen_on, chosen = None, {}
    if more.validation is not None:
        chosen_on = read_predictions(more.validation, columns)
        _refuse_overlap(test, chosen_on, path, more.validation)
        chosen = dict(zip(columns.scores, chosen_on.scores.values(), strict=True))
    members = {column: _column(test, "--by", column) for column in more.by}
    of_site = None if more.sites is None else _column(test, "--sites", more.sites)

    for column, curve, scores in zip(columns.scores, result["curves"], test.scores.values(), strict=True):
        curve["average_precision"] = average_precision(test.labels, scores)
        if more.calibration or extras.net_benefits:
            as_probabilities(scores, f"{path}: {column}", test.image_ids.tolist())
        if more.calibration:
            curve["calibration"] = asdict(assess_calibration(test.labels, scores, level=level)) | asdict(
                recalibration(test.labels, scores, groups, level=level)
            )
        points = [
            at_threshold(test.labels, scores, threshold, groups, rule=f"given {threshold:g}", level=level)
            for threshold in extras.thresholds
        ]
        if chosen_on is not None:
            at = chosen[column]
            points += operating_points(chosen_on.labels, at, test.labels, scores, groups, level=level)
        if points:
            curve["operating_points"] = [asdict(point) for point in points]
        if more.prevalence is not None:
            curve["predictive_values"] = [
                {"rule": point.rule} | asdict(predictive_values(point, more.prevalence, level=level))
                for point in points
            ]
        if extras.net_benefits:
            found = net_benefit(test.labels, scores, extras.net_benefits, groups, level=level)
            curve["net_benefit"] = [asdict(row) for row in found]
        if of_site is not None:
            curve["sites"] = asdict(pooled_auc(test.labels, scores, of_site, groups, level=level))
        how = extras.resampling(level)
        if how is not None:
            curve["bootstrap"] = bootstrapped(test.labels, scores, groups, how, extras.specificities)
        if members:
            curve["subgroups"] = [
                _subgroups(test, scores, column, values, asked.reading) for column, values in members.items()
            ]
    return whole, result


def bootstrapped(
    labels: Any, scores: Any, groups: Any, how: Resampling, specificities: tuple[float, ...]
) -> dict[str, Any]:
    """Return BCa intervals of the AUC, average precision, and parts of the curve, and its band."""
    from dataclasses import asdict

    from cxrbench.statistics import resampled, roc_band

    found = {
        name: asdict(resampled(labels, scores, statistic, groups, how))
        for name, statistic in resampled_numbers(specificities).items()
    }
    band = [asdict(point) for point in roc_band(labels, scores, groups, how)]
    return {"resamples": how.count, "seed": how.seed, "numbers": found, "roc_band": band}


def _echo(whole: Comparison, result: dict[str, Any], level: float) -> None:
    echo_table(curve_rows(whole))
    echo_sample(whole)
    for curve in result["curves"]:
        _echo_more(curve, level)


def _column(test: Predictions, option: str, column: str) -> Any:
    from cxrbench.errors import StatisticsError

    if column not in test.table.columns:
        raise StatisticsError(
            f"{option} {column}: no such column; besides ids, label and scores the file has "
            f"{', '.join(map(str, test.table.columns)) or 'none'}"
        )
    values = test.table[column]
    missing = [row for row, value in enumerate(values.astype(str)) if not value.strip()]
    if option == "--sites" and missing:
        raise StatisticsError(f"--sites {column}: no site for {len(missing)} images")
    return values


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


def _subgroups(test: Predictions, scores: Any, column: str, values: Any, reading: Reading) -> dict[str, Any]:
    from dataclasses import asdict

    from cxrbench.statistics import age_bands, subgroup_aucs

    members = age_bands(values) if column == "age" else values.replace("", None)
    report = subgroup_aucs(
        test.labels,
        scores,
        members,
        test.patients if reading.cluster else None,
        by=column,
        interval=reading.interval,
        level=reading.level,
    )
    return asdict(report)


def _echo_more(curve: dict[str, Any], level: float) -> None:
    interval = f"{100 * level:g}% interval"
    click.echo("\n" + one_line(f"{curve['name']}: average precision {show(curve['average_precision'])}"))
    if "calibration" in curve:
        found = curve["calibration"]
        click.echo(
            f"Brier score {show(found['brier'])}, expected calibration error "
            f"{show(found['expected_calibration_error'])}"
        )
        click.echo(
            f"calibration intercept {_with_ends(found, 'intercept')}, slope {_with_ends(found, 'slope')}; "
            f"Spiegelhalter z {show(found['spiegelhalter_z'], 3)}, p = {show_p(found['spiegelhalter_p'])}"
        )
        for note in found["notes"]:
            click.echo(f"note: {note}")
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
                    "threshold": point["rule"],
                    "score": f"{point['threshold']:.6g}",
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
    if "predictive_values" in curve:
        echo_table(
            [
                {"threshold": row["rule"]}
                | {
                    f"{name} at {row['prevalence']:g}" if key in ("ppv", "npv") else name: show_number(
                        row[key]["value"], row[key]["ci_low"], row[key]["ci_high"]
                    )
                    for key, name in (
                        ("ppv", "PPV"), ("npv", "NPV"), ("lr_positive", "LR+"), ("lr_negative", "LR-"),
                    )
                }
                for row in curve["predictive_values"]
            ]
        )  # fmt: skip
    if "net_benefit" in curve:
        echo_table(
            [
                {
                    "act from": f"{row['threshold']:g}",
                    "net benefit": show(row["model"]),
                    interval: show_interval(row["ci_low"], row["ci_high"]),
                    "of acting on all": show(row["everybody"]),
                    "gain": show(row["gain"]),
                }
                for row in curve["net_benefit"]
            ]
        )
    if "sites" in curve:
        found = curve["sites"]
        click.echo(f"AUC within sites {_with_ends(found, 'within')}, over sites {_with_ends(found, 'over')}")
        if found["left_out"]:
            click.echo(one_line(f"note: left out, too few images of a class: {', '.join(found['left_out'])}"))
    if "bootstrap" in curve:
        echo_table(
            [
                {
                    "bootstrap over patients": name,
                    "value": show(row["value"]),
                    "SE": show(row["se"]),
                    interval: show_interval(row["ci_low"], row["ci_high"]),
                    "": row["note"] or "",
                }
                for name, row in curve["bootstrap"]["numbers"].items()
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
        said = (
            test["note"]
            if test["p_value"] is None
            else f"chi-square {test['chi2']:.4f} on {test['df']} df, p = {show_p(test['p_value'])}"
        )
        click.echo(one_line(f"heterogeneity by {report['by']}: {said}"))


def _with_ends(found: dict[str, Any], name: str) -> str:
    return show_number(found[name], found[f"{name}_low"], found[f"{name}_high"])
