"""What an image shows, before it is drawn: who, how taken, which findings and how severe."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from cxrbench.datasets.phantom.keys import Keys

FINDINGS = (
    "Atelectasis",
    "Cardiomegaly",
    "Effusion",
    "Infiltration",
    "Mass",
    "Nodule",
    "Pneumonia",
    "Pneumothorax",
    "Consolidation",
    "Edema",
    "Emphysema",
    "Fibrosis",
    "Pleural_Thickening",
    "Hernia",
)
"""The names of ChestX-ray14 (Wang et al., CVPR 2017), as published."""

COVID = "COVID-19"
DRAWN = (*FINDINGS, COVID)
"""Everything that can be drawn; the columns of :attr:`Latents.severity`."""

SITES = ("site A", "site B", "site C")


@dataclass(frozen=True)
class Latents:
    """What n images show.

    Parameters
    ----------
    patient_key, image_key: (n,) uint64; where all further draws come from.
    ap: (n,) bool, anteroposterior rather than posteroanterior.
    female: (n,) bool.
    age: (n,) float32, years.
    site: (n,) int8, position in :data:`SITES`.
    severity: (n, 15) float32 in 0..1, one column per entry of :data:`DRAWN`; 0 is absent.
    """

    patient_key: Keys
    image_key: Keys
    ap: npt.NDArray[np.bool_]
    female: npt.NDArray[np.bool_]
    age: npt.NDArray[np.float32]
    site: npt.NDArray[np.int8]
    severity: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.image_key)

    def take(self, positions: npt.NDArray[np.int64]) -> Latents:
        """Return the images at ``positions``."""
        return Latents(**{f.name: getattr(self, f.name)[positions] for f in fields(self)})

    def digest(self) -> str:
        """Return a hex digest of every value."""
        sha = hashlib.sha256()
        for f in fields(self):
            values = np.ascontiguousarray(getattr(self, f.name))
            sha.update(f"{f.name} {values.dtype.str} {values.shape}\n".encode())
            sha.update(values.tobytes())
        return sha.hexdigest()
