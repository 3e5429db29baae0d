"""Whatever the bytes of an image file are: a picture or a refusal, in bounded time and memory."""

import json
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

PROGRAM = Path(__file__).parent / "fuzz_images.py"
SECONDS = 5
"""Of processor time, for the slowest read."""

MEBIBYTES = 1536

DICOM = (
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_jp2klossless.dcm",
    "MR_small_RLE.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle.dcm",
    "image_dfl.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_whole(tmp_path_factory.mktemp("fuzz") / "whole")


def write_whole(folder):
    """Write whole files of every kind that is read."""
    folder.mkdir()
    for name in DICOM:
        source = get_testdata_file(name, download=False)
        if source is not None:
            (folder / name).write_bytes(Path(source).read_bytes())
    rng = np.random.default_rng(0)
    gray = rng.integers(0, 256, (40, 50), np.uint8)
    deep = rng.integers(0, 4096, (40, 50), np.uint16)
    rgb = rng.integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(gray).save(folder / "gray.png")
    Image.fromarray(deep).save(folder / "deep.png")
    Image.fromarray(rgb).quantize(64).save(folder / "palette.png", transparency=3)
    (folder / "rgb16.png").write_bytes(imagecodecs.png_encode(rgb.astype(np.uint16) * 16))
    Image.fromarray(gray).save(folder / "gray.jpg", quality=90)
    Image.fromarray(rgb).save(folder / "colour.jpg", quality=90, progressive=True)
    Image.fromarray(rgb).convert("CMYK").save(folder / "cmyk.jpg")
    (folder / "deep.jpg").write_bytes(imagecodecs.jpeg8_encode(deep, bitspersample=12))
    (folder / "lossless.jpg").write_bytes(imagecodecs.jpeg8_encode(deep, bitspersample=12, lossless=True))
    return folder


def fuzz(whole, seed, count):
    command = [sys.executable, "-X", "faulthandler", str(PROGRAM), str(seed), str(count), str(whole)]
    child = subprocess.run(command, capture_output=True, text=True, check=False)
    assert child.returncode == 0, child.stderr[-3000:]
    result = json.loads(child.stdout.splitlines()[-1])
    assert result["wrong"] == []
    assert result["slowest"] < SECONDS, result["slowest_file"]
    assert result["largest"] < MEBIBYTES
    return result


def test_a_few_hundred_mutations(whole):
    tally = fuzz(whole, 1, 300)["tally"]
    assert sum(tally.values()) == 300
    # Both outcomes come up, or the mutations would be too gentle or too rough to show anything.
    assert tally["dcm read"] > 0
    assert tally["jpg read"] > 0
    assert all(tally[f"{kind} refused"] > 0 for kind in ("dcm", "png", "jpg"))


@pytest.mark.slow
def test_some_hundred_mutations_more(whole):
    fuzz(whole, 8, 900)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 8))
def test_thousands_of_mutations(seed, whole):
    fuzz(whole, seed, 2000)


COLLECTION = """
import json, sys, time
from tally import largest_memory
from cxrbench.errors import RadiographError
from cxrbench.radiograph import read
outcomes, slowest = {}, 0.0
for name in json.load(sys.stdin):
    start = time.process_time()
    try:
        values = read(name)
        outcomes[name] = "read"
    except RadiographError as error:
        outcomes[name] = "refused" if len(str(error).splitlines()) == 1 else str(error)
    slowest = max(slowest, time.process_time() - start)
print(json.dumps({"outcomes": outcomes, "slowest": slowest, "largest": largest_memory()}))
"""


def collection():
    """Return the files of pydicom's own collection that are installed."""
    folders = [Path(get_testdata_file("MR_small.dcm", download=False)).parent]
    try:
        import data_store
    except ImportError:
        pass
    else:
        folders.append(Path(data_store.__file__).parent)
    return sorted(str(path) for folder in folders for path in folder.rglob("*") if path.is_file())


def read_collection(paths):
    child = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", COLLECTION],
        input=json.dumps(paths),
        capture_output=True,
        text=True,
        check=False,
        cwd=PROGRAM.parent,
    )
    assert child.returncode == 0, child.stderr[-3000:]
    return json.loads(child.stdout)


@pytest.mark.slow
def test_every_file_of_pydicoms_collection_is_read_or_refused_in_one_line():
    paths = collection()
    result = read_collection(paths)
    assert len(result["outcomes"]) == len(paths) > 80
    assert set(result["outcomes"].values()) == {"read", "refused"}
    assert result["slowest"] < SECONDS
    assert result["largest"] < MEBIBYTES
