"""Which way of storing pixels can be read here: a small picture is written in each, and read back."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cxrbench.text import complaint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Decoder:
    """One way of storing pixels: what reads it, and what went wrong ("" where it is read)."""

    stored: str
    library: str
    fault: str = ""


@dataclass(frozen=True)
class _Way:
    """syntax: a keyword of pydicom's, "" for a plain file. lossy: grey levels that may be lost."""

    stored: str
    library: str
    syntax: str
    encode: Callable[[Pixels], bytes]
    lossy: int = 0


def decoders() -> Iterator[Decoder]:
    """Yield every way of storing pixels that a reader here knows, tried."""
    with tempfile.TemporaryDirectory(prefix="cxrbench-") as folder:
        for way in _ways():
            try:
                _try(way, Path(folder) / "picture")
            except Exception as error:
                yield Decoder(way.stored, way.library, complaint(error))
            else:
                yield Decoder(way.stored, way.library)


def _try(way: _Way, path: Path) -> None:
    import numpy as np

    from cxrbench.errors import RadiographError
    from cxrbench.radiograph import read_shown

    # A ramp: what is lost, mirrored or turned shows.
    picture = np.add.outer(np.arange(0, 160, 5), np.arange(0, 64, 2)).astype(np.uint8)
    content = way.encode(picture)
    path.write_bytes(_dicom(content, way.syntax, picture.shape) if way.syntax else content)
    try:
        read = read_shown(path)
    except RadiographError as error:
        raise ValueError(error.reason) from None
    if read.shape != picture.shape or np.abs(read.astype(int) - picture).max() > way.lossy:
        raise ValueError("is read, but not as it was written")


def _dicom(pixels: bytes, syntax: str, shape: tuple[int, ...]) -> bytes:
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate

    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    uid = getattr(pydicom.uid, syntax)
    dataset.file_meta.TransferSyntaxUID = uid
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        pydicom.uid.DigitalXRayImageStorageForPresentation
    )
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.UID("1.2.3")
    dataset.Rows, dataset.Columns = shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.PixelData = encapsulate([pixels]) if uid.is_encapsulated else pixels
    dataset["PixelData"].VR = "OB"
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def _ways() -> tuple[_Way, ...]:
    def native(picture: Pixels) -> bytes:
        return picture.tobytes()

    return (
        _Way("DICOM, implicit little endian", "pydicom", "ImplicitVRLittleEndian", native),
        _Way("DICOM, explicit little endian", "pydicom", "ExplicitVRLittleEndian", native),
        _Way("DICOM, explicit big endian", "pydicom", "ExplicitVRBigEndian", native),
        _Way("DICOM, deflated", "pydicom", "DeflatedExplicitVRLittleEndian", native),
        _Way("DICOM, RLE", "imagecodecs", "RLELossless", _rle),
        _Way("DICOM, JPEG baseline", "simplejpeg", "JPEGBaseline8Bit", _jpeg, lossy=12),
        _Way("DICOM, JPEG lossless", "imagecodecs", "JPEGLosslessSV1", _jpeg_lossless),
        _Way("DICOM, JPEG-LS", "imagecodecs", "JPEGLSLossless", _jpeg_ls),
        _Way("DICOM, JPEG 2000", "imagecodecs", "JPEG2000Lossless", _jpeg_2000),
        _Way("PNG", "pillow", "", _png),
        _Way("JPEG", "simplejpeg", "", _jpeg, lossy=12),
    )


def _rle(picture: Pixels) -> bytes:
    import imagecodecs

    rows = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in picture)
    # One segment; where it starts, and an even length (DICOM PS3.5, annex G).
    header = b"".join(number.to_bytes(4, "little") for number in (1, 64, *[0] * 14))
    return header + rows + b"\0" * (len(rows) % 2)


def _jpeg(picture: Pixels) -> bytes:
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(picture[..., None], quality=95, colorspace="GRAY"))


def _jpeg_lossless(picture: Pixels) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg8_encode(picture, lossless=True))


def _jpeg_ls(picture: Pixels) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpegls_encode(picture))


def _jpeg_2000(picture: Pixels) -> bytes:
    import imagecodecs

    return bytes(imagecodecs.jpeg2k_encode(picture, reversible=True, codecformat="j2k"))


def _png(picture: Pixels) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()
