"""Films in every compressed form, and ways to damage them."""

import io
import struct
from types import SimpleNamespace

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_encoder
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)


def film(bits, shape=(96, 128), seed=0):
    """Return a noisy film of a depth, with both ends of its range."""
    rng = np.random.default_rng(seed)
    top = 2**bits - 1
    slope = np.linspace(0.15, 0.85, shape[0])[:, None]
    values = np.clip((slope + rng.normal(0, 0.02, shape)) * top, 0, top)
    values[0, :2] = 0, top
    return values.round().astype(np.uint8 if bits <= 8 else np.uint16)


def jpeg(values, **options):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95, **options)
    return stream.getvalue()


def in_dicom(stream, values, syntax, bits, **more):
    """Return a data set around a compressed stream of ``values``."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = (8 if bits <= 8 else 16), bits, bits - 1
    dataset.PixelRepresentation = 0
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    for keyword, value in more.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    return dataset


def rle(values):
    raw = values.astype(values.dtype.newbyteorder("<")).tobytes()
    bits = 8 * values.itemsize
    return get_encoder(RLELossless).encode(
        raw,
        rows=values.shape[0],
        columns=values.shape[1],
        samples_per_pixel=1,
        number_of_frames=1,
        bits_allocated=bits,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="MONOCHROME2",
        pixel_keyword="PixelData",
    )


def j2k(values, bits, **options):
    return imagecodecs.jpeg2k_encode(
        values, level=0, codecformat="j2k", reversible=True, bitspersample=bits, **options
    )


def lossless_jpeg(values, bits, *, predictor=1, modulo=0):
    """Encode by ITU-T T.81 annex H, with the differences that some equipment writes.

    Parameters
    ----------
    modulo: 0: the plain differences. Otherwise a positive difference onto a sample of the upper half is
        written less this modulus, as 128 after 52 as -180 instead of 76, with 256.
    """
    height, width = values.shape
    lengths = bytes([0, 0, 0, 0, 17] + [0] * 11)
    head = b"\xff\xd8\xff\xc3" + struct.pack(">HBHHB", 11, bits, height, width, 1) + bytes([1, 0x11, 0])
    head += b"\xff\xc4" + struct.pack(">HB", 2 + 1 + 16 + 17, 0) + lengths + bytes(range(17))
    head += b"\xff\xda" + struct.pack(">HB", 8, 1) + bytes([1, 0, predictor, 0, 0])
    codes, x = [], values.astype(int)
    for row in range(height):
        for column in range(width):
            left, up = x[row, column - 1], x[row - 1, column]
            corner = x[row - 1, column - 1]
            if row == column == 0:
                predicted = 2 ** (bits - 1)
            elif row == 0:
                predicted = left
            elif column == 0:
                predicted = up
            else:
                predicted = {
                    1: left,
                    2: up,
                    3: corner,
                    4: left + up - corner,
                    5: left + ((up - corner) >> 1),
                    6: up + ((left - corner) >> 1),
                    7: (left + up) >> 1,
                }[predictor]
            step = int(x[row, column] - predicted)
            if modulo and step > 0 and x[row, column] >= 2 ** (bits - 1):
                step -= modulo
            step = (step + 32767) % 65536 - 32767
            if step == 32768:
                codes.append(format(16, "05b"))
                continue
            size = abs(step).bit_length()
            codes.append(format(size, "05b"))
            if size:
                codes.append(format(step if step > 0 else step + 2**size - 1, f"0{size}b"))
    text = "".join(codes)
    text += "1" * (-len(text) % 8)
    data = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    return head + data + b"\xff\xd9"


@pytest.fixture(scope="session")
def make():
    """The makers of this file."""
    return SimpleNamespace(
        film=film, jpeg=jpeg, in_dicom=in_dicom, rle=rle, j2k=j2k, lossless_jpeg=lossless_jpeg
    )


@pytest.fixture(scope="session")
def compressed():
    """Name -> (values, stream, transfer syntax, bits) for every form that DICOM and JPEG files have."""
    eight, twelve, sixteen = film(8), film(12), film(16)
    return {
        "HTJ2K 8": (eight, imagecodecs.htj2k_encode(eight), HTJ2KLossless, 8),
        "HTJ2K 16": (sixteen, imagecodecs.htj2k_encode(sixteen), HTJ2KLossless, 16),
        "JPEG baseline": (eight, jpeg(eight), JPEGBaseline8Bit, 8),
        "JPEG optimised": (eight, jpeg(eight, optimize=True), JPEGBaseline8Bit, 8),
        "JPEG progressive": (eight, jpeg(eight, progressive=True), JPEGBaseline8Bit, 8),
        "JPEG with restarts": (eight, jpeg(eight, restart_marker_blocks=8), JPEGBaseline8Bit, 8),
        "JPEG extended": (
            twelve,
            imagecodecs.jpeg8_encode(twelve, bitspersample=12, level=95),
            JPEGExtended12Bit,
            12,
        ),
        "JPEG lossless 8": (eight, lossless_jpeg(eight, 8), JPEGLosslessSV1, 8),
        "JPEG lossless 12": (twelve, lossless_jpeg(twelve, 12), JPEGLosslessSV1, 12),
        "JPEG lossless 16": (sixteen, lossless_jpeg(sixteen, 16), JPEGLosslessSV1, 16),
        "JPEG-LS 8": (eight, imagecodecs.jpegls_encode(eight), JPEGLSLossless, 8),
        "JPEG-LS 16": (sixteen, imagecodecs.jpegls_encode(sixteen), JPEGLSLossless, 16),
        "JPEG-LS near": (twelve, imagecodecs.jpegls_encode(twelve, level=2), JPEGLSNearLossless, 12),
        "JPEG 2000 8": (eight, j2k(eight, 8), JPEG2000Lossless, 8),
        "JPEG 2000 12": (twelve, j2k(twelve, 12), JPEG2000Lossless, 12),
        "RLE 8": (eight, rle(eight), RLELossless, 8),
        "RLE 16": (sixteen, rle(sixteen), RLELossless, 16),
    }
