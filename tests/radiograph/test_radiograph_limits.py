"""Sizes are looked at before anything is decoded; the largest honest films take little memory."""

import io
import json
import os
import struct
import subprocess
import sys
import zlib

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_shown, read_square

MEBIBYTES = 1536
LIMIT = r"more than 67,108,864 pixels, the limit before anything is decoded"

CHILD = """
import json, resource, sys
from pathlib import Path
from cxrbench.errors import RadiographError
from cxrbench.radiograph import read_shown
def largest():
    # What `resource` says goes on from the process that started this one.
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
try:
    what = list(read_shown(sys.argv[1]).shape)
except RadiographError as error:
    what = error.reason
print(json.dumps([what, largest()]))
"""


def in_a_child(path):
    """Return the shape or the reason, and the largest memory in MiB."""
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
    )
    return json.loads(child.stdout)


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, depth=8, colours=0):
    size = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", size)
        + chunk(b"IDAT", zlib.compress(bytes(999)))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def saved(make, tmp_path):
    def save(stream, syntax, side, **more):
        path = tmp_path / "film.dcm"
        values = np.empty((1, 1), np.uint8)
        dataset = make.in_dicom(stream, values, syntax, 8, Rows=side, Columns=side, **more)
        dcmwrite(path, dataset, enforce_file_format=True)
        return path

    return save


@pytest.mark.parametrize("depth", [1, 8, 16])
@pytest.mark.parametrize("colours", [0, 2, 6])
@pytest.mark.parametrize("sides", [(60000, 60000), (70_000_000, 1), (1, 70_000_000)])
def test_a_png_that_promises_too_much_is_refused(sides, colours, depth, tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(png(*sides, depth, colours))
    with pytest.raises(RadiographError, match=LIMIT):
        read(path)


def test_a_jpeg_that_promises_too_much_is_refused(make, tmp_path):
    stream = make.jpeg(make.film(8))
    at = stream.index(b"\xff\xc0") + 5
    path = tmp_path / "film.jpg"
    path.write_bytes(stream[:at] + b"\xff\xff\xff\xff" + stream[at + 4 :])
    for reader in (read, lambda file: read_square(file, 8)):
        with pytest.raises(RadiographError, match=LIMIT):
            reader(path)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGBaseline8Bit, JPEG2000Lossless, JPEGLSLossless])
def test_a_dicom_header_that_promises_too_much_is_refused(syntax, saved):
    with pytest.raises(RadiographError, match=LIMIT):
        read(saved(b"\xff\xd8 and so on", syntax, 65535))


def test_a_stream_that_promises_more_than_its_header_is_refused(make, saved):
    values = make.film(8, (90, 90))
    for stream, syntax in (
        (make.j2k(values, 8), JPEG2000Lossless),
        (make.jpeg(values), JPEGBaseline8Bit),
        (imagecodecs.jpegls_encode(values), JPEGLSLossless),
    ):
        with pytest.raises(RadiographError, match="another size than its Rows and Columns"):
            read(saved(stream, syntax, 64), 8000)
        with pytest.raises(RadiographError, match="more than 8,000 pixels"):
            read(saved(stream, syntax, 90), 8000)


def deflated(make, path, side, length):
    """Write a deflated file of ``side`` squared whose data set inflates to ``length`` zeros and more."""
    values = np.zeros((2, 2), np.uint8)
    dataset = make.in_dicom(b"xx", values, ExplicitVRLittleEndian, 8, Rows=side, Columns=side)
    del dataset.PixelData
    plain = io.BytesIO()
    dcmwrite(plain, dataset, enforce_file_format=True)
    raw = plain.getvalue()
    start = 144 + struct.unpack("<I", raw[140:144])[0]
    body = raw[start:] + b"\xe0\x7f\x10\x00OB\0\0" + struct.pack("<I", length)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    whole = io.BytesIO()
    dcmwrite(whole, dataset, enforce_file_format=True)
    meta = whole.getvalue()[: 144 + struct.unpack("<I", whole.getvalue()[140:144])[0]]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    with path.open("wb") as file:
        file.write(meta + packer.compress(body))
        for _ in range(length // 2**20):
            file.write(packer.compress(bytes(2**20)))
        file.write(packer.compress(bytes(length % 2**20)) + packer.flush())


def test_a_deflated_film_is_read_and_one_that_inflates_to_more_is_refused(make, tmp_path):
    path = tmp_path / "film.dcm"
    deflated(make, path, 64, 64 * 64)
    assert read(path).shape == (64, 64)
    deflated(make, path, 40000, 1000)
    with pytest.raises(RadiographError, match=LIMIT):
        read(path)
    deflated(make, path, 64, 200 * 2**20)
    reason, largest = in_a_child(path)
    assert "inflates to more" in reason
    assert largest < 200


def test_the_limit_can_be_set(make, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(make.film(8)).save(path)
    for reader in (read, read_shown, lambda file, most: read_square(file, 8, most)):
        assert reader(path, 96 * 128) is not None
        with pytest.raises(RadiographError, match="more than 12,287 pixels"):
            reader(path, 96 * 128 - 1)


def test_a_pipe_is_not_waited_for(tmp_path):
    path = tmp_path / "film.png"
    os.mkfifo(path)
    with pytest.raises(RadiographError, match="not a regular file"):
        read(path)


def gray_film(height=5000, width=6000):
    rows = np.linspace(300, 3700, height)[:, None]
    noise = np.random.default_rng(0).normal(0, 40, (1, width))
    return np.clip(rows + noise, 0, 4095).astype(np.uint16)


HONEST = {
    "gray JPEG 2000": (
        JPEG2000Lossless,
        12,
        lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k", reversible=True, bitspersample=12),
    ),
    "gray JPEG Lossless": (
        JPEGLosslessSV1,
        12,
        lambda v: imagecodecs.jpeg8_encode(v, lossless=True, bitspersample=12),
    ),
    "gray JPEG-LS": (JPEGLSLossless, 12, imagecodecs.jpegls_encode),
    "RGB JPEG 2000": (
        JPEG2000Lossless,
        8,
        lambda v: imagecodecs.jpeg2k_encode(v, level=0, codecformat="j2k", reversible=True),
    ),
    "RGB JPEG-LS": (JPEGLSLossless, 8, imagecodecs.jpegls_encode),
    "RGB JPEG": (JPEGBaseline8Bit, 8, lambda v: imagecodecs.jpeg8_encode(v, level=80)),
}


@pytest.mark.nightly
@pytest.mark.parametrize("form", HONEST)
def test_the_largest_honest_dicom_takes_bounded_memory(form, make, tmp_path):
    syntax, bits, encode = HONEST[form]
    values = gray_film()
    if bits == 8:
        values = np.repeat(np.resize(values >> 4, (8000, 8000)).astype(np.uint8)[..., None], 3, 2)
    path = tmp_path / "film.dcm"
    make.in_dicom(encode(values), values, syntax, bits).save_as(path, enforce_file_format=True)
    shape, largest = in_a_child(path)
    assert shape == list(values.shape[:2])
    assert largest < MEBIBYTES


@pytest.mark.nightly
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16"])
def test_the_largest_honest_png_takes_bounded_memory(mode, tmp_path):
    values = gray_film()
    image = Image.fromarray(values)
    if mode != "I;16":
        image = Image.fromarray(np.resize(values >> 4, (8000, 8000)).astype(np.uint8)).convert(mode)
    path = tmp_path / "film.png"
    image.save(path, compress_level=1)
    shape, largest = in_a_child(path)
    assert shape == [image.height, image.width]
    assert largest < MEBIBYTES
