"""``cxrbench compare``: the AUCs of several prediction files, and the tests between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._numbers import number
from cxrbench.commands._paths import PLACE
from cxrbench.commands._predictions import (
    ADJUSTMENTS,
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
    show_p,
    with_patients,
)

if TYPE_CHECKING:
    from cxrbench.statistics import Adjustment, Columns, Comparison, Pair, Predictions, ReaderStudy


@click.command("compare")
@click.argument("predictions", nargs=-1, required=True, type=PLACE)
@click.option(
    "--adjust",
    type=click.Choice(ADJUSTMENTS),
    default="holm",
    show_default=True,
    help="Adjustment of the p-values over all pairs.",
)
@click.option(
    "--margin",
    type=number,
    help="Also test, one-sided, that the first of each pair is not worse by this AUC (non-inferiority), "
    "that it is better by this AUC (superiority), and that the two differ by less (equivalence).",
)
@click.option(
    "--unpaired",
    is_flag=True,
    help="Compare two files with different test images. Files are otherwise joined on the image id.",
)
@click.option(
    "--readers",
    is_flag=True,
    help="Each file is a method and each --score-column a reader: compare the methods' mean AUCs, for other "
    "readers and other images (Obuchowski and Rockette 1995).",
)
@more_options
@prediction_options
@user_errors
def command(
    predictions: tuple[Path, ...],
    adjust: Adjustment,
    margin: float | None,
    unpaired: bool,
    readers: bool,
    extras: Extras,
    reading: Reading,
) -> None:
    """Compare the AUCs of PREDICTIONS: two or more files, or one file with several score columns.

    Files are joined on the image id, never on the order of their rows. Differences are first minus second.
    """
    from dataclasses import replace

    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import compare_all, read_all

    columns, interval, level = reading.columns, reading.interval, reading.level
    clustered = reading.cluster is not None
    more: list[dict[str, Any]] = []
    if readers and (unpaired or margin is not None or extras.any or interval != "newcombe"):
        raise StatisticsError(
            "--readers: gives mean AUCs with Student's t; leave out --unpaired, --margin, --interval and "
            "what compares two curves"
        )
    if unpaired:
        if extras.thresholds or extras.net_benefits or extras.resampling(level):
            raise StatisticsError("--unpaired: McNemar, net benefit and the bootstrap are paired tests")
        whole = _unpaired(predictions, columns, clustered, margin, interval, level)
        whole = with_patients(whole, whole.n_patients, columns.patient)
    else:
        test = read_all(predictions, columns)
        if len(test.scores) < 2:
            raise StatisticsError(
                "one curve has nothing to be compared with; give two files or score columns"
            )
        groups = test.patients if clustered else None
        whole = compare_all(
            test.labels,
            test.scores,
            groups,
            adjust,
            margin=margin,
            interval=interval,
            level=level,
        )
        whole = with_patients(whole, test.n_patients, columns.patient)
        if readers:
            study = _reader_study(test, columns.scores, groups, level)
            _echo_readers(replace(whole, pairs=(), omnibus=None), study, adjust, reading.as_json)
            return
        for pair in whole.pairs:
            a, b = test.scores[pair.a], test.scores[pair.b]
            names = {"a": pair.a, "b": pair.b}
            more += [
                names | row
                for row in (
                    *_mcnemar(test.labels, a, b, groups, extras.thresholds),
                    *_net_benefit(test.labels, a, b, groups, extras.net_benefits, level),
                    *_bootstrap(test.labels, a, b, groups, extras, level),
                )
            ]
    if reading.as_json:
        echo_json(whole.to_dict() | ({"more": more} if more else {}))
        return
    echo_table(curve_rows(whole))
    click.echo()
    echo_table([_pair_row(pair, whole) for pair in whole.pairs])
    click.echo()
    test_of_all = whole.omnibus
    if test_of_all is not None and test_of_all.p_value is not None:
        note = f" ({test_of_all.note})" if test_of_all.note else ""
        click.echo(
            f"all equal: chi-square {test_of_all.chi2:.4f} on {test_of_all.df} df, "
            f"p = {show_p(test_of_all.p_value)}{note}"
        )
    elif test_of_all is not None:
        click.echo(f"all equal: {test_of_all.note}")
    if more:
        click.echo()
        echo_table([_more_row(row, level) for row in more])
    echo_sample(whole)


def _reader_study(test: Predictions, readers: tuple[str, ...], groups: Any, level: float) -> ReaderStudy:
    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import reader_study

    curves = list(test.scores.items())
    if len(readers) < 2 or len(curves) == len(readers):
        raise StatisticsError(
            "--readers: give two or more files, a method each, and two or more --score-column, a reader each"
        )
    methods = {}
    for first in range(0, len(curves), len(readers)):
        of_method = curves[first : first + len(readers)]
        name = of_method[0][0].removesuffix(f":{readers[0]}")
        methods[name] = {reader: scores for reader, (_, scores) in zip(readers, of_method, strict=True)}
    return reader_study(test.labels, methods, groups, level=level)


def _echo_readers(curves: Comparison, study: ReaderStudy, adjust: Adjustment, as_json: bool) -> None:
    from dataclasses import asdict

    from cxrbench.statistics.adjust import adjust_p_values

    adjusted = adjust_p_values([pair.p_value for pair in study.differences], adjust)
    pairs = list(zip(study.differences, adjusted, strict=True))
    if as_json:
        shown = [asdict(pair) | {"p_adjusted": p} for pair, p in pairs]
        echo_json(curves.to_dict() | {"adjust": adjust, "readers": asdict(study) | {"differences": shown}})
        return
    echo_table(curve_rows(curves))
    click.echo()
    echo_table([{"method": name, "mean AUC": show(mean)} for name, mean in study.means])
    click.echo()
    echo_table(
        [
            {
                "a": pair.a,
                "b": pair.b,
                "a - b": show(pair.difference),
                "SE": show(pair.se),
                f"{100 * curves.level:g}% interval": show_interval(pair.ci_low, pair.ci_high),
                "p": show_p(pair.p_value),
                f"p ({adjust})": show_p(p),
            }
            for pair, p in pairs
        ]
    )
    click.echo(
        f"\nall methods equal, for other readers and images: F {study.f:.4f} on {study.df} and "
        f"{study.ddf:.4g} df, p = {show_p(study.p_value)}"
    )
    echo_sample(curves)


def _mcnemar(labels: Any, a: Any, b: Any, groups: Any, thresholds: tuple[float, ...]) -> list[dict[str, Any]]:
    from math import isnan

    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import mcnemar_tests

    rows = []
    for threshold in thresholds:
        if isnan(threshold):
            raise StatisticsError("--threshold: must be a number, not nan")
        for name, test in zip(
            ("sensitivity", "specificity"),
            mcnemar_tests(labels, a >= threshold, b >= threshold, groups),
            strict=True,
        ):
            of_class = labels if name == "sensitivity" else ~labels
            rows.append(
                {
                    "what": f"{name} at score {threshold:g} (McNemar)",
                    "difference": (test.only_a_right - test.only_b_right) / int(of_class.sum()),
                    "only_a_right": test.only_a_right,
                    "only_b_right": test.only_b_right,
                    "p_value": test.p_value,
                }
            )
    return rows


def _net_benefit(
    labels: Any, a: Any, b: Any, groups: Any, thresholds: tuple[float, ...], level: float
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from cxrbench.statistics import net_benefit_difference

    found = (net_benefit_difference(labels, a, b, threshold, groups, level=level) for threshold in thresholds)
    return [{"what": f"net benefit from {row.threshold:g}"} | asdict(row) for row in found]


def _bootstrap(
    labels: Any, a: Any, b: Any, groups: Any, extras: Extras, level: float
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from cxrbench.statistics import resampled_difference

    how = extras.resampling(level)
    if how is None:
        return []
    rows = []
    for name, statistic in resampled_numbers(extras.specificities).items():
        found = asdict(resampled_difference(labels, a, b, statistic, groups, how))
        rows.append({"what": f"{name} (bootstrap)", "difference": found.pop("value")} | found)
    return rows


def _more_row(row: dict[str, Any], level: float) -> dict[str, Any]:
    return {
        "a": row["a"],
        "b": row["b"],
        "what": row["what"],
        "a - b": show(row["difference"]),
        f"{100 * level:g}% interval": show_interval(row.get("ci_low"), row.get("ci_high")),
        "p": show_p(row["p_value"]),
    }


def _pair_row(pair: Pair, whole: Comparison) -> dict[str, Any]:
    row = {
        "a": pair.a,
        "b": pair.b,
        "a - b": show(pair.difference),
        "SE": show(pair.se),
        f"{100 * whole.level:g}% interval": show_interval(pair.ci_low, pair.ci_high),
        "z": show(pair.z, 3),
        "p": show_p(pair.p_value),
        f"p ({whole.adjust})": show_p(pair.p_adjusted),
    }
    for test, name in (
        (pair.noninferiority, "non-inferior"),
        (pair.superiority, "superior"),
        (pair.equivalence, "equivalent"),
    ):
        if test is not None:
            row[f"{name} by {test.margin:g}: p ({whole.adjust})"] = (
                f"{show_p(test.p_adjusted)} {'yes' if test.holds else 'not shown'}"
            )
    return row


def _unpaired(
    paths: tuple[Path, ...],
    columns: Columns,
    clustered: bool,
    margin: float | None,
    interval: Literal["newcombe", "logit", "wald"],
    level: float,
) -> Comparison:
    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import Comparison, auc, compare_unpaired, read_predictions
    from cxrbench.statistics.inputs import name_rows

    if len(paths) != 2 or len(columns.scores) != 1:
        raise StatisticsError("--unpaired compares two files with one score column each")
    first, second = (read_predictions(path, columns) for path in paths)
    shared = sorted(set(first.image_ids) & set(second.image_ids))
    if shared and not clustered:
        raise StatisticsError(
            f"--unpaired: {name_rows(shared, 'image')} in both files, so the AUCs are correlated; "
            "leave out --unpaired, or give --cluster"
        )
    names = paths[0].stem, paths[1].stem
    if names[0] == names[1]:
        names = f"{names[0]} (1)", f"{names[1]} (2)"
    samples = []
    for part in (first, second):
        (scores,) = part.scores.values()
        samples.append((part.labels, scores, part.patients if clustered else None))
    (labels_a, a, groups_a), (labels_b, b, groups_b) = samples
    pair = compare_unpaired(
        labels_a,
        a,
        labels_b,
        b,
        groups_a,
        groups_b,
        names=names,
        margin=margin,
        interval=interval,
        level=level,
    )
    known = first.patients is not None and second.patients is not None
    return Comparison(
        curves=tuple(
            auc(*sample, name=name, interval=interval, level=level)
            for name, sample in zip(names, samples, strict=True)
        ),
        pairs=(pair,),
        omnibus=None,
        n_images=first.labels.size + second.labels.size,
        n_positive=int(first.labels.sum() + second.labels.sum()),
        n_patients=len({*first.patients, *second.patients}) if known else None,  # type: ignore[misc]
        clustered=clustered,
        adjust="none",
        level=level,
        notes=("unpaired: the counts are those of both files together",),
    )
