"""Random numbers by counter: a number is a hash of what it is for, so no image depends on another.

The hash is the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
generators", OOPSLA 2014), applied to whole arrays of 64-bit keys.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def name_key(*parts: object) -> int:
    """Return the 64-bit key of a name: equal parts, equal key, on every machine."""
    digest = hashlib.blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def mix(keys: Keys) -> Keys:
    """Return the SplitMix64 hash of each key."""
    z = keys + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), dtype=np.uint64)


def child_keys(parent: int | Keys, numbers: npt.NDArray[np.integer]) -> Keys:
    """Return one key for each number under ``parent``."""
    return mix(mix(np.asarray(numbers).astype(np.uint64)) ^ np.asarray(parent, dtype=np.uint64))


def uniform(keys: Keys, name: str) -> Floats:
    """Return one number in (0, 1) a key; other names give independent numbers."""
    bits = mix(keys ^ np.uint64(name_key(name))) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def bell(keys: Keys, name: str) -> Floats:
    """Return one number per key: mean 0, standard deviation 1, the sum of four uniforms, within ±3.5."""
    total = uniform(keys, f"{name}/0")
    for i in (1, 2, 3):
        total = total + uniform(keys, f"{name}/{i}")
    return np.asarray((total - 2.0) * np.sqrt(3.0), dtype=np.float64)


@dataclass(frozen=True)
class Draws:
    """Named draws for n images: shared by a patient's images, or each image's own.

    Parameters
    ----------
    patient, image: (n,) keys; images of one patient have equal patient keys.
    """

    patient: Keys
    image: Keys

    def shared(self, name: str, mean: float, sd: float) -> Floats:
        """Return a bell-shaped draw that images of one patient share."""
        return mean + sd * bell(self.patient, name)

    def own(self, name: str, mean: float, sd: float) -> Floats:
        """Return a bell-shaped draw of each image's own."""
        return mean + sd * bell(self.image, name)

    def shared_uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return a uniform draw that images of one patient share."""
        return low + (high - low) * uniform(self.patient, name)

    def own_uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return a uniform draw of each image's own."""
        return low + (high - low) * uniform(self.image, name)
