"""The cohort of a role or of a further test: from a folder under the data root, or generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrbench.cohort.table import Cohort
from cxrbench.datasets import adapter, discover, load
from cxrbench.datasets.vocabulary import find_label
from cxrbench.errors import DatasetError, ProfileError
from cxrbench.files import digest
from cxrbench.study.profile import Profile
from cxrbench.text import did_you_mean


def role_cohort(profile: Profile, role: str, data_root: Path | None, device: str = "cpu") -> Cohort:
    """Return the cohort of ``role``, or of a further test, with the labels and the limit that it states.

    Parameters
    ----------
    device: where images that are generated are drawn, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ProfileError: real data is asked for and no data root is given, or a label is not the data set's.
    DatasetError, CohortError: the folder is not there or not as published, or no image is left of those that
        the role asks for.
    """
    settings = profile.cohorts[role]
    folder = None
    if not adapter(settings.dataset).generated:
        if data_root is None:
            raise ProfileError(
                f"profile {profile.name!r} reads the data set {settings.dataset!r} for role {role!r}: name "
                "the folder that holds it with --data-root"
            )
        folder = discover(data_root, settings.dataset, **settings.options)
    cohort = load(
        settings.dataset,
        folder,
        seed=_seed(profile, role),
        device=device,
        links=settings.links,
        max_pixels=settings.max_pixels,
        crop=settings.crop,
        **settings.options,
    )
    if settings.patients:
        patients = f"{settings.patients}/" + cohort.table["patient_id"].astype(str)
        cohort = replace(cohort, table=cohort.table.assign(patient_id=patients))
    chosen = {} if settings.ages == (None, None) else {"age": settings.ages}
    cohort = cohort.filter(view=settings.views or None, **chosen, **settings.where)
    where = f"profile {profile.name!r}: role {role!r}: {settings.dataset!r}"
    asked = (profile.label,) if is_tested(profile, role) else settings.labels or cohort.labels
    try:
        labels = {label: find_label(label, cohort.labels, settings.dataset) for label in asked}
    except DatasetError as error:
        raise ProfileError(f"{where} {error}") from None
    cohort = _decided(cohort.with_labels(labels), profile, role)
    known = cohort.table[list(labels)].notna().any(axis=1).to_numpy()
    if not known.all():
        cohort = cohort.subset(known, "label not known")
    if settings.limit:
        cohort = limited(cohort, settings.limit, profile.data_seed)
    return cohort


def _seed(profile: Profile, name: str) -> int:
    """Return what a generated cohort is drawn with: a further test is of other patients than the roles."""
    return int(digest([profile.data_seed, name])[:8], 16) if name in profile.tests else profile.data_seed


def is_tested(profile: Profile, name: str) -> bool:
    """Whether ``name`` is the target or a further test: then it has the one label that is tested."""
    return name == profile.target or name in profile.tests


def _decided(cohort: Cohort, profile: Profile, role: str) -> Cohort:
    """Return ``cohort`` with its uncertain labels as the role's policies say.

    Raises
    ------
    ProfileError: a policy for a label that the role does not have, or one that would smooth a tested label.
    """
    policies = profile.cohorts[role].uncertain
    where = f"profile {profile.name!r}: role {role!r}: 'uncertain'"
    for label in policies:
        if label != "default" and label not in cohort.labels:
            raise ProfileError(
                f"{where}: no label {label!r}{did_you_mean(label, cohort.labels)} "
                f"(labels: {', '.join(cohort.labels)})"
            )
    policy = policies.get(profile.label, policies.get("default"))
    if is_tested(profile, role) and cohort.uncertain and policy == "smoothed":
        raise ProfileError(
            f"{where}: {profile.label!r} is tested, and what is smoothed is neither positive nor negative; "
            "give 'leave-out', 'zeros' or 'ones'"
        )
    return cohort.decided(policies)


def limited(cohort: Cohort, limit: int, seed: int) -> Cohort:
    """Return whole patients of ``cohort``, drawn by ``seed``, up to ``limit`` images.

    Raises
    ------
    ProfileError: the limit is below the number of images of the patient who is drawn first.
    """
    if len(cohort) <= limit:
        return cohort
    patients = np.sort(cohort.table["patient_id"].unique().astype(str))
    order = np.random.default_rng(seed).permutation(patients)
    counts = cohort.table["patient_id"].value_counts().reindex(order).to_numpy()
    if counts[0] > limit:
        raise ProfileError(
            f"{cohort.dataset}: limit = {limit}: the patient drawn first has {counts[0]} images; "
            "give as many or more"
        )
    chosen = order[np.cumsum(counts) <= limit]
    return cohort.subset(cohort.table["patient_id"].isin(chosen).to_numpy(), "over the profile's limit")
