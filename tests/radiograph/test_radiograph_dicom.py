"""DICOM, one case per test: what is stored, what the header says about it, what must be seen."""

import io
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.config import IGNORE
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_header, read_square

RAMP = np.arange(12).reshape(3, 4)


def dicom(
    values, *, bits=None, signed=False, photometric="MONOCHROME2", syntax=ExplicitVRLittleEndian, **rest
):
    """Return a data set that holds ``values`` (height, width[, 3]) of an integer dtype."""
    values = np.asarray(values)
    if values.dtype.kind != "u" or values.dtype.itemsize > 2:
        values = values.astype(f"{'i' if signed else 'u'}{1 if (bits or 16) <= 8 else 2}")
    allocated = 8 * values.dtype.itemsize
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated, dataset.BitsStored = allocated, bits or allocated
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(signed)
    for keyword, value in rest.items():
        dataset[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    raw = values.astype(values.dtype.newbyteorder(order)).tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OW" if allocated == 16 else "OB"
    return dataset


def table(first, entries, depth, *, words=True):
    item = Dataset()
    count = len(entries) % 65536
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, depth])
    item.add_new(
        "LUTData", "OW" if words else "US", np.asarray(entries, "<u2").tobytes() if words else list(entries)
    )
    return Sequence([item])


@pytest.fixture
def saved(tmp_path):
    def save(dataset, name="film.dcm"):
        path = tmp_path / name
        dataset.save_as(path, enforce_file_format=True)
        return path

    return save


def scaled(values, low, high, top=65535):
    """Return low..high mapped to 0..top, clipped: what a display range must come to."""
    return np.clip(np.rint((np.asarray(values, float) - low) * top / (high - low)), 0, top)


GRAY8 = np.array([[0, 1, 100], [128, 254, 255]], np.uint8)
GRAY12 = np.array([[0, 1, 2047], [2048, 4000, 4095]], np.uint16)
SIGNED = np.array([[-1024, -500, 0], [1, 600, 1023]])
LUT8 = table(0, np.arange(4096) // 16, 8)

CASES = {
    # Stored depth, nothing said about how to show it.
    "8 bits as they are": (dicom(GRAY8), GRAY8, np.uint8),
    "8 bits in 16 as they are": (dicom(GRAY8.astype(np.uint16), bits=8), GRAY8, np.uint8),
    "7 bits fill 8": (dicom(GRAY8 // 2, bits=7), scaled(GRAY8 // 2, 0, 127, 255), np.uint8),
    "10 bits from smallest to largest": (dicom(RAMP * 50 + 100, bits=10), scaled(RAMP, 0, 11), np.uint16),
    "12 bits from smallest to largest": (
        dicom(GRAY12 // 2, bits=12),
        scaled(GRAY12 // 2, 0, 2047),
        np.uint16,
    ),
    "16 bits whole": (
        dicom(np.array([[0, 65535], [1, 32768]], np.uint16)),
        [[0, 65535], [1, 32768]],
        np.uint16,
    ),
    "12 bits signed": (dicom(SIGNED, bits=12, signed=True), scaled(SIGNED, -1024, 1023), np.uint16),
    "16 bits signed": (dicom(SIGNED * 30, signed=True), scaled(SIGNED, -1024, 1023), np.uint16),
    "8 bits signed": (
        dicom(np.array([[-128, -1], [0, 127]]), bits=8, signed=True),
        [[0, 127], [128, 255]],
        np.uint8,
    ),
    # What lies above the stored bits, such as an overlay, is not part of the value.
    "unused bits": (dicom(GRAY12 | 0xF000, bits=12), scaled(GRAY12, 0, 4095), np.uint16),
    "constant image of 8 bits": (dicom(np.full((2, 2), 77, np.uint8)), np.full((2, 2), 77), np.uint8),
    "constant image of 12 bits": (dicom(np.full((2, 2), 4095), bits=12), np.full((2, 2), 65535), np.uint16),
    # Polarity.
    "MONOCHROME1": (dicom(GRAY8, photometric="MONOCHROME1"), 255 - GRAY8, np.uint8),
    "MONOCHROME1, 12 bits": (
        dicom(GRAY12, bits=12, photometric="MONOCHROME1"),
        scaled(GRAY12, 4095, 0),
        np.uint16,
    ),
    "MONOCHROME1 and shape INVERSE are one inversion": (
        dicom(GRAY8, photometric="MONOCHROME1", PresentationLUTShape="INVERSE"),
        255 - GRAY8,
        np.uint8,
    ),
    "MONOCHROME1 and shape IDENTITY": (
        dicom(GRAY8, photometric="MONOCHROME1", PresentationLUTShape="IDENTITY"),
        255 - GRAY8,
        np.uint8,
    ),
    "MONOCHROME2 and shape INVERSE": (dicom(GRAY8, PresentationLUTShape="INVERSE"), 255 - GRAY8, np.uint8),
    "MONOCHROME2 and shape IDENTITY": (dicom(GRAY8, PresentationLUTShape="IDENTITY"), GRAY8, np.uint8),
    # Modality transformation.
    "rescale of 8 bits shows the same": (
        dicom(GRAY8, RescaleSlope="2", RescaleIntercept="-10"),
        GRAY8,
        np.uint8,
    ),
    "rescale with a negative slope": (
        dicom(GRAY8, RescaleSlope="-1", RescaleIntercept="255"),
        255 - GRAY8,
        np.uint8,
    ),
    "rescale before the window": (
        dicom(
            GRAY12,
            bits=12,
            RescaleSlope="2",
            RescaleIntercept="-1000",
            WindowCenter="1000.5",
            WindowWidth="2001",
        ),
        scaled(GRAY12 * 2.0 - 1000, 0, 2000),
        np.uint16,
    ),
    "empty rescale and window": (
        dicom(GRAY8, RescaleSlope="", RescaleIntercept="", WindowCenter="", WindowWidth=""),
        GRAY8,
        np.uint8,
    ),
    "modality table": (
        dicom(
            RAMP,
            bits=8,
            ModalityLUTSequence=table(0, [0, 5, 10, 20, 40, 80, 160, 255, 255, 255, 255, 255], 8),
        ),
        np.reshape([0, 5, 10, 20, 40, 80, 160, 255, 255, 255, 255, 255], (3, 4)),
        np.uint8,
    ),
    "modality table that starts above zero": (
        dicom(RAMP, bits=8, ModalityLUTSequence=table(8, [9, 90, 200, 255], 8, words=False)),
        np.reshape([9] * 9 + [90, 200, 255], (3, 4)),
        np.uint8,
    ),
    # Values of interest.
    "window": (
        dicom(GRAY12, bits=12, WindowCenter="2048", WindowWidth="1001"),
        scaled(GRAY12, 1547.5, 2547.5),
        np.uint16,
    ),
    "window of 8 bits": (
        dicom(GRAY8, WindowCenter="128", WindowWidth="101"),
        scaled(GRAY8, 77.5, 177.5, 255),
        np.uint8,
    ),
    "window, MONOCHROME1": (
        dicom(GRAY12, bits=12, photometric="MONOCHROME1", WindowCenter="2048", WindowWidth="1001"),
        scaled(GRAY12, 2547.5, 1547.5),
        np.uint16,
    ),
    "first of several windows": (
        dicom(GRAY12, bits=12, WindowCenter=["2048", "100"], WindowWidth=["1001", "50"]),
        scaled(GRAY12, 1547.5, 2547.5),
        np.uint16,
    ),
    "window of signed values": (
        dicom(SIGNED, bits=12, signed=True, WindowCenter="0.5", WindowWidth="1001"),
        scaled(SIGNED, -500, 500),
        np.uint16,
    ),
    "exact linear window": (
        dicom(GRAY12, bits=12, WindowCenter="2000", WindowWidth="1000", VOILUTFunction="LINEAR_EXACT"),
        scaled(GRAY12, 1500, 2500),
        np.uint16,
    ),
    "sigmoid window": (
        dicom(GRAY12, bits=12, WindowCenter="2048", WindowWidth="800", VOILUTFunction="SIGMOID"),
        np.rint(65535 / (1 + np.exp(-4 * (GRAY12 - 2048.0) / 800))),
        np.uint16,
    ),
    "window without width is none": (dicom(GRAY8, WindowCenter="0", WindowWidth="0"), GRAY8, np.uint8),
    "window without a number is none": (dicom(GRAY8, WindowCenter="inf", WindowWidth="9"), GRAY8, np.uint8),
    "value table of 8 bits over 12": (dicom(GRAY12, bits=12, VOILUTSequence=LUT8), GRAY12 // 16, np.uint8),
    "value table of 12 bits": (
        dicom(RAMP, bits=8, VOILUTSequence=table(0, [0, 0, 0, 4095] * 3, 12)),
        np.array([[0, 0, 0, 65535]] * 3),
        np.uint16,
    ),
    "value table with a first value below zero": (
        dicom(np.array([[-9, -2, -1, 0, 5]]), signed=True, VOILUTSequence=table(-2, [10, 20, 30], 8)),
        [[10, 10, 20, 30, 30]],
        np.uint8,
    ),
    "value table is preferred to the window": (
        dicom(GRAY12, bits=12, VOILUTSequence=LUT8, WindowCenter="9", WindowWidth="9"),
        GRAY12 // 16,
        np.uint8,
    ),
    "rescale before the value table": (
        dicom(
            RAMP,
            bits=8,
            RescaleSlope="1",
            RescaleIntercept="-4",
            VOILUTSequence=table(0, range(0, 80, 10), 8),
        ),
        np.reshape([0, 0, 0, 0, 0, 10, 20, 30, 40, 50, 60, 70], (3, 4)),
        np.uint8,
    ),
    # Padding is not body: black, and no part of the range.
    "padding": (
        dicom(np.array([[60000, 100], [1100, 600]], np.uint16), PixelPaddingValue=60000),
        [[0, 0], [65535, 32768]],
        np.uint16,
    ),
    "padding, MONOCHROME1": (
        dicom(np.array([[0, 1], [255, 0]], np.uint8), photometric="MONOCHROME1", PixelPaddingValue=0),
        [[0, 254], [0, 0]],
        np.uint8,
    ),
    "a range of padding": (
        dicom(np.array([[7, 8, 9, 10]], np.uint8), PixelPaddingValue=7, PixelPaddingRangeLimit=8),
        [[0, 0, 9, 10]],
        np.uint8,
    ),
    # Colour.
    "RGB": (
        dicom(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8), photometric="RGB"),
        [[76, 150, 29, 90]],
        np.uint8,
    ),
    "one frame said to be one": (dicom(GRAY8, NumberOfFrames="1"), GRAY8, np.uint8),
    # Other byte orders.
    "implicit little endian": (
        dicom(GRAY12, bits=12, syntax=ImplicitVRLittleEndian),
        scaled(GRAY12, 0, 4095),
        np.uint16,
    ),
    "explicit big endian": (
        dicom(GRAY12, bits=12, syntax=ExplicitVRBigEndian),
        scaled(GRAY12, 0, 4095),
        np.uint16,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_is_shown_as_the_header_says(name, saved):
    dataset, expected, dtype = CASES[name]
    values = read(saved(dataset))
    assert values.dtype == dtype
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_palette_colour_becomes_its_luma(syntax, saved):
    dataset = dicom(np.array([[0, 1, 2]], np.uint8), photometric="PALETTE COLOR", syntax=syntax)
    order = "<" if syntax == ExplicitVRLittleEndian else ">"
    for colour, entries in (("Red", [0, 65535, 30000]), ("Green", [0, 0, 30000]), ("Blue", [0, 0, 30000])):
        dataset.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [3, 0, 16])
        data = np.asarray(entries, f"{order}u2").tobytes()
        dataset.add_new(f"{colour}PaletteColorLookupTableData", "OW", data)
    assert read(saved(dataset)).tolist() == [[0, 19595, 30000]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_lossless_compression_changes_nothing(syntax, dtype, saved):
    rng = np.random.default_rng(3)
    values = rng.integers(0, np.iinfo(dtype).max, (48, 64), dtype=dtype, endpoint=True)
    values[0, :2] = 0, np.iinfo(dtype).max
    dataset = dicom(values)
    dataset.compress(syntax)
    np.testing.assert_array_equal(read(saved(dataset)), values)


def test_jpeg_baseline_is_decoded(saved):
    values = np.tile(np.linspace(20, 220, 32).astype(np.uint8), (24, 1))
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95)
    dataset = dicom(values, syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    assert np.abs(read(saved(dataset)).astype(int) - values).max() <= 3


# Files that pydicom carries in its own package. The MR image is the same in all of them, losslessly.
PLAIN = "MR_small.dcm"


@pytest.mark.parametrize(
    "name",
    [
        "MR_small_jpeg_ls_lossless.dcm",
        "MR_small_jp2klossless.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
    ],
)
def test_the_same_image_in_another_syntax_reads_the_same(name):
    plain, other = (get_testdata_file(file, download=False) for file in (PLAIN, name))
    np.testing.assert_array_equal(read(other), read(plain))


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("JPEGLSNearLossless_08.dcm", (45, 10), np.uint8),
        ("JPEGLSNearLossless_16.dcm", (50, 10), np.uint16),
        ("JPGExtended.dcm", (1024, 256), np.uint16),
        ("SC_rgb_jpeg_dcmtk.dcm", (100, 100), np.uint8),
        ("examples_palette.dcm", (350, 800), np.uint16),
    ],
)
def test_lossy_and_coloured_files_of_pydicom_are_read(name, shape, dtype):
    values = read(get_testdata_file(name, download=False))
    assert (values.shape, values.dtype) == (shape, dtype)
    assert values.min() < values.max()


def test_a_file_without_preamble_and_meta_header_is_read(tmp_path):
    path = tmp_path / "old.dcm"
    dataset = dicom(GRAY12, bits=12)
    dataset.save_as(path, enforce_file_format=False, implicit_vr=False, little_endian=True)
    raw = path.read_bytes()
    bare = raw[raw.index(b"\x08\x00\x16\x00") :]
    path.write_bytes(bare)
    assert bare[128:132] != b"DICM"
    np.testing.assert_array_equal(read(path), scaled(GRAY12, 0, 4095))


def test_values_that_break_the_rules_neither_warn_nor_stop_the_read(saved):
    dataset = dicom(GRAY8, PatientAge="77", PatientBirthDate="unknown", StudyInstanceUID="1.02.x")
    path = saved(dataset)
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        np.testing.assert_array_equal(read(path), GRAY8)
        assert read_header(path).age == 77.0
    assert caught == []
    assert warnings.filters == before


def test_square_of_twelve_bits_is_scaled_from_the_window(saved):
    path = saved(dicom(np.full((8, 8), 2047), bits=12, WindowCenter="2048", WindowWidth="4096"))
    assert read_square(path, 4).tolist() == [[127] * 4] * 4


def two_frames():
    dataset = dicom(np.zeros((4, 4), np.uint8), NumberOfFrames="2")
    dataset.PixelData = bytes(32)
    return dataset


def without_pixels():
    dataset = dicom(GRAY8)
    del dataset.PixelData
    return dataset


def cut_short():
    dataset = dicom(np.zeros((64, 64), np.uint16))
    dataset.PixelData = dataset.PixelData[:-100]
    return dataset


def broken_stream():
    dataset = dicom(GRAY8, syntax=JPEGBaseline8Bit)
    dataset.PixelData = encapsulate([b"\xff\xd8\xff\xe0 not a picture"])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def thirty_two_bits():
    dataset = dicom(GRAY12)
    dataset.BitsAllocated = dataset.BitsStored = 32
    dataset.HighBit, dataset.PixelData = 31, bytes(4 * GRAY12.size)
    return dataset


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (two_frames, "holds several frames; a radiograph has one"),
        (without_pixels, "holds no pixel data"),
        (cut_short, "cut short: fewer bytes"),
        (broken_stream, "its JPEG stream ends"),
        (lambda: dicom(GRAY8, RescaleSlope="nan", RescaleIntercept="0"), "Rescale Slope is not a number"),
        (lambda: dicom(GRAY8, RescaleSlope="0", RescaleIntercept="5"), "Rescale Slope is zero"),
        (thirty_two_bits, "more than 16 bits per pixel; a radiograph has up to 16"),
        (lambda: dicom(GRAY8, photometric="HSV"), "Photometric Interpretation is none"),
    ],
)
def test_what_is_no_whole_radiograph_is_refused_in_one_line(make, reason, saved):
    path = saved(make())
    with pytest.raises(RadiographError) as raised:
        read(path)
    assert reason in raised.value.reason
    assert raised.value.path == path
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("keep", [1, 131, 140, 300])
def test_a_dicom_file_cut_anywhere_is_refused(keep, saved):
    path = saved(dicom(np.zeros((64, 64), np.uint16)))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(RadiographError):
        read(path)


@pytest.mark.parametrize(
    ("written", "years"),
    [
        ("077Y", 77.0),
        ("77", 77.0),
        ("006M", 0.5),
        ("052W", 364 / 365.25),
        ("", None),
        ("old", None),
        ("414Y", None),
    ],
)
def test_header_gives_the_age_in_years(written, years, saved):
    header = read_header(saved(dicom(GRAY8, PatientAge=written, PatientSex="F", ViewPosition="PA")))
    assert (header.sex, header.view) == ("F", "PA")
    if years is None:
        assert np.isnan(header.age)
    else:
        assert header.age == pytest.approx(years)


def test_header_of_a_file_without_one_is_empty(saved):
    header = read_header(saved(dicom(GRAY8)))
    assert (header.view, header.sex) == (None, None)
    assert np.isnan(header.age)


def test_a_header_that_cannot_be_parsed_is_refused(tmp_path):
    path = tmp_path / "film.dcm"
    meta = b"\x02\x00\x10\x00UI\x16\x00" + b"1.2.840.10008.1.2.1.99"  # Deflated, and what follows is not.
    path.write_bytes(bytes(128) + b"DICM" + meta + b"not deflated")
    with pytest.raises(RadiographError, match="DICOM header is damaged"):
        read_header(path)


def test_path_may_be_text(saved):
    np.testing.assert_array_equal(read(str(saved(dicom(GRAY8)))), GRAY8)
    assert Path(saved(dicom(GRAY8))).exists()
