"""Could the network have read something else than the disease? What speaks for it, from predictions alone.

For the test images of the target a study keeps view, age, sex, source, the file's height and width, and the
mean brightness that the network sees. From these and the predictions come

- the AUC of each alone, and of all together: a logistic regression, cross-validated by patient;
- each scheme's AUC among images that are alike in it: pairs of one stratum only;
- the difference of each scheme from the control in each subgroup, Holm-adjusted over all of them.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cxrbench.cohort.table import HeadedSource, PixelSource, SizedSource, resolve
from cxrbench.datasets.tables import sexes, views
from cxrbench.errors import CxrbenchError, RadiographError, StatisticsError
from cxrbench.files import file_sha256, write_text_atomic
from cxrbench.statistics import adjust_p_values, auc
from cxrbench.statistics.means import compare_means
from cxrbench.statistics.predictions import Predictions, join_predictions
from cxrbench.statistics.shortcuts import bands, held_out, shortcut_scores
from cxrbench.statistics.sites import pooled_auc
from cxrbench.statistics.subgroups import MINIMUM, age_bands
from cxrbench.study.prepare import RoleData
from cxrbench.study.results import Doubt, Shortcut, SubgroupDifference, WithinStrata

COVARIATES = "predictions/covariates.csv"
WORDS = ("view", "sex", "source")
KINDS: Mapping[str, tuple[str, ...]] = {
    "view": ("view",),
    "age": ("age",),
    "sex": ("sex",),
    "source": ("source",),
    "image size": ("height", "width"),
    "mean brightness": ("brightness",),
}
"""What an image may be known by -> its columns in the file of covariates."""
ALL = "all together"


def write_covariates(turns: Sequence[RoleData], out: Path) -> str:
    """Write what is known of the target's test images besides the film; return the file's SHA-256.

    turns: the target's data, or that of each fold.
    """
    data = turns[0]
    rows = np.unique(np.concatenate([turn.rows("test") for turn in turns]))
    table = data.pack.table.loc[rows, ["image_id", "view", "age", "sex", "source"]].copy()
    source, positions = resolve(data.cohort.pixels, len(data.cohort))
    place = dict(zip(data.cohort.table["image_id"].tolist(), positions.tolist(), strict=True))
    files = [place[image] for image in table["image_id"]]
    if isinstance(source, HeadedSource):
        table = _completed(table, source, files)
    table["height"], table["width"] = _sizes(source, files)
    table["brightness"] = [round(float(data.pack.pixels[row].mean()), 4) for row in rows]
    text = io.StringIO()
    table.to_csv(text, index=False, lineterminator="\n")
    path = out / COVARIATES
    if not path.is_file() or path.read_text(encoding="utf-8") != text.getvalue():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text_atomic(path, text.getvalue())
    return file_sha256(path)


def _completed(table: pd.DataFrame, source: HeadedSource, files: Sequence[int]) -> pd.DataFrame:
    """Return ``table`` with view, age and sex from the files' headers where the cohort does not know them."""
    headers = [source.header(file) for file in files]

    view, sex = (
        pd.Series([getattr(header, name) for header in headers], table.index, dtype=object)
        for name in ("view", "sex")
    )
    age = pd.Series([header.age for header in headers], table.index, dtype=np.float64)
    return table.assign(
        view=table["view"].astype(object).fillna(views(view)),
        sex=table["sex"].astype(object).fillna(sexes(sex)),
        age=table["age"].astype(np.float64).fillna(age),
    )


def _sizes(source: PixelSource, files: Sequence[int]) -> tuple[list[int | None], list[int | None]]:
    """Return height and width of each file; None where it has none, as a generated image."""
    found: list[tuple[int, int] | tuple[None, None]] = []
    for file in files:
        try:
            found.append(source.shape(file) if isinstance(source, SizedSource) else (None, None))
        except RadiographError:
            # It was read when it was packed; a header that gives no size is no reason to stop.
            found.append((None, None))
    return [height for height, _ in found], [width for _, width in found]


def read_covariates(folder: Path, sha256: str) -> pd.DataFrame:
    """Return the covariates of a study's test images.

    Raises
    ------
    CxrbenchError: the file is missing or is not the one that the results were computed from.
    """
    path = folder / COVARIATES
    if not path.is_file() or file_sha256(path) != sha256:
        raise CxrbenchError(f"{path} is missing or was changed; run the study again")
    words = dict.fromkeys(("image_id", *WORDS), str)
    missing = {column: [""] for columns in KINDS.values() for column in columns}
    # From the open file: pandas takes a name that begins with ~/ for one in the home folder.
    with path.open("rb") as content:
        return pd.read_csv(content, dtype=words, keep_default_na=False, na_values=missing)


def doubt(
    curves: Mapping[str, Predictions], covariates: pd.DataFrame, sha256: str, reference: str | None
) -> Doubt:
    """Return what speaks for a shortcut.

    Parameters
    ----------
    curves: scheme -> its test predictions, a curve per seed.
    covariates: what :func:`write_covariates` wrote; sha256: of its file.
    reference: the scheme that the others are compared with in subgroups; None for no comparison.
    """
    joined = join_predictions(curves)
    table = covariates.set_index("image_id").loc[list(joined.image_ids)].reset_index(drop=True)
    # An archive's typing errors are no reason to stop a study that has been trained.
    numbers = table.select_dtypes("number")
    table = table.assign(**numbers.where(np.isfinite(numbers) & (numbers >= 0)))
    told = {
        kind: list(columns)
        for kind, columns in KINDS.items()
        if any(table[column].nunique(dropna=False) > 1 for column in columns)
    }
    left_out = {
        kind: "not known" if table[list(columns)].isna().all(axis=None) else "the same in all images"
        for kind, columns in KINDS.items()
        if kind not in told
    }
    shortcuts = []
    several = {ALL: [column for columns in told.values() for column in columns]} if len(told) > 1 else {}
    tried = {**told, **several}
    try:
        folds = held_out(joined.labels, joined.patients)
    except StatisticsError as error:
        left_out |= dict.fromkeys(tried, str(error))
        tried = {}
    for kind, columns in tried.items():
        scores = shortcut_scores(table[columns], joined.labels, folds)
        alone = auc(joined.labels, scores, joined.patients, name=kind)
        strata = _strata(kind, table, scores)
        shortcuts.append(
            Shortcut(
                name=kind,
                auc=alone.auc,
                ci_low=alone.ci_low,
                ci_high=alone.ci_high,
                unknown=int(table[columns].isna().any(axis=1).sum()),
                within={name: found for name in curves for found in _within(joined, curves[name], strata)},
            )
        )
    compared = tuple(_subgroups(joined, curves, {k: _strata(k, table, None) for k in told}, reference))
    return Doubt(COVARIATES, sha256, tuple(shortcuts), _adjusted(compared), left_out)


def _strata(kind: str, table: pd.DataFrame, scores: np.ndarray | None) -> pd.Series[str]:
    """Return the stratum of each image; of all covariates together, the band of what they say."""
    if kind == ALL:
        return bands(pd.Series(scores))
    if kind == "age":
        return age_bands(table["age"]).astype(object).fillna("unknown").astype(str)
    if kind == "image size":
        return bands(table["height"] * table["width"])
    return bands(table[KINDS[kind][0]])


def _within(joined: Predictions, of: Predictions, strata: pd.Series[str]) -> Iterator[WithinStrata]:
    """Yield a scheme's AUC within ``strata``, mean over its seeds; nothing where no stratum has both classes.

    The interval's ends are the means of the seeds': the mean AUC varies with the sample no more than that.
    """
    try:
        found = [
            pooled_auc(joined.labels, joined.scores[curve], strata.to_numpy(), joined.patients)
            for curve in of.scores
        ]
    except StatisticsError:
        return
    first = found[0]
    yield WithinStrata(
        auc=float(np.mean([one.within for one in found])),
        ci_low=float(np.mean([one.within_low for one in found])),
        ci_high=float(np.mean([one.within_high for one in found])),
        strata=len(first.sites),
        images=int(strata.isin(first.sites).sum()),
    )


def _subgroups(
    joined: Predictions,
    curves: Mapping[str, Predictions],
    strata: Mapping[str, pd.Series[str]],
    reference: str | None,
) -> Iterator[SubgroupDifference]:
    """Yield every scheme against ``reference`` in every subgroup that is large enough; p not adjusted yet."""
    for kind, members in strata.items() if reference in curves else ():
        for value in sorted(set(members), key=_place):
            keep = (members == value).to_numpy()
            if not _enough(joined, keep):
                continue
            patients = None if joined.patients is None else joined.patients[keep]
            scores = {name: values[keep] for name, values in joined.scores.items()}
            for name in curves:
                if name == reference:
                    continue
                assert reference is not None
                pair = compare_means(
                    joined.labels[keep],
                    {curve: scores[curve] for side in (name, reference) for curve in curves[side].scores},
                    list(curves[name].scores),
                    list(curves[reference].scores),
                    patients,
                )
                yield SubgroupDifference(
                    by=kind,
                    value=value,
                    a=name,
                    b=reference,
                    images=int(keep.sum()),
                    positive=int(joined.labels[keep].sum()),
                    difference=pair.difference,
                    ci_low=pair.ci_low,
                    ci_high=pair.ci_high,
                    p_value=pair.p_value,
                    p_adjusted=1.0,
                )


def _place(value: str) -> tuple[float, str]:
    """Return where a subgroup stands: bands such as ``<18`` and ``18-39`` by their ends, then words."""
    number = re.match(r"<?(-?\d+(?:\.\d+)?)", value)
    return (math.inf if number is None else float(number[1]) - value.startswith("<")), value


def _enough(joined: Predictions, keep: np.ndarray) -> bool:
    units = np.arange(len(keep)) if joined.patients is None else joined.patients
    return all(len(set(units[keep & (joined.labels == kind)])) >= MINIMUM for kind in (True, False))


def _adjusted(pairs: Sequence[SubgroupDifference]) -> tuple[SubgroupDifference, ...]:
    from dataclasses import replace

    adjusted = adjust_p_values([pair.p_value for pair in pairs], "holm")
    return tuple(
        replace(pair, p_adjusted=max(p, pair.p_value)) for pair, p in zip(pairs, adjusted, strict=True)
    )
