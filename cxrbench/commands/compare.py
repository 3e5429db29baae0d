"""``cxrbench compare``: the AUCs of several prediction files, and the tests between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from cxrbench.commands._errors import user_errors
from cxrbench.commands._numbers import number
from cxrbench.commands._predictions import (
    ADJUSTMENTS,
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
    from cxrbench.statistics import Columns, Comparison, Pair


@click.command("compare")
@click.argument("predictions", nargs=-1, required=True, type=click.Path(path_type=Path))
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
    "and that it is better by this AUC (superiority).",
)
@click.option(
    "--unpaired",
    is_flag=True,
    help="Compare two files with different test images. Files are otherwise joined on the image id.",
)
@prediction_options
@user_errors
def command(
    predictions: tuple[Path, ...],
    adjust: Literal["holm", "bonferroni", "fdr_bh", "none"],
    margin: float | None,
    unpaired: bool,
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
    if unpaired:
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
    if as_json:
        echo_json(whole.to_dict())
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
    echo_sample(whole)


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
    for test, name in ((pair.noninferiority, "non-inferior"), (pair.superiority, "superior")):
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
