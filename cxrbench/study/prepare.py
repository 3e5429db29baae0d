"""From a profile to packed, split and audited images: all that is done before the first training step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cxrbench.cohort.divide import load_or_divide
from cxrbench.cohort.pack import LARGE, Pack, pack
from cxrbench.cohort.split import PARTS, Division, Split, check_split, load_split
from cxrbench.cohort.table import Cohort
from cxrbench.cohort.unfinished import PIXELS
from cxrbench.errors import CohortError, ProfileError
from cxrbench.files import digest, source_digest
from cxrbench.leaks.audit import LeakReport, Part, audit
from cxrbench.radiograph import picture_faults
from cxrbench.records import kept_record, record, write_record
from cxrbench.study.cohorts import role_cohort
from cxrbench.study.normalise import Moments, level_table, moments
from cxrbench.study.privacy import keep_private
from cxrbench.study.profile import CohortSettings, Profile
from cxrbench.study.progress import StudyProgress
from cxrbench.text import first_of, plural
from cxrbench.training.data import LabelledImages
from cxrbench.training.networks import architecture


@dataclass(frozen=True)
class PackedImages:
    """Images of one role that lie in a pack: kilobytes to hand to another process, where they are gigabytes.

    pixels: the pack's file. rows: of the file, (n,). labels: (n, labels), as in ``LabelledImages``. levels:
    what each grey value becomes, (256,); None where it stays.
    """

    pixels: Path
    rows: npt.NDArray[np.int64]
    labels: npt.NDArray[np.float32]
    levels: npt.NDArray[np.uint8] | None = None

    def load(self) -> LabelledImages:
        """Return the images in memory."""
        pixels = np.load(self.pixels, mmap_mode="r", allow_pickle=False)[self.rows]
        return LabelledImages(pixels if self.levels is None else self.levels[pixels], self.labels)


Rows = npt.NDArray[np.int64]
"""Rows of a pack, (n,) ascending."""


@dataclass(frozen=True)
class RoleData:
    """One cohort's packed images and the rows of each part: of its split, or of one fold of its target's.

    split_hash: of all images' parts or folds. folds: how many there are; 0 for a split.
    dropped: images of train and validation that the leak audit left out. odd: pictures that
    may not be radiographs, by fault. moments: those that its grey values are normalised by, None where the
    network's are enough; levels: the table that does it.
    """

    settings: CohortSettings
    cohort: Cohort
    pack: Pack
    parts: Mapping[str, Rows]
    split_hash: str
    folds: int = 0
    dropped: frozenset[str] = frozenset()
    odd: Mapping[str, int] = field(default_factory=dict)
    moments: Moments | None = None
    levels: npt.NDArray[np.uint8] | None = None

    def rows(self, part: str) -> Rows:
        """Return the pack's rows of ``part``."""
        return self.parts[part]

    def without(self, images: frozenset[str]) -> RoleData:
        """Return the role with ``images`` left out of training and validation."""
        left_out = self.pack.table["image_id"].isin(images).to_numpy()
        parts = {part: rows if part == "test" else rows[~left_out[rows]] for part, rows in self.parts.items()}
        return replace(self, parts=parts, dropped=images)

    def packed(self, part: str) -> PackedImages:
        """Return the images of ``part`` as they lie in the pack.

        Raises
        ------
        CohortError: the part is empty.
        """
        rows = self.rows(part)
        if len(rows) == 0:
            raise CohortError(f"{self.cohort.dataset!r}: no image is left in the {part} part")
        labels = self.pack.table.loc[rows, list(self.pack.labels)].to_numpy(dtype=np.float32)
        return PackedImages(self.pack.directory / PIXELS, rows, labels, self.levels)

    def images(self, part: str) -> LabelledImages:
        """Return the images of ``part`` with their labels, in memory; raises as :meth:`packed` does."""
        return self.packed(part).load()

    def identity(self, part: str) -> dict[str, object]:
        """Return what the images and labels of ``part`` depend on, for a stage's key."""
        ids = self.pack.table.loc[self.rows(part), "image_id"]
        found: dict[str, object] = {
            "pack": self.pack.content,
            "labels": list(self.pack.labels),
            "images": _digest_of(tuple(ids)),
        }
        # Also what new images that a trained network scores must be read by.
        found |= {} if self.moments is None else {"moments": list(self.moments)}
        return found | ({"crop": True} if self.settings.crop else {})

    def normalised(self, by: Moments, network: str) -> RoleData:
        """Return the images normalised ``by`` these moments for the network called so."""
        kind = architecture(network)
        return replace(self, moments=by, levels=level_table(by, kind.mean, kind.std))


@lru_cache(maxsize=64)
def _digest_of(image_ids: tuple[str, ...]) -> str:
    """Return the digest of a part's images, which every stage and prediction asks for."""
    return digest(image_ids)


@dataclass(frozen=True)
class Prepared:
    """The roles' data for one training of the plan: the only one, or a cross-validation's ``fold``.

    ``tests``: further test cohorts by name, each with a test part only.
    """

    roles: Mapping[str, RoleData]
    leaks: LeakReport
    fold: int | None = None
    tests: Mapping[str, RoleData] = field(default_factory=dict)


def prepare(
    profile: Profile,
    roles: frozenset[str],
    out: Path,
    data_root: Path | None,
    progress: StudyProgress,
    device: str = "cpu",
) -> tuple[Prepared, ...]:
    """Load, pack, split and audit the cohorts of ``roles``.

    ``device`` draws the images that are generated.

    Packs and splits are written under ``out`` and reused where nothing that they depend on has changed.

    Returns
    -------
    tuple[Prepared, ...]: one, or where the target is cross-validated one per fold. The other roles' images
        are the same in all folds: what any fold tests is in none of them.

    Raises
    ------
    LeakError: an image that is trained on is tested on under another name (``on_leak = "stop"``).
    CohortError, DatasetError, ProfileError: the data is not as the profile says.
    """
    data = {role: _role(profile, role, out, data_root, progress, device) for role in sorted(roles)}
    turns = data[profile.target]
    others = {role: of_role for role, (of_role, *_) in data.items() if role != profile.target}
    tests = {name: _test(profile, name, out, data_root, progress, device) for name in profile.tests}
    with progress.task("leak audit"):
        reports = _audit(profile.target, others, turns, out / "audits", progress.say)
        further = _audit_tests({**others, profile.target: turns[0]}, tests, out / "audits", progress.say)
    if profile.on_leak == "stop":
        for report in (*reports, *further):
            report.raise_if_any()
    return tuple(
        _normalised(
            profile,
            Prepared(
                _without_copies({**others, profile.target: turn}, report, *further), report, fold, tests
            ),
        )
        for turn, report, fold in zip(turns, reports, _numbers(turns), strict=True)
    )


def _normalised(profile: Profile, prepared: Prepared) -> Prepared:
    """Return ``prepared`` with each role normalised by its training images, where the profile says so.

    Further tests are normalised as the target is: they are scored by its networks.
    """
    if profile.normalisation == "network":
        return prepared
    roles = {
        name: data.normalised(moments(data.pack.pixels, data.rows("train")), profile.network)
        for name, data in prepared.roles.items()
    }
    of_target = roles[profile.target].moments
    assert of_target is not None
    tests = {name: data.normalised(of_target, profile.network) for name, data in prepared.tests.items()}
    return replace(prepared, roles=roles, tests=tests)


def _numbers(turns: Sequence[RoleData]) -> Sequence[int | None]:
    return range(1, len(turns) + 1) if turns[0].folds else [None]


def _audit(
    role: str,
    others: Mapping[str, RoleData],
    turns: Sequence[RoleData],
    store: Path,
    say: Callable[[str], None],
) -> list[LeakReport]:
    """Return one report for each of ``turns``, the splits of the target ``role``."""
    parts = {name: _trained(name, data) for name, data in others.items()}
    kept = partial(audit, store=store, say=say)
    if len(turns) == 1:
        (turn,) = turns
        parts = {**parts, role: _trained(role, turn)}
        return [kept([parts[name] for name in sorted(parts)], (role, turn.pack, turn.rows("test")))]
    # What any fold tests is left out of the other roles, so that their images are the same in all folds.
    tested = np.sort(np.concatenate([turn.rows("test") for turn in turns]))
    shared = kept(list(parts.values()), (role, turns[0].pack, tested))
    own = [kept([_trained(role, turn)], (role, turn.pack, turn.rows("test"))) for turn in turns]
    return [LeakReport(role, shared.pairs + fold.pairs, shared.patients + fold.patients) for fold in own]


def _audit_tests(
    roles: Mapping[str, RoleData],
    tests: Mapping[str, RoleData],
    store: Path,
    say: Callable[[str], None],
) -> list[LeakReport]:
    """Return one report per further test: nothing that any role trains on may be in it."""
    trained = [_trained(role, roles[role]) for role in sorted(roles)]
    kept = partial(audit, store=store, say=say)
    return [kept(trained, (name, data.pack, data.rows("test"))) for name, data in tests.items()]


def _trained(role: str, data: RoleData) -> Part:
    """Return the rows of ``data`` that are trained on or choose an epoch."""
    return role, data.pack, np.concatenate([data.rows("train"), data.rows("validation")])


def _without_copies(data: Mapping[str, RoleData], *reports: LeakReport) -> dict[str, RoleData]:
    dropped = [report.drop_train_copies() for report in reports]
    return {
        role: data[role].without(frozenset().union(*(found.get(role, frozenset()) for found in dropped)))
        for role in sorted(data)
    }


def _role(
    profile: Profile, role: str, out: Path, data_root: Path | None, progress: StudyProgress, device: str
) -> tuple[RoleData, ...]:
    """Return the role's data, once, or once per fold where it is cross-validated."""
    settings = profile.roles[role]
    cohort, packed, odd = _packed(profile, role, out, data_root, progress, device)
    split = _split(profile, role, cohort, packed, out)
    if role == profile.target:
        check_split(split, packed.table, packed.labels)
    return tuple(
        RoleData(
            settings,
            cohort,
            packed,
            {part: np.flatnonzero(parts == part) for part in PARTS},
            split.hash,
            settings.folds,
            odd=odd,
        )
        for parts in (split.parts_of(packed.table, fold) for fold in split.turns)
    )


def _test(
    profile: Profile, name: str, out: Path, data_root: Path | None, progress: StudyProgress, device: str
) -> RoleData:
    """Return a further test cohort, all of whose images are tested.

    Raises
    ------
    ProfileError: its images are all positive or all negative.
    """
    cohort, packed, odd = _packed(profile, name, out, data_root, progress, device)
    positive = packed.table[profile.label] == 1
    if positive.all() or not positive.any():
        raise ProfileError(
            f"profile {profile.name!r}: [tests.{name}]: {profile.label!r} is the same in all "
            f"{plural(len(packed), 'image')}; an AUC needs positive and negative ones"
        )
    none, every = np.empty(0, dtype=np.int64), np.arange(len(packed), dtype=np.int64)
    parts = {"train": none, "validation": none, "test": every}
    return RoleData(profile.tests[name], cohort, packed, parts, "all images are tested", odd=odd)


def _packed(
    profile: Profile, name: str, out: Path, data_root: Path | None, progress: StudyProgress, device: str
) -> tuple[Cohort, Pack, Mapping[str, int]]:
    """Return the cohort of a role or test, its pack, and the pictures that may not be radiographs."""
    cohort = keep_private(profile, name, role_cohort(profile, name, data_root, device), out, progress.say)
    with progress.task(f"reading {name}", len(cohort)) as step:
        packed = pack(
            cohort,
            profile.image_size,
            out / "packs",
            on_bad=profile.on_bad_file,
            progress=step,
            say=progress.say,
        )
    return cohort, packed, _odd_pictures(name, packed, out / "audits", progress)


@record
class _Odd:
    """The rows of a pack whose pictures may not be radiographs, and why."""

    rows: tuple[int, ...]
    faults: tuple[tuple[str, ...], ...]


def _odd_pictures(role: str, packed: Pack, store: Path, progress: StudyProgress) -> Mapping[str, int]:
    """Count the pictures that may not be radiographs, and say which: they are trained on like the others.

    What was found in a large pack is kept in ``store``.
    """
    large = packed.pixels.nbytes >= LARGE
    path = store / f"{digest(('odd pictures', packed.content, source_digest('cxrbench.radiograph')))}.json"
    odd = kept_record(path, _Odd, progress.say) if large else None
    if odd is None:
        every = [picture_faults(image) for image in packed.pixels]
        rows = tuple(row for row, found in enumerate(every) if found)
        odd = _Odd(rows, tuple(every[row] for row in rows))
        if large:
            write_record(path, odd)
    if odd.rows:
        paths = packed.table["path"].iloc[list(odd.rows)]
        named = [f"{path}: {', '.join(faults)}" for path, faults in zip(paths, odd.faults, strict=True)]
        progress.say(
            f"{role}: {plural(len(named), 'picture')} may not be radiographs; look at them, or leave them "
            f"out ({first_of(named, '; ')})"
        )
    return Counter(fault for faults in odd.faults for fault in faults)


def _split(profile: Profile, role: str, cohort: Cohort, packed: Pack, out: Path) -> Split:
    settings = profile.roles[role]
    if settings.split:
        split = load_split(Path(settings.split))
        if split.division.folds:
            raise ProfileError(
                f"profile {profile.name!r}: role {role!r}: {settings.split} holds folds; a stored split must "
                "have the parts train, validation and test"
            )
        check_split(split, packed.table)
        return split
    if settings.folds and cohort.official_test:
        raise ProfileError(
            f"profile {profile.name!r}: role {role!r} has 'folds', and {cohort.dataset!r} has an official "
            f"test list of {len(cohort.official_test)} images, which cross-validation would train on: give "
            "'validation' instead of 'folds' to test on that list, or take the list out of the data set"
        )
    official = cohort.official_test & set(packed.table["image_id"])
    if not settings.folds and settings.test == 0 and role == profile.target and not official:
        raise ProfileError(
            f"profile {profile.name!r}: role {role!r} is tested, but 'test' is 0 and {cohort.dataset!r} has "
            "no official test list"
        )
    division = Division(
        cohort.dataset,
        packed.labels,
        profile.data_seed,
        () if settings.folds else settings.fractions,
        settings.folds,
    )
    # Other data or another seed gets its own file.
    images = sorted(zip(packed.table["image_id"], packed.table["patient_id"], strict=True))
    made_of = digest([images, division, official])
    return load_or_divide(
        out / "splits" / f"{role}-{made_of[:12]}.csv", packed.table, division, frozenset(official)
    )
