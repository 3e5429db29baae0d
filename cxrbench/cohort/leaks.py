"""The leak audit: is anything that is tested on trained on as well, under whatever name?

Patients are compared by name where data sets are the same, images by what they show
(:mod:`cxrbench.cohort.duplicates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cxrbench.cohort.duplicates import THRESHOLD, Images, search
from cxrbench.cohort.pack import Pack
from cxrbench.errors import LeakError

NAMED = 10
"""How many copies or patients a message names before it only counts."""

Part = tuple[str, Pack, npt.NDArray[np.int64]]
"""A role, its pack, and the rows of the pack that are meant."""


@dataclass(frozen=True)
class Duplicate:
    """A training image that shows the same film as a test image.

    ``similarity``, ``mirrored`` and ``negative`` are those of :class:`~cxrbench.cohort.duplicates.Match`.
    """

    train_role: str
    train_image_id: str
    test_image_id: str
    similarity: float
    mirrored: bool = False
    negative: bool = False


@dataclass(frozen=True)
class SharedPatient:
    """A patient with images on both sides, in one data set."""

    train_role: str
    patient_id: str
    train_image_ids: tuple[str, ...]


@dataclass(frozen=True)
class LeakReport:
    """What of the test images was found among the training images.

    Attributes
    ----------
    test_role: the role that is tested.
    pairs: copies, by role, the most similar first.
    patients: patients on both sides, by role and name.
    """

    test_role: str
    pairs: tuple[Duplicate, ...] = ()
    patients: tuple[SharedPatient, ...] = ()

    def raise_if_any(self) -> None:
        """Raise where anything was found.

        Raises
        ------
        LeakError: naming up to :data:`NAMED` copies and patients and counting all.
        """
        found = []
        if self.pairs:
            named = [
                f"{p.train_role} {p.train_image_id} is {p.test_image_id} ({p.similarity:.2f})"
                for p in self.pairs
            ]
            images = len({(p.train_role, p.train_image_id) for p in self.pairs})
            found.append(f"{images} training images show a film that is tested ({_first(named)})")
        if self.patients:
            named = [f"{p.train_role} {p.patient_id}" for p in self.patients]
            found.append(f"{len(named)} patients are trained and tested on ({_first(named)})")
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


def audit(train: Sequence[Part], test: Part, threshold: float = THRESHOLD) -> LeakReport:
    """Look for the test images' films and patients among the images that are trained on.

    Parameters
    ----------
    train: role, pack and rows of everything that is trained on or that chooses an epoch.
    test: role, pack and rows of what is tested.
    threshold: similarity from which two images count as one film.
    """
    test_role, test_pack, test_rows = test
    sources = [Images(pack.pixels, rows) for _, pack, rows in train]
    train_ids = [pack.table["image_id"].to_numpy() for _, pack, _ in train]
    test_ids = test_pack.table["image_id"].to_numpy()
    pairs = [
        Duplicate(
            train_role=train[match.source][0],
            train_image_id=str(train_ids[match.source][match.b]),
            test_image_id=str(test_ids[match.a]),
            similarity=match.similarity,
            mirrored=match.mirrored,
            negative=match.negative,
        )
        for match in search(Images(test_pack.pixels, test_rows), sources, threshold)
    ]
    pairs.sort(key=lambda p: (p.train_role, -p.similarity, p.train_image_id, p.test_image_id))
    patients = [shared for part in train for shared in _shared_patients(part, test)]
    return LeakReport(test_role, tuple(pairs), tuple(patients))


def _shared_patients(train: Part, test: Part) -> list[SharedPatient]:
    role, pack, rows = train
    _, test_pack, test_rows = test
    if pack.dataset != test_pack.dataset:
        return []
    trained = pack.table.iloc[rows]
    tested = set(test_pack.table["patient_id"].iloc[test_rows])
    shared = trained[trained["patient_id"].isin(tested)].groupby("patient_id", sort=True)["image_id"]
    return [SharedPatient(role, str(patient), tuple(map(str, ids))) for patient, ids in shared]


def _first(named: Sequence[str]) -> str:
    more = f"; and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return "; ".join(named[:NAMED]) + more
