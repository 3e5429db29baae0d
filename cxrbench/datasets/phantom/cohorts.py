"""The three cohorts: who has what, in the paper's structure; and the pixels, drawn when asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, ndtri

from cxrbench.cohort.table import Cohort
from cxrbench.datasets.phantom.config import (
    CovidConfig,
    FindingsConfig,
    ImagingConfig,
    PhantomConfig,
    PneumoniaConfig,
)
from cxrbench.datasets.phantom.keys import Floats, Keys, bell, child_keys, name_key, uniform
from cxrbench.datasets.phantom.latents import COVID, DRAWN, FINDINGS, SITES, Latents
from cxrbench.errors import DatasetError

COHORTS = ("findings", "pneumonia", "covid")

LUNG_OPACITY = "Lung Opacity"
NOT_NORMAL = "No Lung Opacity / Not Normal"
NORMAL = "Normal"

PAPER_IMAGES, PAPER_PATIENTS, PAPER_POSITIVES = 1060, 475, 801
"""Fricks et al. 2021, abstract: the target set."""

PREVALENCE = {
    "Atelectasis": 0.103,
    "Cardiomegaly": 0.025,
    "Effusion": 0.119,
    "Infiltration": 0.177,
    "Mass": 0.052,
    "Nodule": 0.056,
    "Pneumonia": 0.013,
    "Pneumothorax": 0.047,
    "Consolidation": 0.042,
    "Edema": 0.021,
    "Emphysema": 0.022,
    "Fibrosis": 0.015,
    "Pleural_Thickening": 0.030,
    "Hernia": 0.002,
}
"""Share of ChestX-ray14's 112,120 images with each label."""

_GROUPS = (
    ("Cardiomegaly", "Edema", "Effusion"),
    ("Pneumonia", "Infiltration", "Consolidation", "Atelectasis", "Effusion"),
    ("Emphysema", "Fibrosis", "Pleural_Thickening", "Pneumothorax"),
    ("Mass", "Nodule"),
)
"""Findings that occur together more often than chance, because of one disease."""

_OPACITIES = {"Pneumonia": 0.6, "Consolidation": 0.2, "Infiltration": 0.2}
_NOT_OPACITY = {
    "Cardiomegaly": 0.2,
    "Atelectasis": 0.16,
    "Effusion": 0.16,
    "Nodule": 0.1,
    "Mass": 0.08,
    "Fibrosis": 0.1,
    "Pleural_Thickening": 0.08,
    "Emphysema": 0.06,
    "Pneumothorax": 0.06,
}
_COVID_MIMICS = {
    "Pneumonia": 0.4,
    "Edema": 0.2,
    "Effusion": 0.15,
    "Infiltration": 0.15,
    "Atelectasis": 0.1,
}
_COMORBIDITIES = {
    "Cardiomegaly": 0.4,
    "Effusion": 0.15,
    "Fibrosis": 0.15,
    "Nodule": 0.15,
    "Emphysema": 0.1,
    "Pleural_Thickening": 0.05,
}


def phantom_cohort(
    name: str, config: PhantomConfig | None = None, seed: int = 0, *, device: str = "cpu"
) -> Cohort:
    """Make one of the phantom's cohorts.

    Parameters
    ----------
    name: ``"findings"``, ``"pneumonia"`` or ``"covid"``.
    config: the knobs; ``None`` for the defaults.
    seed: of this cohort; equal seeds give equal images and labels.
    device: where pixels are drawn, ``"cpu"`` or ``"cuda"``.

    Returns
    -------
    A cohort whose table has, besides the contract's columns and the labels, ``finding`` (what is drawn, names
    joined by ``|``, or ``"No Finding"``; never touched by label noise) and ``severity`` (of the most severe
    finding drawn, 0..1; for ``covid`` positives, of COVID-19); ``pneumonia`` also has ``class``.

    Raises
    ------
    DatasetError: the name is unknown or the seed is not a whole number of 0 or more.
    """
    config = PhantomConfig() if config is None else config
    if name not in COHORTS:
        raise DatasetError(f"the phantom has no cohort {name!r}; choose one of {', '.join(COHORTS)}")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise DatasetError(f"the phantom's seed must be a whole number of 0 or more, not {seed!r}")
    if name == "findings":
        return _findings(config.imaging, config.findings, int(seed), device)
    if name == "pneumonia":
        return _pneumonia(config.imaging, config.pneumonia, int(seed), device)
    return _covid(config.imaging, config.covid, int(seed), device)


@dataclass(frozen=True)
class PhantomPixels:
    """Pixels that are drawn when read.

    Parameters
    ----------
    latents: what the images show, one per table row.
    imaging, noise_scale, device: see :func:`cxrbench.datasets.phantom.render.render`.
    """

    latents: Latents
    imaging: ImagingConfig
    noise_scale: float = 1.0
    device: str = "cpu"

    @property
    def batch(self) -> int:
        """How many images are best read at once: so many that a GPU is kept busy."""
        return 256 if self.device == "cpu" else 4096

    def read(self, index: int, size: int) -> npt.NDArray[np.uint8]:
        """Return image ``index`` as (size, size) uint8, bright where dense."""
        return np.asarray(self.read_batch([index], size)[0])

    def read_batch(self, indices: Sequence[int] | npt.NDArray[np.int64], size: int) -> npt.NDArray[np.uint8]:
        """Return the images at ``indices`` as (n, size, size) uint8; many at once are faster than one by one.

        Raises
        ------
        DatasetError: an index is not a row of the cohort, ``size`` is below 8, or torch is not installed.
        """
        positions = np.asarray(indices, dtype=np.int64)
        if positions.size and not (positions.min() >= 0 and positions.max() < len(self.latents)):
            raise DatasetError(f"the phantom cohort has rows 0..{len(self.latents) - 1}; asked for others")
        if size < 8:
            raise DatasetError(f"the phantom draws images of 8 px and more, not {size}")
        # Imported here so that a cohort can be made, checked and split without torch.
        try:
            from cxrbench.datasets.phantom.render import render
        except ImportError as error:
            raise DatasetError(f"the phantom draws with torch: {error}; install cxrbench[train]") from error

        return render(
            self.latents.take(positions), self.imaging, size, noise_scale=self.noise_scale, device=self.device
        )

    def versions(self) -> dict[str, str]:
        """Return the version of the library that draws, empty where it is not installed."""
        try:
            return {"torch": version("torch")}
        except PackageNotFoundError:
            return {}

    def fingerprint(self) -> str:
        """Return a hex digest of all that the pixels depend on.

        That is what the images show (drawn from the seed and the cohort's own knobs), the imaging, the kind
        of device, and the source files of this package. Knobs of other cohorts, and label noise, leave it
        alone.
        """
        sha = hashlib.sha256(self.latents.digest().encode())
        sha.update(f"{self.imaging!r} {self.noise_scale!r} {self.device.split(':')[0]}\n".encode())
        for path in sorted(Path(__file__).parent.glob("*.py")):
            sha.update(f"{path.name}\n".encode())
            sha.update(path.read_bytes())
        return sha.hexdigest()


@dataclass
class _People:
    """Patients and their images, still without findings. ``of``: each image's row among the patients."""

    patient_keys: Keys
    of: npt.NDArray[np.int64]
    image_keys: Keys = field(init=False)
    number: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        first = np.r_[0, np.flatnonzero(np.diff(self.of)) + 1]
        counts = np.diff(np.r_[first, len(self.of)])
        self.number = np.arange(len(self.of)) - np.repeat(first, counts)
        self.image_keys = child_keys(self.patient_keys[self.of], self.number + 1)

    @property
    def keys(self) -> Keys:
        """The patient's key of each image."""
        return self.patient_keys[self.of]

    def severity(self, name: str, median: float | Floats, spread: float, within: float) -> Floats:
        """Return logit-normal severities, correlated within patients."""
        z = np.sqrt(within) * bell(self.keys, f"severity/{name}")
        z = z + np.sqrt(1 - within) * bell(self.image_keys, f"severity/{name}")
        return np.asarray(expit(logit(median) + spread * z), dtype=np.float64)

    def choose(self, name: str, weights: dict[str, float]) -> npt.NDArray[np.int64]:
        """Return for each image its patient's choice, a column of ``DRAWN``."""
        edges = np.cumsum(list(weights.values()))
        pick = np.searchsorted(edges / edges[-1], uniform(self.keys, name))
        columns = np.array([DRAWN.index(w) for w in weights])
        return np.asarray(columns[pick.clip(max=len(columns) - 1)], dtype=np.int64)


def _people(key: int, n_images: int, n_patients: int) -> _People:
    """Return exactly ``n_images`` images of ``n_patients`` patients, one at least each, some many."""
    patients = child_keys(key, np.arange(n_patients))
    weights = -np.log(uniform(patients, "images"))
    edges = np.cumsum(weights) / weights.sum()
    extra = uniform(child_keys(key ^ name_key("extra images"), np.arange(n_images - n_patients)), "whose")
    counts = 1 + np.bincount(np.searchsorted(edges, extra).clip(max=n_patients - 1), minlength=n_patients)
    return _People(patients, np.repeat(np.arange(n_patients), counts))


def _join(parts: list[_People]) -> _People:
    """Return the patients of all parts, shuffled by their keys."""
    keys = np.concatenate([p.patient_keys for p in parts])
    offsets = np.cumsum([0] + [len(p.patient_keys) for p in parts])
    of = np.concatenate([p.of + o for p, o in zip(parts, offsets[:-1], strict=True)])
    order = np.argsort(keys, kind="stable")
    counts = np.bincount(of, minlength=len(keys))[order]
    return _People(keys[order], np.repeat(np.arange(len(keys)), counts))


def _latents(people: _People, severity: Floats, ap_share: float | Floats) -> Latents:
    female = uniform(people.keys, "sex") < 0.45
    age = np.clip(52 + 16 * bell(people.keys, "age") + 2 * uniform(people.image_keys, "later"), 18, 94)
    return Latents(
        patient_key=people.keys,
        image_key=people.image_keys,
        ap=uniform(people.image_keys, "view") < ap_share,
        female=female,
        age=np.floor(age).astype(np.float32),
        site=np.searchsorted([0.5, 0.8], uniform(people.keys, "site")).astype(np.int8),
        severity=severity.astype(np.float32),
    )


def _table(people: _People, latents: Latents, prefix: str) -> pd.DataFrame:
    width = max(4, len(str(len(people.patient_keys))))
    patient = [f"{prefix}-p{i + 1:0{width}d}" for i in people.of]
    image = [f"{p}-{k:03d}" for p, k in zip(patient, people.number, strict=True)]
    names = np.array(DRAWN)
    return pd.DataFrame(
        {
            "image_id": image,
            "patient_id": patient,
            "view": np.where(latents.ap, "AP", "PA"),
            "sex": np.where(latents.female, "F", "M"),
            "age": latents.age.astype(np.float64),
            "source": np.array(SITES)[latents.site],
            "path": [f"{prefix}/{p}/{i}.png" for p, i in zip(patient, image, strict=True)],
            "finding": ["|".join(names[row > 0]) or "No Finding" for row in latents.severity],
            "severity": latents.severity.max(axis=1).astype(np.float64),
        }
    )


def _with_noise(labels: npt.NDArray[np.bool_], keys: Keys, share: float, name: str) -> npt.NDArray[np.bool_]:
    """Return labels of which a share of the rarer class trades places with as many of the other class."""
    swaps = round(share * min(int(labels.sum()), int((~labels).sum())))
    noisy = labels.copy()
    order = np.argsort(uniform(keys, f"label noise/{name}"), kind="stable")
    for value in (True, False):
        noisy[order[labels[order] == value][:swaps]] = not value
    return noisy


def _cohort(
    name: str, table: pd.DataFrame, labels: Sequence[str], pixels: PhantomPixels, test: Sequence[str] = ()
) -> Cohort:
    first = ["image_id", "patient_id", "view", "sex", "age", "source", "path", *labels]
    return Cohort(
        dataset=f"phantom-{name}",
        table=table[first + [c for c in table.columns if c not in first]],
        labels=tuple(labels),
        pixels=pixels,
        listed=len(table),
        official_test=frozenset(test),
    )


def _findings(imaging: ImagingConfig, knobs: FindingsConfig, seed: int, device: str) -> Cohort:
    n_patients = max(1, round(knobs.n_images / knobs.images_per_patient))
    people = _join([_people(name_key("phantom", "findings", seed), knobs.n_images, n_patients)])
    severity = np.zeros((knobs.n_images, len(DRAWN)))
    own = knobs.severity_within_patient
    sick = _score(people, "sick")
    groups = [_score(people, f"group {i}") for i in range(len(_GROUPS))]
    for column, name in enumerate(FINDINGS):
        # A probit model: general illness, the diseases that the finding belongs to, and chance.
        mine = [groups[i] for i, members in enumerate(_GROUPS) if name in members]
        shared = (
            0.25 * sick + (0.25 / max(1, len(mine))) ** 0.5 * np.sum(mine, axis=0) if mine else 0.25 * sick
        )
        rest = np.sqrt(1 - 0.25**2 - (0.25 if mine else 0.0))
        score = shared + rest * _score(people, name)
        share = min(0.5, PREVALENCE[name] * knobs.prevalence_boost)
        present = score > ndtri(1 - share) if share > 0 else np.zeros(knobs.n_images, bool)
        drawn = people.severity(name, knobs.severity_median, knobs.severity_spread, own)
        severity[:, column] = np.where(present, drawn, 0.0)
    latents = _latents(people, severity, knobs.ap_share)
    table = _table(people, latents, "findings")
    for column, name in enumerate(FINDINGS):
        noisy = _with_noise(latents.severity[:, column] > 0, people.image_keys, knobs.label_noise, name)
        table[name] = noisy.astype(np.float64)
    pixels = PhantomPixels(latents, imaging, knobs.noise_scale, device)
    return _cohort("findings", table, FINDINGS, pixels)


def _score(people: _People, name: str) -> Floats:
    """Return a standard score an image, correlated 0.6 within patients."""
    mixed = np.sqrt(0.6) * _normal(people.keys, name) + np.sqrt(0.4) * _normal(people.image_keys, name)
    return np.asarray(mixed, dtype=np.float64)


def _normal(keys: Keys, name: str) -> Floats:
    return np.asarray(ndtri(uniform(keys, name)), dtype=np.float64)


def _put(
    severity: Floats, rows: npt.NDArray[np.bool_], columns: npt.NDArray[np.int64], values: Floats
) -> None:
    """Give each of ``rows`` one finding; where it has it already, the more severe counts."""
    at = np.flatnonzero(rows)
    severity[at, columns[at]] = np.maximum(severity[at, columns[at]], values[at])


def _pneumonia(imaging: ImagingConfig, knobs: PneumoniaConfig, seed: int, device: str) -> Cohort:
    n_patients = max(1, round(knobs.n_images / knobs.images_per_patient))
    people = _join([_people(name_key("phantom", "pneumonia", seed), knobs.n_images, n_patients)])
    kind = _quota(people, [knobs.positive_share, knobs.not_normal_share])
    positive, not_normal = kind == 0, kind == 1
    severity = np.zeros((knobs.n_images, len(DRAWN)))
    spread, own = knobs.severity_spread, knobs.severity_within_patient
    opacity = people.severity("opacity", knobs.severity_median, spread, own)
    mimic = people.severity("mimic", knobs.mimic_severity_median, spread, own)
    _put(severity, positive, people.choose("opacity", _OPACITIES), opacity)
    _put(severity, not_normal, people.choose("mimic", _NOT_OPACITY), mimic)
    both = positive & (uniform(people.keys, "comorbid") < knobs.comorbidity_share)
    _put(severity, both, people.choose("comorbidity", _COMORBIDITIES), mimic)
    ap_share = np.where(positive, knobs.ap_share_positive, knobs.ap_share_negative)
    latents = _latents(people, severity, ap_share)
    table = _table(people, latents, "pneumonia")
    noisy = _with_noise(positive, people.image_keys, knobs.label_noise, LUNG_OPACITY)
    table[LUNG_OPACITY] = noisy.astype(np.float64)
    classes = np.array([LUNG_OPACITY, NOT_NORMAL, NORMAL])[kind]
    classes[noisy] = LUNG_OPACITY
    classes[positive & ~noisy] = NOT_NORMAL
    table["class"] = classes
    pixels = PhantomPixels(latents, imaging, knobs.noise_scale, device)
    return _cohort("pneumonia", table, (LUNG_OPACITY,), pixels)


def _quota(people: _People, shares: Sequence[float]) -> npt.NDArray[np.int64]:
    """Return 0, 1, ... for each image: whole patients, so that the shares hold as nearly as patients allow.

    What the shares leave over comes last.
    """
    counts = np.bincount(people.of, minlength=len(people.patient_keys))
    order = np.argsort(uniform(people.patient_keys, "kind"), kind="stable")
    # A patient belongs where the middle of its images falls.
    middle = (np.cumsum(counts[order]) - counts[order] / 2) / len(people.of)
    kind = np.empty(len(order), dtype=np.int64)
    kind[order] = np.searchsorted(np.cumsum(shares), middle)
    return np.asarray(kind[people.of], dtype=np.int64)


def _covid(imaging: ImagingConfig, knobs: CovidConfig, seed: int, device: str) -> Cohort:
    parts = [_covid_part(knobs, seed, "train", knobs.n_images, PAPER_IMAGES / PAPER_PATIENTS)]
    if knobs.n_test_images:
        parts.append(_covid_part(knobs, seed, "test", knobs.n_test_images, knobs.images_per_test_patient))
    (train, train_table), tests = parts[0], parts[1:]
    noisy = _with_noise(train_table[COVID].to_numpy() > 0, train.image_key, knobs.label_noise, COVID)
    train_table[COVID] = noisy.astype(np.float64)
    latents = train
    for test, _ in tests:
        latents = _concatenate(latents, test)
    table = pd.concat([train_table, *(t for _, t in tests)], ignore_index=True)
    official = [i for _, t in tests for i in t["image_id"]]
    pixels = PhantomPixels(latents, imaging, knobs.noise_scale, device)
    return _cohort("covid", table, (COVID,), pixels, official)


def _concatenate(one: Latents, two: Latents) -> Latents:
    return replace(
        one, **{n: np.concatenate([getattr(one, n), getattr(two, n)]) for n in one.__dataclass_fields__}
    )


def _covid_part(
    knobs: CovidConfig, seed: int, part: str, n_images: int, images_per_patient: float
) -> tuple[Latents, pd.DataFrame]:
    n_positive = min(n_images - 1, max(1, round(n_images * PAPER_POSITIVES / PAPER_IMAGES)))
    n_patients = max(2, round(n_images / images_per_patient))
    positive_patients = min(n_patients - 1, n_positive, max(1, round(n_patients * n_positive / n_images)))
    negative_patients = min(n_patients - positive_patients, n_images - n_positive)
    groups = [
        _people(name_key("phantom", "covid", seed, part, "positive"), n_positive, positive_patients),
        _people(
            name_key("phantom", "covid", seed, part, "negative"), n_images - n_positive, negative_patients
        ),
    ]
    people = _join(groups)
    positive = np.isin(people.keys, groups[0].patient_keys)
    severity = np.zeros((n_images, len(DRAWN)))
    own = knobs.severity_within_patient
    target = people.severity("target", knobs.severity_median, knobs.severity_spread, own)
    mimic = people.severity("mimic", knobs.mimic_severity_median, knobs.mimic_severity_spread, own)
    _put(severity, positive, np.full(n_images, DRAWN.index(COVID)), target)
    mimicking = ~positive & (uniform(people.keys, "mimicking") < knobs.mimic_share)
    _put(severity, mimicking, people.choose("mimic", _COVID_MIMICS), mimic)
    further = uniform(people.keys, "comorbid") < knobs.comorbidity_share
    comorbid = people.severity("comorbidity", 0.5, knobs.mimic_severity_spread, own)
    _put(severity, further, people.choose("comorbidity", _COMORBIDITIES), comorbid)
    ap_share = np.where(positive, knobs.ap_share_positive, knobs.ap_share_negative)
    latents = _latents(people, severity, ap_share)
    table = _table(people, latents, f"covid-{part}")
    table[COVID] = positive.astype(np.float64)
    table.loc[positive, "severity"] = latents.severity[positive, DRAWN.index(COVID)].astype(np.float64)
    return latents, table
