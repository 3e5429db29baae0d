"""Why a file is refused, and how large a picture may be."""

from __future__ import annotations

MAX_PIXELS = 2**26
"""Pixels of the largest picture that is decoded unless asked for more: 8,192 x 8,192.

The largest detectors give 5,000 x 6,000. A header of two kilobytes can promise 65,535 x 65,535, so the size
is looked at before anything is decoded.
"""


class Refused(Exception):  # noqa: N818 - it is an outcome, not a fault of the program.
    """A file is not a readable radiograph; the message says why in the field's words.

    It never quotes a value from the file: reasons reach reports, and headers hold names.
    """


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse a picture without pixels, or with more than ``max_pixels``.

    Raises
    ------
    Refused
    """
    if width < 1 or height < 1:
        raise Refused("has no pixels: its width or height is zero")
    if width * height > max_pixels:
        raise Refused(
            f"has more than {max_pixels:,} pixels, the limit before anything is decoded (allow more with "
            "'max_pixels' in the role, or --max-pixels)"
        )
