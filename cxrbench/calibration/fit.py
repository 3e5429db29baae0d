"""From a sweep to the knobs that bring schemes nearest to the AUCs that are aimed at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import lsq_linear
from scipy.special import expit, logit

from cxrbench.calibration.records import Fit, Row

DECIMALS = 3
_EDGE = 1e-4
"""AUCs are kept this far from 0 and 1, where the logit has no value."""


def fit(rows: Sequence[Row], sweep: Mapping[str, tuple[float, ...]], aims: Mapping[str, float]) -> Fit:
    """Return the knobs within the swept ranges at which the schemes come nearest to their aims.

    The logit of each scheme's AUC is modelled as linear in the knobs. The distance to an aim is made one of
    AUCs by the logit's slope there, and the squares of the distances are added over schemes. Where several
    settings are as near, that in the middle of the ranges is taken.

    Parameters
    ----------
    rows: the sweep's rows; every aimed-at scheme at every point.
    sweep: ROLE.OPTION -> the values that were tried.
    aims: scheme -> AUC aimed at.
    """
    low = np.array([min(values) for values in sweep.values()])
    high = np.array([max(values) for values in sweep.values()])
    middle, half = (low + high) / 2, (high - low) / 2
    models = {scheme: _model(rows, scheme, sweep, middle, half) for scheme in aims}
    wanted = np.array([_logit(aim) for aim in aims.values()])
    slope = np.array([aim * (1 - aim) for aim in aims.values()])
    coefficients = np.array(list(models.values()))
    # An active-set method: the other one stops short of the ends of the range.
    solved = lsq_linear(
        coefficients[:, 1:] * slope[:, None],
        (wanted - coefficients[:, 0]) * slope,
        bounds=(-1.0, 1.0),
        method="bvls",
    )
    # Rounding may step over an end of the range by less than it rounds.
    values = np.clip(np.round(middle + half * solved.x, DECIMALS), low, high)
    scaled = (values - middle) / half
    expected = {scheme: float(expit(model[0] + scaled @ model[1:])) for scheme, model in models.items()}
    return Fit(
        knobs={name: float(value) for name, value in zip(sweep, values, strict=True)},
        expected=expected,
        residual={
            scheme: _residual(rows, scheme, sweep, middle, half, model) for scheme, model in models.items()
        },
        at_the_end=tuple(
            name
            for name, value, first, last in zip(sweep, values, low, high, strict=True)
            if min(value - first, last - value) < 10**-DECIMALS
        ),
    )


Numbers = npt.NDArray[np.float64]


def _model(
    rows: Sequence[Row], scheme: str, sweep: Mapping[str, tuple[float, ...]], middle: Numbers, half: Numbers
) -> Numbers:
    """Return the intercept and a slope a knob of the logit, the knobs scaled to -1…1 over their ranges."""
    design, aucs = _design(rows, scheme, sweep, middle, half)
    return np.asarray(np.linalg.lstsq(design, _logit(aucs), rcond=None)[0], dtype=np.float64)


def _residual(
    rows: Sequence[Row],
    scheme: str,
    sweep: Mapping[str, tuple[float, ...]],
    middle: Numbers,
    half: Numbers,
    model: Numbers,
) -> float:
    design, aucs = _design(rows, scheme, sweep, middle, half)
    return float(np.sqrt(np.mean((expit(design @ model) - aucs) ** 2)))


def _design(
    rows: Sequence[Row], scheme: str, sweep: Mapping[str, tuple[float, ...]], middle: Numbers, half: Numbers
) -> tuple[Numbers, Numbers]:
    of_scheme = [row for row in rows if row.scheme == scheme]
    values = np.array([[row.knobs[name] for name in sweep] for row in of_scheme], dtype=np.float64)
    scaled: Numbers = (values - middle) / half
    return np.column_stack([np.ones(len(scaled)), scaled]), np.array([row.auc for row in of_scheme])


def _logit(auc: float | Numbers) -> Numbers:
    limited: Numbers = logit(np.clip(auc, _EDGE, 1 - _EDGE))
    return limited
