"""The leak audit: is anything that is tested on trained on as well, under whatever name?

Images are compared by what they show (:mod:`cxrbench.leaks.duplicates`), patients by name where data sets
are the same. Elsewhere a film that both sides hold gives its patient away, and with them their other films.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cxrbench.cohort.pack import Pack
from cxrbench.errors import LeakError
from cxrbench.files import digest, source_digest
from cxrbench.leaks.duplicates import THRESHOLD, Images, search
from cxrbench.records import kept_record, write_record
from cxrbench.text import first_of

Part = tuple[str, Pack, npt.NDArray[np.int64]]
"""A role, its pack, and the rows of the pack that are meant."""


@dataclass(frozen=True)
class Duplicate:
    """A training image that shows the same film as a test image.

    ``similarity``, ``mirrored`` and ``negative`` are those of :class:`~cxrbench.leaks.duplicates.Match`.
    """

    train_role: str
    train_image_id: str
    test_image_id: str
    similarity: float
    mirrored: bool = False
    negative: bool = False


@dataclass(frozen=True)
class SharedPatient:
    """A patient with images on both sides: by name in one data set, or known from a film that both hold."""

    train_role: str
    patient_id: str
    train_image_ids: tuple[str, ...]


@dataclass(frozen=True)
class LeakReport:
    """What of the test images was found among the training images.

    Attributes
    ----------
    test_role: the role that is tested.
    pairs: copies, role by role, the most similar first.
    patients: patients on both sides, role by role, by name.
    """

    test_role: str
    pairs: tuple[Duplicate, ...] = ()
    patients: tuple[SharedPatient, ...] = ()

    def raise_if_any(self) -> None:
        """Raise where anything was found.

        Raises
        ------
        LeakError: naming up to :data:`~cxrbench.text.NAMED` copies and patients and counting all.
        """
        found = []
        if self.pairs:
            named = [
                f"{p.train_role} {p.train_image_id} is {p.test_image_id} ({p.similarity:.2f})"
                for p in self.pairs
            ]
            images = len({(p.train_role, p.train_image_id) for p in self.pairs})
            found.append(f"training images that show a tested film: {images} ({first_of(named, '; ')})")
        if self.patients:
            named = [f"{p.train_role} {p.patient_id}" for p in self.patients]
            found.append(f"patients both trained and tested on: {len(named)} ({first_of(named, '; ')})")
        if found:
            raise LeakError(
                f"leak into the test images of role {self.test_role!r}: {'; '.join(found)}; set on_leak = "
                "'drop-train' in the profile to leave these training images out"
            )

    def drop_train_copies(self) -> dict[str, frozenset[str]]:
        """Return role -> image_ids to leave out of training, so that nothing of what was found is left."""
        found: dict[str, set[str]] = {}
        for pair in self.pairs:
            found.setdefault(pair.train_role, set()).add(pair.train_image_id)
        for patient in self.patients:
            found.setdefault(patient.train_role, set()).update(patient.train_image_ids)
        return {role: frozenset(ids) for role, ids in found.items()}


def audit(
    train: Sequence[Part],
    test: Part,
    threshold: float = THRESHOLD,
    store: Path | None = None,
    say: Callable[[str], None] | None = None,
) -> LeakReport:
    """Look for the test images' films and patients among the images that are trained on.

    Parameters
    ----------
    train: role, pack and rows of everything that is trained on or that chooses an epoch.
    test: role, pack and rows of what is tested.
    threshold: similarity from which two images count as one film.
    store: folder that keeps reports, so that what was audited once is not audited again; ``None`` keeps none.
    say: called with one line where a report that was kept was damaged or changed, and is made again.
    """
    if store is None:
        return _audited(train, test, threshold)
    path = store / f"{_key(train, test, threshold)}.json"
    report = kept_record(path, LeakReport, say)
    if report is None:
        report = _audited(train, test, threshold)
        write_record(path, report)
    return report


def _audited(train: Sequence[Part], test: Part, threshold: float) -> LeakReport:
    test_role, test_pack, test_rows = test
    sources = [Images(pack.pixels, rows) for _, pack, rows in train]
    matches = search(Images(test_pack.pixels, test_rows), sources, threshold)
    test_ids = test_pack.table["image_id"].to_numpy()
    pairs: list[Duplicate] = []
    patients: list[SharedPatient] = []
    for number, part in enumerate(train):
        role, pack, _ = part
        found = [match for match in matches if match.source == number]
        train_ids = pack.table["image_id"].to_numpy()
        copies = [
            Duplicate(
                train_role=role,
                train_image_id=str(train_ids[match.b]),
                test_image_id=str(test_ids[match.a]),
                similarity=match.similarity,
                mirrored=match.mirrored,
                negative=match.negative,
            )
            for match in found
        ]
        pairs += sorted(copies, key=lambda p: (-p.similarity, p.train_image_id, p.test_image_id))
        patients += _shared_patients(part, test, np.array([match.b for match in found], dtype=np.int64))
    return LeakReport(test_role, tuple(pairs), tuple(patients))


def _shared_patients(train: Part, test: Part, copies: npt.NDArray[np.int64]) -> list[SharedPatient]:
    """Return who is on both sides: by name, or because a film of theirs is (rows ``copies`` of the pack)."""
    role, pack, rows = train
    _, test_pack, test_rows = test
    trained = pack.table.iloc[rows]
    tested = (
        set(test_pack.table["patient_id"].iloc[test_rows]) if pack.dataset == test_pack.dataset else set()
    )
    copied = pack.table.iloc[copies]
    shared = trained[trained["patient_id"].isin(tested | set(copied["patient_id"]))]
    films = set(copied["image_id"])
    return [
        SharedPatient(role, str(patient), tuple(map(str, ids)))
        for patient, ids in shared.groupby("patient_id", sort=True)["image_id"]
        # Whoever is here for copies alone has been named with them.
        if patient in tested or not films.issuperset(ids)
    ]


def _key(train: Sequence[Part], test: Part, threshold: float) -> str:
    """Return a digest of everything that a report depends on."""
    parts = [(role, pack.dataset, pack.content, digest(rows)) for role, pack, rows in (*train, test)]
    return digest((parts, threshold, source_digest("cxrbench.leaks")))
