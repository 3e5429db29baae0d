"""The phantom as a data set: its options are the cohort to draw and that cohort's knobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.phantom.cohorts import COHORTS, phantom_cohort
from cxrbench.datasets.phantom.config import PhantomConfig
from cxrbench.datasets.registry import register
from cxrbench.errors import DatasetError
from cxrbench.text import did_you_mean


def configuration(
    cohort: str | None = None, imaging: Mapping[str, Any] | None = None, **knobs: Any
) -> PhantomConfig:
    """Return the configuration that a role's options describe.

    Raises
    ------
    DatasetError: no such cohort or knob (the message names the nearest), or a value out of range.
    """
    if cohort not in COHORTS:
        raise DatasetError(
            f"phantom: option 'cohort' must be one of {', '.join(COHORTS)}, not {cohort!r}"
            f"{did_you_mean(cohort, COHORTS)}"
        )
    return PhantomConfig.from_mapping({"imaging": {} if imaging is None else imaging, cohort: knobs})


@register(
    "phantom",
    title="synthetic radiographs",
    recognises=None,
    public=True,
    synthetic=True,
    licence="none: drawn by this program",
    page="phantom.md",
    check=configuration,
)
def load(
    cohort: str, imaging: Mapping[str, Any] | None = None, *, seed: int, device: str, **knobs: Any
) -> Cohort:
    """Draw one of the phantom's cohorts.

    Parameters
    ----------
    cohort: ``"findings"``, ``"pneumonia"`` or ``"covid"``.
    imaging: knobs of :class:`~cxrbench.datasets.phantom.config.ImagingConfig`.
    seed, device: as for :func:`~cxrbench.datasets.phantom.cohorts.phantom_cohort`.
    knobs: the knobs of this cohort.

    Raises
    ------
    DatasetError: as :func:`configuration`.
    """
    return phantom_cohort(cohort, configuration(cohort, imaging, **knobs), seed, device=device)
