"""PNG and JPEG files."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from cxrbench.errors import RadiographError
from cxrbench.radiograph import jpeg, png
from cxrbench.radiograph.picture import Gray, Picture
from cxrbench.radiograph.quiet import quiet_libraries
from cxrbench.radiograph.refusal import Refused, check_size

_MAGIC = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8": "JPEG"}
_TURNS: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    2: lambda values: values[:, ::-1],
    3: lambda values: values[::-1, ::-1],
    4: lambda values: values[::-1],
    5: lambda values: values.T,
    6: lambda values: values.T[:, ::-1],
    7: lambda values: values[::-1, ::-1].T,
    8: lambda values: values.T[::-1],
}
"""What undoes each EXIF orientation."""


def decode(path: Path, head: bytes, max_pixels: int, at_least: int | None = None) -> Picture:
    """Decode a PNG or JPEG to one channel.

    Gray, RGB, palette, CMYK and 1-bit images become 8-bit luma (ITU-R BT.601). Transparent parts lie outside
    the film and become black. More than 8 bits stay 16-bit, as stored; the range shown is from the smallest
    to the largest value of the film, because such files hold 10-, 12- and 16-bit data alike and say nowhere
    which. An EXIF orientation is applied.

    Parameters
    ----------
    head: the first bytes of the file.
    max_pixels: more are refused before anything is decoded.
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
            data = path.read_bytes()
            if kind == "PNG":
                return _decode_png(data, max_pixels)
            return _decode_jpeg(data, max_pixels, at_least)
        except Refused as refused:
            raise RadiographError(path, f"cannot be decoded as {kind}: {refused}") from refused
        except MemoryError:
            raise RadiographError(path, "takes more memory to decode than there is") from None
        # Pillow raises OSError, SyntaxError, ValueError, struct.error, DecompressionBombError and more
        # for a broken file; to the caller they all mean that this file cannot be read.
        except Exception as error:
            raise RadiographError(path, f"cannot be decoded as {kind}: it is damaged or cut short") from error


def _decode_png(data: bytes, max_pixels: int) -> Picture:
    header = png.parse(data, max_pixels)
    with Image.open(io.BytesIO(header.picture), formats=("PNG",)) as image:
        if not header.is_deep:
            # First: asked for EXIF data, Pillow decodes the picture, and what is wrong with it would be lost.
            image.load()
        orientation = _orientation(image.getexif)
        if not header.is_deep:
            if image.mode == "P" and image.getextrema()[1] >= header.palette:  # type: ignore[operator]
                raise Refused("its pixels have colours that its palette lacks")
            values = np.asarray(_gray(image))
            return _ranged(_turned(values, orientation), values)
    values, film = png.decode_deep(header)
    if film is None:
        return _ranged(_turned(values, orientation), values)
    if not film.any():
        raise Refused("every pixel is transparent")
    picture = _ranged(values, values[film])
    # Outside of the film it is as dark as the darkest of the film.
    values[~film] = picture.low
    return Picture(_turned(values, orientation), picture.low, picture.high)


def _decode_jpeg(data: bytes, max_pixels: int, at_least: int | None) -> Picture:
    header = jpeg.parse(data)
    check_size(header.width, header.height, max_pixels)
    if header.bits == 8:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            orientation = _orientation(image.getexif)
            if len(header.components) == 4:
                jpeg.check_four(header, max_pixels)
                return Picture(_turned(np.asarray(_gray(image)), orientation), 0, 255)
    else:
        # Pillow opens none of these.
        orientation = _orientation(partial(_exif, header.exif))
    scale = 1
    if at_least is not None:
        fit = min(header.width, header.height) // at_least
        scale = next((scale for scale in (8, 4, 2) if fit >= scale), 1)
    transformed = header.is_colour_transformed is not False
    values = jpeg.decode(header, max_pixels, transformed=transformed, scale=scale)
    return _ranged(_turned(values, orientation), values)


def _exif(data: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(data)
    return exif


def _orientation(exif: Callable[[], Image.Exif]) -> int:
    try:
        orientation = exif().get(ExifTags.Base.Orientation, 1)
    # Pillow raises many things for EXIF data that are none; the picture is as sound without.
    except Exception:
        return 1
    return orientation if isinstance(orientation, int) else 1


def _turned(values: Gray, orientation: int) -> Gray:
    """Return an image the right way up."""
    turn = _TURNS.get(orientation)
    return values if turn is None else np.ascontiguousarray(turn(values))


def _gray(image: Image.Image) -> Image.Image:
    """Return an image in mode L or I;16."""
    if image.mode.startswith("I"):
        # 16-bit PNG; older releases of Pillow open it with 32-bit integers.
        return Image.fromarray(np.asarray(image).astype(np.uint16))
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        if not np.asarray(rgba)[..., 3].any():
            raise Refused("every pixel is transparent")
        black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, rgba).convert("L")
    if image.mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB").convert("L")


def _ranged(values: Gray, shown: Gray) -> Picture:
    if values.dtype == np.uint8:
        return Picture(values, 0, 255)
    low, high = int(shown.min()), int(shown.max())
    return Picture(values, low, high) if low < high else Picture(values, 0, 65535)
