"""Every knob of the phantom, in four parts: the imaging, and one part per cohort.

A cohort reads ``imaging`` and its own part, nothing else, so a knob of the target cohort cannot change a
pixel or a label of a supplemental one, nor the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from cxrbench.errors import DatasetError
from cxrbench.text import did_you_mean


@dataclass(frozen=True)
class _Knobs:
    """A flat table of numbers that can be read from a mapping and checked against its ranges."""

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str) -> Self:
        """Return the knobs with ``mapping``'s values in place of the defaults.

        Raises
        ------
        DatasetError: a key is unknown, or a value is of the wrong kind or out of range.
        """
        _check_keys(mapping, [f.name for f in fields(cls)], where)
        try:
            return cls(**mapping)
        except DatasetError as error:
            raise DatasetError(f"{where}: {error}") from error

    def __post_init__(self) -> None:
        for knob in fields(self):
            value = getattr(self, knob.name)
            low, high = knob.metadata["range"]
            whole = knob.metadata["whole"]
            if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
                raise DatasetError(f"{knob.name} must be a {'whole ' if whole else ''}number, not {value!r}")
            if not (math.isfinite(value) and low <= value <= high):
                raise DatasetError(f"{knob.name} must be between {low:g} and {high:g}, not {value!r}")
            if not whole:
                object.__setattr__(self, knob.name, float(value))


def _check_keys(mapping: object, known: list[str], where: str) -> None:
    if not isinstance(mapping, Mapping):
        raise DatasetError(f"{where} must be a table of knobs, not {mapping!r}")
    for key in mapping:
        if key not in known:
            raise DatasetError(
                f"{where}: unknown knob {key!r}{did_you_mean(key, known)} (known: {', '.join(known)})"
            )


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"range": (low, high), "whole": False})


def _count(default: int, low: int) -> Any:
    return field(default=default, metadata={"range": (low, 1_000_000), "whole": True})


def _share(default: float) -> Any:
    return _number(default, 0.0, 1.0)


@dataclass(frozen=True)
class ImagingConfig(_Knobs):
    """What every cohort's images share: anatomy, X-rays, detector. 1 is the default strength of a factor."""

    anatomy_variation: float = _number(1.0, 0.0, 2.0)
    """Factor on the spread of every anatomical measure between patients."""
    pose_variation: float = _number(1.0, 0.0, 2.0)
    """Factor on the spread of rotation, shift, scale and inspiration between images."""
    exposure_variation: float = _number(1.0, 0.0, 3.0)
    """Factor on the spread of the window's centre."""
    contrast_variation: float = _number(1.0, 0.0, 2.0)
    """Factor on the spread of the window's width."""
    noise: float = _number(1.0, 0.0, 10.0)
    """Factor on the standard deviation of the quantum noise (0: none)."""
    scatter: float = _number(0.35, 0.0, 2.0)
    """Scattered radiation in units of the mean primary radiation; AP films get 1.3 times as much."""
    rib_contrast: float = _number(1.0, 0.0, 3.0)
    """Factor on the attenuation of ribs, clavicles and shoulder blades."""
    vessel_contrast: float = _number(1.0, 0.0, 3.0)
    """Factor on the attenuation of the lung vessels."""
    mottle: float = _number(1.0, 0.0, 5.0)
    """Factor on the fine, harmless texture of lung and soft tissue that opacities hide in."""
    device_share_ap: float = _share(0.6)
    """Share of AP images with ECG leads; lines and tubes come with a part of them."""
    device_share_pa: float = _share(0.05)
    """The same for PA images."""
    marker_share: float = _share(0.8)
    """Share of images with a lead side marker."""


@dataclass(frozen=True)
class FindingsConfig(_Knobs):
    """The general-findings cohort, after ChestX-ray14."""

    n_images: int = _count(4000, 2)
    images_per_patient: float = _number(3.6, 1.0, 50.0)
    """Mean; ChestX-ray14 has 112,120 images of 30,805 patients."""
    prevalence_boost: float = _number(1.0, 0.0, 10.0)
    """Factor on the published prevalence of each finding (each at most 0.5 afterwards)."""
    severity_median: float = _number(0.75, 0.001, 0.999)
    """Median severity of a finding that is present (logit-normal)."""
    severity_spread: float = _number(0.8, 0.0, 5.0)
    """Standard deviation of the severity's logit."""
    severity_within_patient: float = _share(0.7)
    """Correlation of the severity's logit between images of one patient."""
    ap_share: float = _share(0.4)
    """Share of AP images, whatever the labels."""
    label_noise: float = _number(0.0, 0.0, 0.5)
    """Of each label, this share of the rarer class trades places with as many of the other class."""
    noise_scale: float = _number(1.0, 0.0, 10.0)
    """Factor on the quantum noise of this cohort alone."""


@dataclass(frozen=True)
class PneumoniaConfig(_Knobs):
    """The pneumonia cohort, after the RSNA challenge: lung opacity against two kinds of negatives."""

    n_images: int = _count(2500, 2)
    images_per_patient: float = _number(2.0, 1.0, 50.0)
    """Mean."""
    positive_share: float = _share(0.225)
    """Share of "Lung Opacity" (RSNA: 6,012 of 26,684)."""
    not_normal_share: float = _share(0.443)
    """Share of "No Lung Opacity / Not Normal" (RSNA: 11,821 of 26,684); the rest is "Normal"."""
    severity_median: float = _number(0.75, 0.001, 0.999)
    """Median severity of the positives' opacity."""
    severity_spread: float = _number(0.8, 0.0, 5.0)
    """Standard deviation of the severity's logit, positives and negatives."""
    severity_within_patient: float = _share(0.7)
    """Correlation of the severity's logit between images of one patient."""
    mimic_severity_median: float = _number(0.75, 0.001, 0.999)
    """Median severity of the not-normal negatives' findings."""
    comorbidity_share: float = _share(0.15)
    """Share of positives that carry another finding as well."""
    ap_share_positive: float = _share(0.45)
    """Share of AP images among positives."""
    ap_share_negative: float = _share(0.45)
    """The same among negatives."""
    label_noise: float = _number(0.0, 0.0, 0.5)
    """This share of the rarer class trades places with as many of the other class."""
    noise_scale: float = _number(1.0, 0.0, 10.0)
    """Factor on the quantum noise of this cohort alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positive_share + self.not_normal_share > 1:
            raise DatasetError("positive_share and not_normal_share must not exceed 1 together")


@dataclass(frozen=True)
class CovidConfig(_Knobs):
    """The target cohort: COVID-19 against everything else.

    Patients and positives follow from the image counts in the paper's proportions: 1,060 images of 475
    patients, 801 images positive.
    """

    n_images: int = _count(1060, 2)
    """Images that a study splits into training and validation."""
    n_test_images: int = _count(4000, 0)
    """Images of further patients, the cohort's official test list (0: none)."""
    images_per_test_patient: float = _number(1060 / 475, 1.0, 50.0)
    """Mean in the test list; the paper's proportion by default. With 1 every image is an independent
    observation, and the AUC of as many images has its smallest standard error."""
    severity_median: float = _number(0.6, 0.001, 0.999)
    """Median severity of the positives (logit-normal); 0.1 and less is hard to see for anybody."""
    severity_spread: float = _number(1.0, 0.0, 5.0)
    """Standard deviation of the positives' severity logit."""
    severity_within_patient: float = _share(0.7)
    """Correlation of the severity's logit between images of one patient."""
    mimic_share: float = _share(0.7)
    """Share of negatives with a finding that resembles the target's (pneumonia, oedema, effusion ...)."""
    mimic_severity_median: float = _number(0.5, 0.001, 0.999)
    """Median severity of those findings."""
    mimic_severity_spread: float = _number(1.0, 0.0, 5.0)
    """Standard deviation of their severity's logit."""
    comorbidity_share: float = _share(0.3)
    """Share of patients, positive and negative alike, with a further finding, of median severity 0.5."""
    ap_share_positive: float = _share(0.5)
    """Share of AP images among positives; far from ``ap_share_negative``, the view gives the label away."""
    ap_share_negative: float = _share(0.5)
    """The same among negatives."""
    label_noise: float = _number(0.0, 0.0, 0.5)
    """As for the other cohorts; never in the official test list."""
    noise_scale: float = _number(1.0, 0.0, 10.0)
    """Factor on the quantum noise of this cohort alone."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_test_images == 1:
            raise DatasetError("n_test_images must be 0 or at least 2, one for each label")


@dataclass(frozen=True)
class PhantomConfig:
    """The whole phantom.

    Parameters
    ----------
    imaging: anatomy, X-rays and detector, for all cohorts.
    findings, pneumonia, covid: the three cohorts, one part each.
    """

    imaging: ImagingConfig = field(default_factory=ImagingConfig)
    findings: FindingsConfig = field(default_factory=FindingsConfig)
    pneumonia: PneumoniaConfig = field(default_factory=PneumoniaConfig)
    covid: CovidConfig = field(default_factory=CovidConfig)

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any], where: str = "phantom") -> PhantomConfig:
        """Return the configuration that a TOML table describes; what it leaves out keeps its default.

        Parameters
        ----------
        mapping: ``{"imaging": {...}, "findings": {...}, "pneumonia": {...}, "covid": {...}}``, all optional.
        where: what to call the table in error messages.

        Raises
        ------
        DatasetError: a table or knob is unknown, or a value is of the wrong kind or out of range.
        """
        parts: dict[str, type[_Knobs]] = {
            "imaging": ImagingConfig,
            "findings": FindingsConfig,
            "pneumonia": PneumoniaConfig,
            "covid": CovidConfig,
        }
        _check_keys(mapping, list(parts), where)
        read: dict[str, Any] = {k: parts[k].from_mapping(v, f"{where}.{k}") for k, v in mapping.items()}
        return cls(**read)
