"""Read a radiograph file, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cxrbench.errors import RadiographError
from cxrbench.radiograph.picture import Gray, Picture
from cxrbench.radiograph.refusal import MAX_PIXELS

_DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
# Written without the 128-byte preamble, a data set starts with a tag of group 0002 or 0008.
_BARE_DICOM = (b"\x02\x00", b"\x08\x00", b"\x00\x08")


def read(path: Path | str, max_pixels: int = MAX_PIXELS) -> Gray:
    """Read a radiograph as one channel, bright where the body is dense.

    The format is found from the content, not from the name. DICOM values come through the modality and VOI
    transformations and fill the whole range of the returned type (:mod:`cxrbench.radiograph.dicom`); PNG and
    JPEG values are returned as stored (:mod:`cxrbench.radiograph.raster`).

    Parameters
    ----------
    path: the file.
    max_pixels: a picture of more is refused before anything of it is decoded.

    Returns
    -------
    (height, width) uint8 or uint16.

    Raises
    ------
    RadiographError: missing, empty, truncated, not an image, or of a kind that cannot be a radiograph.
    """
    return decode(Path(path), max_pixels).values


def read_shown(path: Path | str, max_pixels: int = MAX_PIXELS) -> npt.NDArray[np.uint8]:
    """Read a radiograph whole, as 8-bit values as they are shown: what :func:`read_square` resizes.

    Returns
    -------
    (height, width) uint8.

    Raises
    ------
    RadiographError: see :func:`read`.
    """
    return decode(Path(path), max_pixels).to_8_bit()


def decode(path: Path, max_pixels: int = MAX_PIXELS, at_least: int | None = None) -> Picture:
    """Decode a file.

    Parameters
    ----------
    path: the file.
    max_pixels: more are refused.
    at_least: sides of at least this many pixels are enough; a decoder that can shrink may return fewer than
        stored.

    Raises
    ------
    RadiographError
    """
    head = _head(path)
    with needs_extra(path):
        if is_dicom(path, head):
            from cxrbench.radiograph import dicom

            return dicom.decode(path, max_pixels, at_least)
        from cxrbench.radiograph import raster

        return raster.decode(path, head, max_pixels, at_least)


def is_dicom(path: Path, head: bytes | None = None) -> bool:
    """Return whether a file is DICOM: by its magic word, or bare and named so.

    Raises
    ------
    RadiographError: the file cannot be opened, or is empty.
    """
    head = _head(path) if head is None else head
    if head[128:132] == b"DICM":
        return True
    return path.suffix.lower() in _DICOM_SUFFIXES and head.startswith(_BARE_DICOM)


@contextmanager
def needs_extra(path: Path) -> Iterator[None]:
    """Turn a missing image library into an error that says how to install it.

    Raises
    ------
    RadiographError
    """
    try:
        yield
    except ImportError as error:
        raise RadiographError(
            path, f"cannot be read without {error.name}: pip install 'cxrbench[images]'"
        ) from error


def _head(path: Path) -> bytes:
    """Return the first 132 bytes: as far as the magic word of DICOM."""
    try:
        # A pipe would be waited for, and a device may never end.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise RadiographError(path, "is not a regular file")
        with path.open("rb") as file:
            head = file.read(132)
    except FileNotFoundError:
        raise RadiographError(path, "no such file") from None
    except IsADirectoryError:
        raise RadiographError(path, "is a folder, not a file") from None
    except OSError as error:
        raise RadiographError(path, f"cannot be opened: {error.strerror}") from None
    if not head:
        raise RadiographError(path, "is empty (0 bytes)")
    return head
