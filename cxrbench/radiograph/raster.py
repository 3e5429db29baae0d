"""PNG and JPEG, through Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cxrbench.errors import RadiographError
from cxrbench.radiograph.picture import Picture
from cxrbench.radiograph.quiet import quiet_libraries
from cxrbench.text import complaint

_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8": "JPEG"}


def decode(path: Path, head: bytes, at_least: int | None = None) -> Picture:
    """Decode a PNG or JPEG to one channel.

    Gray, RGB, palette, CMYK and 1-bit images become 8-bit luma (ITU-R BT.601). Transparent parts lie outside
    the film and become black. 16-bit gray stays 16-bit, as stored; the range shown is from its smallest to
    its largest value, because such files hold 10-, 12- and 16-bit data alike and say nowhere which. An EXIF
    orientation is applied.

    Parameters
    ----------
    head: the first bytes of the file.
    at_least: for JPEG, decode at 1/2, 1/4 or 1/8 scale as long as both sides keep this many pixels.

    Raises
    ------
    RadiographError
    """
    kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    if kind is None:
        raise RadiographError(path, "is not a DICOM, PNG or JPEG file")
    with quiet_libraries():
        try:
            with Image.open(path, formats=(kind,)) as image:
                if kind == "JPEG":
                    side = at_least or max(image.size)
                    # Also decodes the luma alone, which is what a colour JPEG stores anyway.
                    image.draft("L", (side, side))
                image.load()
                values = np.asarray(_gray(image))
        # Pillow raises OSError, SyntaxError, ValueError, struct.error, DecompressionBombError and more
        # for a broken file; to the caller they all mean that this file cannot be read.
        except Exception as error:
            raise RadiographError(path, f"cannot be decoded as {kind}: {complaint(error)}") from error
    if values.dtype == np.uint8:
        return Picture(values, 0, 255)
    low, high = int(values.min()), int(values.max())
    return Picture(values, low, high) if low < high else Picture(values, 0, 65535)


def _gray(image: Image.Image) -> Image.Image:
    """Return an image in mode L or I;16, the right way up."""
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I"):
        # 16-bit PNG; older releases of Pillow open it with 32-bit integers.
        return Image.fromarray(np.asarray(upright).astype(np.uint16))
    if upright.has_transparency_data:
        rgba = upright.convert("RGBA")
        if not np.asarray(rgba)[..., 3].any():
            raise ValueError("every pixel is transparent")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("L")
    if upright.mode in ("L", "1"):
        return upright.convert("L")
    return upright.convert("RGB").convert("L")
