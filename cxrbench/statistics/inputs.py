"""Labels, scores and patients as given by a caller, checked once and turned into arrays.

Everything below this module computes on what these functions return and checks nothing again.
A refusal names the rows (counted from 0, the position in the array) and says what is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from cxrbench.errors import StatisticsError
from cxrbench.text import complaint, first_of, plain_number, visible

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

FAR_APART = np.errstate(over="ignore", invalid="ignore")
"""scikit-learn takes differences and sums of scores, which may lie beyond what float64 holds."""

_ROWS_NAMED = 3
_LONGEST = 120


def name_rows(rows: Sequence[object], kind: str = "row") -> str:
    """Return ``"rows 3, 8, 9 and 4 more"``: the first three rows and how many others there are."""
    named = first_of([_short(visible(str(row))) for row in rows], shown=_ROWS_NAMED)
    return f"{kind}{'' if len(rows) == 1 else 's'} {named}"


def _short(name: str) -> str:
    """Return a name of reasonable length: an id may be a whole file that lost its line ends."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."


def as_labels(labels: npt.ArrayLike, what: str = "labels") -> BoolArray:
    """Return ``labels`` (n,) as booleans, true for the positive class.

    Raises
    ------
    StatisticsError: not one-dimensional, empty, or a value is neither 0 nor 1 (the rows are named).
    """
    values = _as_float64(labels, what)
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if wrong.size:
        raise StatisticsError(
            f"{what}: must be 0 or 1, found {values[wrong[0]]:g} in {name_rows(wrong.tolist())}"
        )
    return np.equal(values, 1.0)


def as_scores(scores: npt.ArrayLike, what: str = "scores") -> FloatArray:
    """Return ``scores`` (n,) as float64, every value exactly as given.

    Raises
    ------
    StatisticsError: not one-dimensional, empty, NaN or infinite (the rows are named), or numbers that
        float64 cannot hold exactly, so that different scores would become ties.
    """
    values = _as_float64(scores, what)
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        raise StatisticsError(
            f"{what}: must be finite, found {values[wrong[0]]:g} in {name_rows(wrong.tolist())}"
        )
    return values


def as_probabilities(
    scores: npt.ArrayLike, what: str = "scores", images: Sequence[object] | None = None
) -> FloatArray:
    """Return ``scores`` as float64 after checking that each lies in [0, 1].

    Parameters
    ----------
    images: ids to name in a message instead of rows.

    Raises
    ------
    StatisticsError: as :func:`as_scores`, or a score is not a probability (the rows are named).
    """
    values = as_scores(scores, what)
    wrong = np.flatnonzero((values < 0) | (values > 1))
    if wrong.size:
        rows = wrong.tolist()
        where = name_rows(rows) if images is None else name_rows([images[row] for row in rows], "image")
        percent = values.min() >= 0 and 1.5 < values.max() <= 100
        mend = "divide percentages by 100" if percent else "turn logits into probabilities first"
        raise StatisticsError(
            f"{what}: must be probabilities between 0 and 1, found {values[wrong[0]]:g} in {where}; {mend}"
        )
    return values


def check_classes(labels: BoolArray, what: str = "labels") -> None:
    """Refuse a sample that holds one class only.

    Raises
    ------
    StatisticsError: all ``labels`` are the same; the rows held are named.
    """
    positives = int(np.count_nonzero(labels))
    if positives in (0, labels.size):
        present, absent = ("positive", "negative") if positives else ("negative", "positive")
        raise StatisticsError(
            f"{what}: all {labels.size} images are {present} (rows 0 to {labels.size - 1}), none is {absent};"
            " an AUC needs both classes"
        )


def check_length(length: int, expected: int, what: str) -> None:
    """Refuse arrays of unequal length.

    Raises
    ------
    StatisticsError: ``length`` is not ``expected``.
    """
    if length != expected:
        raise StatisticsError(f"{what}: {length} values for {expected} labels; give one per image")


@dataclass(frozen=True)
class Groups:
    """Which patient each image belongs to.

    Parameters
    ----------
    codes: (n,) int64, the patient of each image as 0..n_groups-1.
    n_groups: number of patients.
    """

    codes: IntArray
    n_groups: int

    @property
    def singletons(self) -> bool:
        """Whether every patient has exactly one image."""
        return self.n_groups == self.codes.size

    def take(self, keep: BoolArray) -> Groups:
        """Return the groups of the images where ``keep`` is true, numbered anew."""
        names, codes = np.unique(self.codes[keep], return_inverse=True)
        return Groups(codes.astype(np.int64), int(names.size))


def as_groups(groups: npt.ArrayLike, n: int, what: str = "groups") -> Groups:
    """Return the patients ``groups`` (n,), any hashable values, as numbered groups.

    Raises
    ------
    StatisticsError: not one-dimensional, not ``n`` long, or a patient is missing (the rows are named).
    """
    values = pd.Series(groups) if isinstance(groups, (list, tuple)) else groups
    if np.ndim(values) != 1:
        raise StatisticsError(f"{what}: must be one-dimensional, one patient per image")
    series = pd.Series(values)
    check_length(len(series), n, what)
    absent = series.isna().to_numpy()
    if not pd.api.types.is_numeric_dtype(series.dtype):
        text = [isinstance(value, str) for value in series.tolist()]
        blank = [is_text and not value.strip() for is_text, value in zip(text, series.tolist(), strict=True)]
        absent = absent | np.array(blank, dtype=np.bool_)
        others = np.flatnonzero(~np.array(text) & ~absent)
        if any(text) and others.size:
            raise StatisticsError(
                f"{what}: text in some rows and none in {name_rows(others.tolist())}: is 1 the patient '1'?"
            )
    missing = np.flatnonzero(absent)
    if missing.size:
        raise StatisticsError(f"{what}: no patient in {name_rows(missing.tolist())}")
    try:
        codes, names = pd.factorize(series.to_numpy())
    except TypeError as error:
        raise StatisticsError(f"{what}: a patient is a text or a number: {complaint(error)}") from None
    return Groups(codes.astype(np.int64), len(names))


@dataclass(frozen=True)
class Sample:
    """A checked test sample with the scores of K curves.

    Parameters
    ----------
    labels: (n,) bool.
    names: the K curves' names.
    scores: (K, n) float64.
    groups: the patients, or None where images count as independent.
    """

    labels: BoolArray
    names: tuple[str, ...]
    scores: FloatArray
    groups: Groups | None


def as_sample(
    labels: npt.ArrayLike, scores: Mapping[str, npt.ArrayLike], groups: npt.ArrayLike | None = None
) -> Sample:
    """Check labels, the scores of one or more curves, and patients against each other.

    Raises
    ------
    StatisticsError: as the functions above; the message begins with the curve's name.
    """
    if not scores:
        raise StatisticsError("scores: no curve given; give at least one")
    checked = as_labels(labels)
    rows = []
    for name, values in scores.items():
        row = as_scores(values, f"scores of {name!r}")
        check_length(row.size, checked.size, f"scores of {name!r}")
        rows.append(row)
    check_classes(checked)
    return Sample(
        checked,
        tuple(scores),
        np.stack(rows),
        None if groups is None else as_groups(groups, checked.size),
    )


def check_level(level: float) -> float:
    """Return a confidence level after checking that it lies strictly between 0 and 1.

    Raises
    ------
    StatisticsError: it does not.
    """
    # Half of what is missing to 1 must still be seen by float64.
    if not (level > 0 and 0.5 + level / 2 < 1):
        raise StatisticsError(f"level: must lie between 0 and 1, such as 0.95, not {level!r}")
    return float(level)


def _as_float64(values: npt.ArrayLike, what: str) -> FloatArray:
    try:
        raw = np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        # Ragged lists, and tensors that are not to be turned into arrays.
        raise StatisticsError(f"{what}: not an array of numbers: {complaint(error)}") from None
    if np.ma.is_masked(values):
        rows = np.flatnonzero(np.ma.asarray(values).mask).tolist()
        raise StatisticsError(f"{what}: masked, so no value, in {name_rows(rows)}")
    if raw.ndim != 1:
        raise StatisticsError(
            f"{what}: must be one-dimensional, one value per image, not of shape {raw.shape}"
        )
    if not raw.size:
        raise StatisticsError(f"{what}: empty; there is nothing to compute from")
    if raw.dtype.kind in "mM":
        raise StatisticsError(f"{what}: dates and times are not numbers")
    if raw.dtype.kind == "c":
        raise StatisticsError(f"{what}: complex numbers cannot be ranked")
    if raw.dtype.kind in "fiub":
        with np.errstate(over="ignore"):
            converted = raw.astype(np.float64)
    else:
        numbers = [as_number(value) for value in raw.tolist()]
        rows = [row for row, value in enumerate(numbers) if value is None]
        if rows:
            raise StatisticsError(f"{what}: not a number in {name_rows(rows)}")
        converted = np.array(numbers, dtype=np.float64)
    # Wide integers and long doubles may not fit: two scores that become one would be counted as a tie.
    changed = _changed(raw, converted)
    if changed:
        raise StatisticsError(
            f"{what}: float64 cannot hold the value exactly in {name_rows(changed)}; rescale the scores"
        )
    return converted


def _changed(raw: npt.NDArray[Any], converted: FloatArray) -> list[int]:
    """Return the rows whose number is another one as float64."""
    if raw.dtype.kind in "iu" or (raw.dtype.kind == "f" and raw.dtype.itemsize > converted.dtype.itemsize):
        with np.errstate(invalid="ignore"):
            return np.flatnonzero((converted.astype(raw.dtype) != raw) & ~np.isnan(converted)).tolist()
    if raw.dtype.kind == "O":
        pairs = zip(raw.tolist(), converted.tolist(), strict=True)
        return [row for row, (value, number) in enumerate(pairs) if type(value) is int and number != value]
    return []


def as_number(value: object) -> float | None:
    """Return a value as a float, text as :func:`~cxrbench.text.plain_number` reads it; None if it is none."""
    if isinstance(value, str):
        return plain_number(value)
    if isinstance(value, bytes):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
