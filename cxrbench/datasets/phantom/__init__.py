"""Synthetic frontal chest radiographs: a calibrated instrument for finding regressions in code.

It says nothing about COVID-19. Making a cohort does not import torch; reading its pixels does.
"""

from cxrbench.datasets.phantom.cohorts import COHORTS, PhantomPixels, phantom_cohort
from cxrbench.datasets.phantom.config import (
    CovidConfig,
    FindingsConfig,
    ImagingConfig,
    PhantomConfig,
    PneumoniaConfig,
)
from cxrbench.datasets.phantom.latents import FINDINGS, Latents

__all__ = [
    "COHORTS",
    "FINDINGS",
    "CovidConfig",
    "FindingsConfig",
    "ImagingConfig",
    "Latents",
    "PhantomConfig",
    "PhantomPixels",
    "PneumoniaConfig",
    "phantom_cohort",
]
