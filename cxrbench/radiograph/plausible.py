"""Pictures that no radiograph looks like, recognised by their grey levels: none goes into training unseen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MOST = 0.95
"""Share of the pixels that must be dark, or bright, for a picture to count as almost black, or white."""

DARK = 25
BRIGHT = 230
"""Of 255: a tenth of the range from either end."""

FEWEST_LEVELS = 16


def picture_faults(shown: npt.NDArray[np.uint8]) -> tuple[str, ...]:
    """Return what makes a picture unlikely to be a radiograph; nothing where nothing does.

    A film read with a wrong window, a wrong table or at a wrong depth counts as read. What came out shows it:
    95% of the pixels in the darkest or the brightest tenth of the range, fewer than 16 different grey levels,
    or one level throughout.

    Parameters
    ----------
    shown: (height, width) uint8 as a network sees it: from :func:`cxrbench.radiograph.read_shown`,
        :func:`cxrbench.radiograph.read_square`, or a pack.

    Returns
    -------
    Any of ``constant``, ``fewer than 16 grey levels``, ``almost black``, ``almost white``; never
    both of the first two.

    Raises
    ------
    ValueError: the array is not (height, width) uint8 with at least one pixel.
    """
    if shown.dtype != np.uint8 or shown.ndim != 2 or shown.size == 0:
        raise ValueError(f"a picture is (height, width) uint8, not {shown.shape} {shown.dtype}")
    counts = np.bincount(shown.ravel(), minlength=256)
    levels = np.count_nonzero(counts)
    faults = []
    if levels == 1:
        faults.append("constant")
    elif levels < FEWEST_LEVELS:
        faults.append(f"fewer than {FEWEST_LEVELS} grey levels")
    if counts[: DARK + 1].sum() >= MOST * shown.size:
        faults.append("almost black")
    if counts[BRIGHT:].sum() >= MOST * shown.size:
        faults.append("almost white")
    return tuple(faults)
