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
    RESAMPLES,
    curve_rows,
    echo_json,
    echo_sample,
    echo_table,
    make_columns,
    more_options,
    prediction_options,
    resampled_numbers,
    show,
    show_interval,
    show_p,
    with_patients,
)

if TYPE_CHECKING:
    from cxrbench.statistics import Columns, Comparison, Pair


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
    "--threshold",
    "thresholds",
    type=number,
    multiple=True,
    help="Add McNemar's test of the calls at this score, the same for both; repeatable.",
)
@more_options
@prediction_options
@user_errors
def command(
    predictions: tuple[Path, ...],
    adjust: Literal["holm", "bonferroni", "fdr_bh", "none"],
    margin: float | None,
    unpaired: bool,
    thresholds: tuple[float, ...],
    specificities: tuple[float, ...],
    net_benefits: tuple[float, ...],
    bootstrap: int | None,
    seed: int,
    cluster: str | None,
    id_column: str,
    label_column: str,
    score_columns: tuple[str, ...],
    patient_column: str,
    interval: Literal["newcombe", "logit", "wald"],
    level: float,
    as_json: bool,
) -> None:
    """Compare the AUCs of PREDICTIONS: two or more files, or one file with several score columns.

    Files are joined on the image id, never on the order of their rows. Differences are first minus second.
    """
    from cxrbench.errors import StatisticsError
    from cxrbench.statistics import compare_all, read_all

    columns = make_columns(id_column, label_column, score_columns, patient_column, cluster)
    more: list[dict[str, Any]] = []
    if unpaired:
        if thresholds or specificities or net_benefits or bootstrap:
            raise StatisticsError("--unpaired: McNemar, net benefit and the bootstrap are paired tests")
        whole = _unpaired(predictions, columns, cluster is not None, margin, interval, level)
        whole = with_patients(whole, whole.n_patients, columns.patient)
    else:
        test = read_all(predictions, columns)
        if len(test.scores) < 2:
            raise StatisticsError(
                "one curve has nothing to be compared with; give two files or score columns"
            )
        whole = compare_all(
            test.labels,
            test.scores,
            test.patients if cluster else None,
            adjust,
            margin=margin,
            interval=interval,
            level=level,
        )
        whole = with_patients(whole, test.n_patients, columns.patient)
        groups = test.patients if cluster else None
        for pair in whole.pairs:
            a, b = test.scores[pair.a], test.scores[pair.b]
            names = {"a": pair.a, "b": pair.b}
            more += [
                names | row
                for row in (
                    *_mcnemar(test.labels, a, b, groups, thresholds),
                    *_net_benefit(test.labels, a, b, groups, net_benefits, level),
                    *_bootstrap(test.labels, a, b, groups, specificities, bootstrap, seed, level),
                )
            ]
    if as_json:
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
    labels: Any,
    a: Any,
    b: Any,
    groups: Any,
    specificities: tuple[float, ...],
    resamples: int | None,
    seed: int,
    level: float,
) -> list[dict[str, Any]]:
    from dataclasses import asdict

    import numpy as np

    from cxrbench.statistics import resampled_difference

    if not (resamples or specificities):
        return []
    rows = []
    for name, statistic in resampled_numbers(specificities).items():
        found = asdict(
            resampled_difference(
                labels,
                a,
                b,
                statistic,
                groups,
                rng=np.random.default_rng(seed),
                resamples=resamples or RESAMPLES,
                level=level,
            )
        )
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
    for name, part in zip(names, (first, second), strict=True):
        (scores,) = part.scores.values()
        samples.append((name, part, scores, part.patients if clustered else None))
    (_, one, scores_one, groups_one), (_, two, scores_two, groups_two) = samples
    pair = compare_unpaired(
        one.labels,
        scores_one,
        two.labels,
        scores_two,
        groups_one,
        groups_two,
        names=names,
        margin=margin,
        interval=interval,
        level=level,
    )
    known = one.patients is not None and two.patients is not None
    return Comparison(
        curves=tuple(
            auc(part.labels, scores, groups, name=name, interval=interval, level=level)
            for name, part, scores, groups in samples
        ),
        pairs=(pair,),
        omnibus=None,
        n_images=one.labels.size + two.labels.size,
        n_positive=int(one.labels.sum() + two.labels.sum()),
        n_patients=len({*one.patients, *two.patients}) if known else None,  # type: ignore[misc]
        clustered=clustered,
        adjust="none",
        level=level,
        notes=("unpaired: the counts are those of both files together",),
    )
