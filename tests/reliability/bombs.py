"""Small files that promise enormous pictures, and the largest honest films: what reading each of them takes.

python bombs.py FOLDER [NAME...]

Each file is read in a process of its own, as data sets are checked and as packs are made. Prints one JSON
object.
"""

from __future__ import annotations

import io
import json
import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read_shown, read_square

PNG_COLOURS = {"gray": 0, "rgb": 2, "palette": 3, "rgba": 6}
CHANNELS = {0: 1, 2: 3, 3: 1, 6: 4}
MAKERS: dict[str, Callable[[Path], None]] = {}
HONEST = "honest"


def png(path: Path, width: int, height: int, depth: int, kind: str) -> None:
    colour = PNG_COLOURS[kind]
    row = (width * CHANNELS[colour] * depth + 7) // 8 + 1

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    size = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(768)) if kind == "palette" else b""
    data = chunk(b"IDAT", zeros(row * height, zlib.compressobj(9)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + palette + data + chunk(b"IEND", b""))


def zeros(count: int, compressor: zlib._Compress, first: bytes = b"") -> bytes:
    out, block = compressor.compress(first), bytes(2**22)
    while count > 0:
        out += compressor.compress(block[: min(count, len(block))])
        count -= len(block)
    return out + compressor.flush()


def dicom(path: Path, syntax: str, rows: int, columns: int, data: bytes, **more: object) -> None:
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = uid.DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPClassUID, "1.2.3"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = rows, columns, 1
    dataset.PhotometricInterpretation, dataset.PixelRepresentation = "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    for name, value in more.items():
        setattr(dataset, name, value)
    dataset.PixelData = encapsulate([data]) if uid.UID(syntax).is_encapsulated else data
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)


def rle(count: int) -> bytes:
    data = bytes([129, 0]) * (count // 128 + 1)
    return struct.pack("<16I", 1, 64, *[0] * 14) + data


def deflated(path: Path, promised: int) -> None:
    """Write a data set of 40,000 x 40,000 pixels, deflated, with so many bytes of zeros in it."""
    plain = io.BytesIO()
    dicom(plain, uid.ExplicitVRLittleEndian, 40000, 40000, bytes(2))  # type: ignore[arg-type]
    content = plain.getvalue()
    meta = 144 + struct.unpack("<I", content[140:144])[0]
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
    head = io.BytesIO()
    dataset.save_as(head, enforce_file_format=True)
    start = 144 + struct.unpack("<I", head.getvalue()[140:144])[0]
    element = b"\xe0\x7f\x10\x00"
    body = content[meta : content.rindex(element)] + element + b"OB\0\0" + struct.pack("<I", promised)
    path.write_bytes(head.getvalue()[:start] + zeros(promised, zlib.compressobj(9, zlib.DEFLATED, -15), body))


def encoded(side: int, kind: str, **options: object) -> bytes:
    Image.MAX_IMAGE_PIXELS = None
    out = io.BytesIO()
    Image.new("L", (side, side)).save(out, kind, **options)
    return out.getvalue()


def film(height: int, width: int, top: int) -> np.ndarray:
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    values = (np.sin(5 * x) * np.cos(4 * y) + 1) / 2 * top
    return values.astype(np.uint16 if top > 255 else np.uint8)


def add(name: str, make: Callable[..., None], *rest: object, **more: object) -> None:
    MAKERS[name] = lambda path: make(path, *rest, **more)


def large_png(path: Path) -> None:
    Image.fromarray(np.stack([film(8000, 8000, 255)] * 3, -1)).save(path, compress_level=1)


def large_dicom(path: Path, syntax: str) -> None:
    import imagecodecs

    values = film(6000, 5000, 4095)
    data = {
        uid.ExplicitVRLittleEndian: lambda: values.tobytes(),
        uid.JPEG2000Lossless: lambda: imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k"),
        uid.JPEGLSLossless: lambda: imagecodecs.jpegls_encode(values),
        uid.JPEGLosslessSV1: lambda: imagecodecs.ljpeg_encode(values, bitspersample=12),
    }[uid.UID(syntax)]()
    dicom(path, syntax, 6000, 5000, data, BitsAllocated=16, BitsStored=12, HighBit=11)


EXPLICIT, DEFLATED = uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian
add("60,000 px, 1 bit.png", png, 60000, 60000, 1, "gray")
for depth, kind in ((8, "gray"), (16, "gray"), (8, "rgb"), (8, "rgba"), (16, "rgba"), (8, "palette")):
    add(f"13,000 px, {kind}, {depth} bits.png", png, 13000, 13000, depth, kind)
add("170,000,000 x 1 px.png", png, 170_000_000, 1, 8, "gray")
add("9,400 px, rgba.png", png, 9400, 9400, 8, "rgba")
add("65,535 px, 1,000 bytes.dcm", dicom, EXPLICIT, 65535, 65535, bytes(1000))
add("65,535 px, RLE.dcm", dicom, uid.RLELossless, 65535, 65535, rle(100))
add("30,000 px, RLE.dcm", dicom, uid.RLELossless, 30000, 30000, rle(900_000_000))
add("40,000 px, deflated.dcm", deflated, 1_600_000_000)
add("40,000 px, deflated, 4 GB of zeros.dcm", deflated, 4_000_000_000)
add(
    "20,000 px, JPEG 2000.dcm",
    lambda path: dicom(path, uid.JPEG2000Lossless, 20000, 20000, encoded(20000, "JPEG2000")),
)
add(
    "20,000 px, JPEG.dcm",
    lambda path: dicom(path, uid.JPEGBaseline8Bit, 20000, 20000, encoded(20000, "JPEG", quality=1)),
)
add("20,000 px.jpg", lambda path: path.write_bytes(encoded(20000, "JPEG", quality=1)))
add("13,000 px.jpg", lambda path: path.write_bytes(encoded(13000, "JPEG", quality=1)))
add("2,000,000,000 frames.dcm", dicom, EXPLICIT, 10, 10, bytes(100), NumberOfFrames="2000000000")
add("-5 frames.dcm", dicom, EXPLICIT, 10, 10, bytes(100), NumberOfFrames="-5")
add(f"{HONEST}: 8,000 px, RGB.png", large_png)
add(
    f"{HONEST}: 8,000 px, RGB.dcm",
    lambda path: dicom(
        path,
        EXPLICIT,
        8000,
        8000,
        np.stack([film(8000, 8000, 255)] * 3, -1).tobytes(),
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    ),
)
for name, syntax in (
    ("uncompressed", EXPLICIT),
    ("JPEG 2000", uid.JPEG2000Lossless),
    ("JPEG-LS", uid.JPEGLSLossless),
    ("JPEG Lossless", uid.JPEGLosslessSV1),
):
    add(f"{HONEST}: 5,000 x 6,000 px, 12 bits, {name}.dcm", large_dicom, syntax)


def in_a_child(read: Callable[[Path], object], path: Path) -> tuple[str, int, float]:
    """Return the outcome, the largest memory in MiB and the processor seconds of reading ``path``."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        # What a fork shares with its parent counts as its own: the largest memory begins with that.
        Path("/proc/self/clear_refs").write_text("5")
        resource.setrlimit(resource.RLIMIT_AS, (12 * 2**30,) * 2)
        started = time.process_time()
        try:
            read(path)
            came = "read"
        except RadiographError as error:
            came = "refused" if len(str(error).splitlines()) == 1 else "SEVERAL LINES"
        except BaseException as error:
            came = f"RAISED {type(error).__name__}"
        memory = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024
        os.write(writing, json.dumps([came, memory, time.process_time() - started]).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        content = pipe.read()
    os.waitpid(child, 0)
    came, memory, seconds = json.loads(content) if content else ("ENDED", 0, 0.0)
    return came, memory, seconds


def main(folder: Path, names: list[str]) -> None:
    rows = []
    for number, name in enumerate(names or MAKERS):
        path = folder / f"{number}.{name.rpartition('.')[2]}"
        making = os.fork()
        if making == 0:
            MAKERS[name](path)
            os._exit(0)
        assert os.waitpid(making, 0)[1] == 0, name
        for how, read in (("whole", read_shown), ("224 px", lambda file: read_square(file, 224))):
            came, memory, seconds = in_a_child(read, path)
            rows.append(
                {
                    "file": name,
                    "bytes": path.stat().st_size,
                    "how": how,
                    "outcome": came,
                    "mebibytes": memory,
                    "seconds": round(seconds, 2),
                }
            )
        path.unlink()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
