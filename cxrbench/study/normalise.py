"""Each data set's own mean and standard deviation, in the place of those that the network was published with.

Every network normalises its input by one mean and one standard deviation. With ``normalisation = "role"``
each role's grey values first go through a table of 256 entries, made from its training images. After it these
have the very mean and standard deviation that the network takes off again. What a table cannot hold is cut
off at 0 and 255: with ImageNet's numbers, below -2.0 and above +2.4 standard deviations. Rounding to whole
levels costs 0.01 standard deviations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from cxrbench.errors import CohortError

CHUNK = 1024

Moments = tuple[float, float]
"""Mean and standard deviation of grey values, 0 to 255."""


def moments(pixels: npt.NDArray[np.uint8], rows: npt.NDArray[np.int64]) -> Moments:
    """Return mean and standard deviation over all pixels of ``rows``; exact, by counting grey values.

    Raises
    ------
    CohortError: all pixels are of one value.
    """
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(rows), CHUNK):
        counts += np.bincount(pixels[rows[start : start + CHUNK]].ravel(), minlength=256)
    values = np.arange(256, dtype=np.float64)
    mean = float(counts @ values / counts.sum())
    sd = float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))
    if sd == 0:
        raise CohortError("the training images are all of one grey value, so that they cannot be normalised")
    return mean, sd


def level_table(of: Moments, mean: Sequence[float], std: Sequence[float]) -> npt.NDArray[np.uint8]:
    """Return what each of the 256 grey values becomes, (256,).

    Parameters
    ----------
    of: the role's moments.
    mean, std: what the network takes off, of each channel, of images in 0 to 1.
    """
    normalised = (np.arange(256) - of[0]) / of[1]
    wanted = 255 * (float(np.mean(mean)) + float(np.mean(std)) * normalised)
    table: npt.NDArray[np.uint8] = np.clip(np.rint(wanted), 0, 255).astype(np.uint8)
    return table
