"""From a profile to packed, split and audited images: all that is done before the first training step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from cxrbench.cohort.leaks import LeakReport, audit
from cxrbench.cohort.pack import LeftOut, Pack, pack
from cxrbench.cohort.split import Split, check_split, load_or_make, load_split
from cxrbench.cohort.storage import digest
from cxrbench.cohort.table import Cohort
from cxrbench.errors import CohortError, ProfileError
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.profile import Profile, RoleSettings
from cxrbench.study.progress import StudyProgress
from cxrbench.training.data import LabelledImages


@dataclass(frozen=True)
class RoleData:
    """One role's packed images and their parts.

    ``dropped`` are images of train and validation that the leak audit left out.
    """

    settings: RoleSettings
    cohort: Cohort
    pack: Pack
    split: Split
    dropped: frozenset[str] = frozenset()

    def rows(self, part: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the pack's rows of ``part``."""
        inside = self.split.mask(self.pack.table, part)
        if self.dropped and part != "test":
            inside = inside & ~self.pack.table["image_id"].isin(self.dropped).to_numpy()
        return np.flatnonzero(inside)

    def images(self, part: str) -> LabelledImages:
        """Return the images of ``part`` with their labels.

        Raises
        ------
        CohortError: the part is empty.
        """
        rows = self.rows(part)
        if len(rows) == 0:
            raise CohortError(f"{self.cohort.dataset!r}: no image is left in the {part} part")
        labels = self.pack.table.loc[rows, list(self.pack.labels)].to_numpy(dtype=np.float32)
        return LabelledImages(self.pack.pixels[rows], labels)

    def identity(self, part: str) -> dict[str, object]:
        """Return what the images and labels of ``part`` depend on, for a stage's key."""
        ids = self.pack.table.loc[self.rows(part), "image_id"].tolist()
        return {"pack": self.pack.content, "labels": list(self.pack.labels), "images": digest(ids)}


@dataclass(frozen=True)
class Prepared:
    """The roles' data, and what was left out of them and why."""

    roles: Mapping[str, RoleData]
    leaks: LeakReport
    left_out: Mapping[str, tuple[LeftOut, ...]]


def prepare(
    profile: Profile,
    roles: frozenset[str],
    out: Path,
    data_root: Path | None,
    progress: StudyProgress,
) -> Prepared:
    """Load, pack, split and audit the cohorts of ``roles``.

    Packs and splits are written under ``out`` and reused where nothing that they depend on has changed.

    Raises
    ------
    LeakError: an image that is trained on is tested on under another name (``on_leak = "stop"``).
    CohortError, DatasetError, ProfileError: the data is not as the profile says.
    """
    data = {role: _role(profile, role, out, data_root, progress) for role in sorted(roles)}
    target = data[profile.target]
    check_split(target.split, target.pack.table, target.pack.labels)
    with progress.task("leak audit"):
        report = audit(
            [
                (role, part_of.pack, np.concatenate([part_of.rows("train"), part_of.rows("validation")]))
                for role, part_of in data.items()
            ],
            (profile.target, target.pack, target.rows("test")),
            store=out / "audits",
        )
    if profile.on_leak == "stop":
        report.raise_if_any()
    dropped = report.drop_train_copies()
    data = {role: replace(part_of, dropped=dropped.get(role, frozenset())) for role, part_of in data.items()}
    return Prepared(data, report, {role: part_of.pack.left_out for role, part_of in data.items()})


def _role(
    profile: Profile, role: str, out: Path, data_root: Path | None, progress: StudyProgress
) -> RoleData:
    settings = profile.roles[role]
    cohort = role_cohort(profile, role, data_root)
    with progress.task(f"reading {role}", len(cohort)) as step:
        packed = pack(cohort, profile.image_size, out / "packs", on_bad=profile.on_bad_file, progress=step)
    return RoleData(settings, cohort, packed, _split(profile, role, cohort, packed, out))


def _split(profile: Profile, role: str, cohort: Cohort, packed: Pack, out: Path) -> Split:
    settings = profile.roles[role]
    if settings.split:
        split = load_split(Path(settings.split))
        check_split(split, packed.table)
        return split
    official = cohort.official_test & set(packed.table["image_id"])
    if settings.test == 0 and role == profile.target and not official:
        raise ProfileError(
            f"profile {profile.name!r}: role {role!r} is tested, but 'test' is 0 and {cohort.dataset!r} has "
            "no official test list"
        )
    # The file's name says what the split was made of, so that other data or another seed gets its own file.
    asked = {
        "images": digest(sorted(zip(packed.table["image_id"], packed.table["patient_id"], strict=True))),
        "labels": list(packed.labels),
        "fractions": list(settings.fractions),
        "seed": profile.data_seed,
        "official": sorted(official),
    }
    return load_or_make(
        out / "splits" / f"{role}-{digest(asked)[:12]}.csv",
        packed.table,
        packed.labels,
        settings.fractions,
        profile.data_seed,
        official_test=frozenset(official),
        dataset=cohort.dataset,
    )
