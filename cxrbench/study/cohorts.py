"""The cohort that plays a role: from a folder under the data root, or generated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from cxrbench.cohort.table import Cohort
from cxrbench.datasets import adapter, discover, load
from cxrbench.errors import ProfileError
from cxrbench.study.profile import Profile


def role_cohort(profile: Profile, role: str, data_root: Path | None, device: str = "cpu") -> Cohort:
    """Return the cohort that plays ``role``, with the labels and the limit that the profile states.

    Parameters
    ----------
    device: where images that are generated are drawn, ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ProfileError: real data is asked for and no data root is given, or a label is not the data set's.
    DatasetError, CohortError: the folder is not there or not as published.
    """
    settings = profile.roles[role]
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
        seed=profile.data_seed,
        device=device,
        links=settings.links,
        **settings.options,
    )
    if settings.patients:
        patients = f"{settings.patients}/" + cohort.table["patient_id"].astype(str)
        cohort = replace(cohort, table=cohort.table.assign(patient_id=patients))
    labels = (profile.label,) if role == profile.target else settings.labels or cohort.labels
    unknown = [label for label in labels if label not in cohort.labels]
    if unknown:
        raise ProfileError(
            f"profile {profile.name!r}: role {role!r}: {settings.dataset!r} has no label {unknown[0]!r} "
            f"(labels: {', '.join(cohort.labels)})"
        )
    cohort = with_labels(cohort, labels)
    if settings.limit:
        cohort = limited(cohort, settings.limit, profile.data_seed)
    return cohort


def with_labels(cohort: Cohort, labels: tuple[str, ...]) -> Cohort:
    """Return ``cohort`` restricted to ``labels`` and to the images of which at least one of them is known."""
    narrowed = Cohort(
        dataset=cohort.dataset,
        table=cohort.table,
        labels=labels,
        pixels=cohort.pixels,
        listed=cohort.listed,
        left_out=cohort.left_out,
        official_test=cohort.official_test,
    )
    known = cohort.table[list(labels)].notna().any(axis=1).to_numpy()
    return narrowed if known.all() else narrowed.subset(known, "label not known")


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
