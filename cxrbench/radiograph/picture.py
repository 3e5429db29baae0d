"""What a decoder hands over: pixel values and the range of them that is shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Gray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""A single-channel image, shape (height, width)."""

ROWS = 256
"""How many rows are worked on at a time, where intermediate values take more memory than the image."""


@dataclass(frozen=True)
class Picture:
    """A decoded radiograph.

    Parameters
    ----------
    values: (height, width) uint8 or uint16, bright where the body is dense.
    low, high: the values shown as black and as white.
    """

    values: Gray
    low: int
    high: int

    def to_8_bit(self) -> npt.NDArray[np.uint8]:
        """Return the values as uint8: ``low`` at 0, ``high`` at 255, and 0..255 in 8 bits unchanged."""
        if self.values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return self.values.astype(np.uint8, copy=False)
        # One entry a possible value: exact, and cheaper than arithmetic on millions of pixels.
        entries = np.arange(np.iinfo(self.values.dtype).max + 1, dtype=np.float64)
        table = np.rint((entries - self.low) * (255.0 / (self.high - self.low)))
        eight: npt.NDArray[np.uint8] = np.clip(table, 0, 255).astype(np.uint8)[self.values]
        return eight


def luminance(rgb: npt.NDArray[np.unsignedinteger]) -> Gray:
    """Return the ITU-R BT.601 luma (height, width) of (height, width, 3 or more), in the same type."""
    weights = np.array([0.299, 0.587, 0.114])
    luma = np.empty(rgb.shape[:2], dtype=rgb.dtype)
    for start in range(0, len(rgb), ROWS):
        rows = rgb[start : start + ROWS, :, :3]
        luma[start : start + ROWS] = np.rint(rows.astype(np.float64) @ weights)
    return luma
