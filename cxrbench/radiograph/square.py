"""A radiograph as a small square, as networks take it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from cxrbench.radiograph.film import film_box
from cxrbench.radiograph.reader import decode, needs_extra
from cxrbench.radiograph.refusal import MAX_PIXELS


def read_square(
    path: Path | str, size: int, max_pixels: int = MAX_PIXELS, *, crop: bool = False
) -> npt.NDArray[np.uint8]:
    """Read a radiograph as a square of 8-bit pixels, bright where the body is dense.

    The middle is cropped to a square of the shorter side, then resized: the field's habit (``XRayCenterCrop``
    and ``XRayResizer`` of torchxrayvision; Cohen et al., MIDL 2022). Lungs keep their shape, and what is lost
    lies at the ends of the longer side. Resizing is Pillow's bilinear, antialiased.

    8-bit images keep their values. DICOM of more bits is scaled from the output range of its window or
    look-up table, 16-bit PNG from its smallest to its largest value.

    Parameters
    ----------
    path: the file.
    size: side of the square in pixels.
    max_pixels: a picture of more is refused before anything of it is decoded.
    crop: whether dark and white borders are cut off first (:mod:`cxrbench.radiograph.film`).

    Returns
    -------
    (size, size) uint8.

    Raises
    ------
    RadiographError: see :func:`cxrbench.radiograph.read`.
    ValueError: ``size`` is not positive.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1 pixel, not {size}")
    # A JPEG may be decoded smaller than stored, as long as the resampling still has two pixels for one.
    values = decode(Path(path), max_pixels, at_least=(4 if crop else 2) * size).to_8_bit()
    if crop:
        top, bottom, left, right = film_box(values)
        values = values[top:bottom, left:right]
    with needs_extra(Path(path)):
        from PIL import Image

    height, width = values.shape
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    # Cropped before resizing: Pillow's `box` would let pixels from outside it bleed in at the edges.
    middle = Image.fromarray(values[top : top + side, left : left + side])
    return np.array(middle.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))
