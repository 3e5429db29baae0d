"""Header and data that contradict each other: read as the standard or all viewers read them, or named."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalXRayImageStorageForPresentation,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from cxrbench.errors import RadiographError
from cxrbench.radiograph import picture_faults, read, read_shown

GRAY12 = np.array([[0, 500, 1000], [2000, 3000, 4095]], np.uint16)
NAME = "DOE JOHN"
NUMBER = "77777777"
"""pydicom writes no text where a number belongs, others did: this becomes a name in the file."""

WINDOW = {"WindowCenter": "2048", "WindowWidth": "4096"}


def dicom(
    values,
    bits,
    *,
    signed=False,
    photometric="MONOCHROME2",
    syntax=ExplicitVRLittleEndian,
    stream=None,
    **rest,
):
    values = np.asarray(values)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 3 if values.ndim == 3 else 1
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)
    if stream is None:
        raw = values.astype(
            values.dtype.newbyteorder(">" if syntax == ExplicitVRBigEndian else "<")
        ).tobytes()
        dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    else:
        dataset.PixelData = encapsulate([stream + b"\0" * (len(stream) % 2)])
        dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated == 16 and stream is None else "OB"
    for keyword, value in rest.items():
        dataset[keyword] = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=IGNORE)
    return dataset


@pytest.fixture
def shown(tmp_path):
    def show(dataset, reader=read):
        path = tmp_path / "film.dcm"
        dataset.save_as(path, enforce_file_format=True)
        path.write_bytes(path.read_bytes().replace(NUMBER.encode(), NAME.encode()))
        return reader(path)

    return show


def table(first, entries, depth, *, vr="US", data=None, count=None):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(entries) % 65536 if count is None else count, first, depth])
    item.add_new("LUTData", "OW", np.asarray(entries, "<u2").tobytes() if data is None else data)
    return item


def full(values, low, high, top=65535):
    return np.clip(np.rint((np.asarray(values, float) - low) * top / (high - low)), 0, top)


# A table that says 16 bits and holds fewer is shown over the bits that it holds.


@pytest.mark.parametrize("said", [10, 12, 14, 16])
@pytest.mark.parametrize("held", [10, 12, 14, 16])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_value_table_is_shown_over_the_depth_of_its_entries(photometric, held, said, shown):
    entries = np.linspace(0, 2**held - 1, 4096).round()
    dataset = dicom(GRAY12, 12, VOILUTSequence=Sequence([table(0, entries, said)]), photometric=photometric)
    picture = shown(dataset).astype(int)
    expected = full(entries[GRAY12], 0, 2**held - 1).astype(int)
    np.testing.assert_array_equal(picture, expected if photometric == "MONOCHROME2" else 65535 - expected)


def test_a_modality_table_that_says_16_bits_and_holds_12(shown):
    entries = np.arange(4096)
    for rest in ({}, WINDOW):
        picture = shown(dicom(GRAY12, 12, ModalityLUTSequence=Sequence([table(0, entries, 16)]), **rest))
        np.testing.assert_array_equal(picture, full(GRAY12, 0, 4095))


def test_entries_of_8_bits_may_be_packed_two_in_a_word(shown):
    entries = np.array([7, 0, 90, 60, 255, 128, 200], np.uint8)
    values = np.arange(7, dtype=np.uint16)[None]
    packed = entries.tobytes() + b"\0"
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        picture = shown(dicom(values, 12, **{name: Sequence([table(0, entries, 8, data=packed)])}))
        np.testing.assert_array_equal(picture, entries[None])
    item = table(0, entries, 8)
    item["LUTData"] = DataElement("LUTData", "US", np.frombuffer(packed, "<u2").tolist())
    np.testing.assert_array_equal(shown(dicom(values, 12, VOILUTSequence=Sequence([item]))), entries[None])


def test_packed_entries_of_a_big_endian_file(shown):
    entries = np.array([7, 0, 90, 60, 255, 128, 200, 3], np.uint8)
    packed = np.frombuffer(entries.tobytes(), "<u2").astype(">u2").tobytes()
    values = np.arange(8, dtype=np.uint16)[None]
    dataset = dicom(
        values, 12, syntax=ExplicitVRBigEndian, VOILUTSequence=Sequence([table(0, entries, 8, data=packed)])
    )
    np.testing.assert_array_equal(shown(dataset), entries[None])


@pytest.mark.parametrize(("vr", "first"), [("SS", -2), ("US", 65534)])
def test_the_first_value_of_a_table_has_the_sign_of_its_inputs(vr, first, shown):
    values = np.array([[-9, -2, -1, 0, 5]], np.int16)
    dataset = dicom(values, 16, signed=True, VOILUTSequence=Sequence([table(first, [10, 20, 30], 8, vr=vr)]))
    assert shown(dataset).tolist() == [[10, 10, 20, 30, 30]]


def test_the_first_value_of_a_table_over_unsigned_pixels_may_be_written_as_signed(shown):
    values = np.array([[39999, 40000, 40001, 50000]], np.uint16)
    for vr, first in (("US", 40000), ("SS", 40000 - 65536)):
        dataset = dicom(values, 16, VOILUTSequence=Sequence([table(first, [10, 20, 30], 8, vr=vr)]))
        assert shown(dataset).tolist() == [[10, 10, 20, 30]]


def test_a_table_of_65536_entries_counts_as_none_in_16_bits(shown):
    values = np.array([[0, 1, 40000, 65535]], np.uint16)
    dataset = dicom(values, 16, VOILUTSequence=Sequence([table(0, np.arange(65536)[::-1], 16)]))
    np.testing.assert_array_equal(shown(dataset), 65535 - values)


# Padding by its bits.


@pytest.mark.parametrize(
    ("bits", "signed", "stored", "vr", "value"),
    [
        (16, True, -2000, "SS", -2000),
        (16, True, -2000, "US", 63536),
        (12, True, -2048, "US", 63488),
        (12, True, -2048, "US", 2048),
        (16, False, 63536, "SS", -2000),
        (12, False, 4095, "SS", -1),
        (8, False, 255, "SS", -1),
    ],
)
def test_padding_of_the_wrong_sign_is_padding(bits, signed, stored, vr, value, shown):
    dtype = np.int16 if signed else np.uint16
    dataset = dicom(np.array([[stored, stored, 0], [0, 100, 200]], dtype), bits, signed=signed)
    dataset.add_new("PixelPaddingValue", vr, value)
    picture = shown(dataset)
    if bits == 8:
        assert picture.tolist() == [[0, 0, 0], [0, 100, 200]]
    else:
        assert picture.tolist() == [[0, 0, 0], [0, 32768, 65535]]


def test_padding_that_its_pixels_cannot_hold_is_found_in_the_whole_word(shown):
    values = np.array([[60000, 100], [1100, 600]], np.uint16)
    dataset = dicom(values, 12)
    dataset.add_new("PixelPaddingValue", "US", 60000)
    assert shown(dataset).tolist() == [[0, 0], [65535, 32768]]


def test_a_range_of_padding_of_the_wrong_sign(shown):
    dataset = dicom(np.array([[-2000, -1990, 0], [0, 100, 200]], np.int16), 16, signed=True)
    dataset.add_new("PixelPaddingValue", "US", 63536)
    dataset.add_new("PixelPaddingRangeLimit", "US", 63546)
    assert shown(dataset).tolist() == [[0, 0, 0], [0, 32768, 65535]]


# Bits.


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_values_at_the_upper_end_of_the_word_are_moved_down(bits, shown):
    values = np.linspace(0, 2**bits - 1, 60).round().astype(np.uint16).reshape(6, 10)
    at_the_end = dicom(values << (16 - bits), bits, HighBit=15)
    np.testing.assert_array_equal(shown(at_the_end), shown(dicom(values, bits)))
    with_window = {"WindowCenter": str(2 ** (bits - 1)), "WindowWidth": str(2**bits)}
    at_the_end = dicom(values << (16 - bits), bits, HighBit=15, **with_window)
    np.testing.assert_array_equal(shown(at_the_end), shown(dicom(values, bits, **with_window)))


def test_signed_values_at_the_upper_end_of_the_word_are_moved_down(shown):
    values = np.array([[-2048, -5, 0], [100, 1000, 2047]], np.int16)
    np.testing.assert_array_equal(
        shown(dicom(values << 4, 12, signed=True, HighBit=15)), full(values, -2048, 2047)
    )


def test_values_said_to_lie_at_the_upper_end_and_lying_at_the_lower_one(shown):
    np.testing.assert_array_equal(shown(dicom(GRAY12, 12, HighBit=15)), full(GRAY12, 0, 4095))


def test_a_high_bit_below_the_stored_bits_changes_nothing(shown):
    np.testing.assert_array_equal(shown(dicom(GRAY12, 16, HighBit=11)), full(GRAY12, 0, 4095))


def test_an_embedded_overlay_is_no_part_of_the_picture(shown):
    overlay = np.array([[0, 1, 0], [1, 0, 0]], np.uint16) << 12
    dataset = dicom(GRAY12 | overlay, 12)
    with pytest.raises(RadiographError, match="bits above its Bits Stored"):
        shown(dataset)
    dataset.add_new((0x6000, 0x0010), "US", 2)
    dataset.add_new((0x6000, 0x0011), "US", 3)
    dataset.add_new((0x6000, 0x0100), "US", 16)
    dataset.add_new((0x6000, 0x0102), "US", 12)
    np.testing.assert_array_equal(shown(dataset), full(GRAY12, 0, 4095))


@pytest.mark.parametrize("bits", [8, 9, 10, 11])
def test_pixels_that_use_more_bits_than_are_said_to_be_stored_are_named(bits, shown):
    with pytest.raises(RadiographError, match="bits above its Bits Stored"):
        shown(dicom(GRAY12, bits))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BitsStored": 17}, "Bits Stored is zero, or more than"),
        ({"BitsStored": 0}, "Bits Stored is zero, or more than"),
        ({"HighBit": 16}, "High Bit lies outside"),
        ({"BitsAllocated": 12}, "neither 8 nor 16"),
        ({"SamplesPerPixel": 4}, "neither 1 nor 3"),
        ({"PixelRepresentation": 7}, "neither 0 nor 1"),
        ({"PhotometricInterpretation": ""}, "Photometric Interpretation is missing"),
        ({"Rows": 0}, "no pixels"),
        ({"Rows": None}, "Rows is missing"),
        ({"Columns": 2}, None),
        ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "twice as many bytes"),
    ],
)
def test_a_header_that_cannot_be_true_is_named(change, reason, shown):
    dataset = dicom(GRAY12, 12, **change)
    if reason is None:
        assert shown(dataset).shape == (2, 2)
    else:
        with pytest.raises(RadiographError, match=reason):
            shown(dataset)


# Rescale and windows.


@pytest.mark.parametrize(
    ("rest", "values"),
    [
        ({"RescaleIntercept": "-1000", "WindowCenter": "1000.5", "WindowWidth": "2001"}, (1000, 3000)),
        (
            {"RescaleIntercept": "-1000", "RescaleSlope": "", "WindowCenter": "0.5", "WindowWidth": "2001"},
            (0, 2000),
        ),
        ({"RescaleSlope": "2", "WindowCenter": "4096.5", "WindowWidth": "4097"}, (1024, 3072)),
        ({"RescaleSlope": "-1"}, (4095, 0)),
        ({"RescaleSlope": "-1", "RescaleIntercept": ""}, (4095, 0)),
        # A window over falling values: large after the rescale is bright.
        (
            {"RescaleSlope": "-1", "RescaleIntercept": "4095", "WindowCenter": "2048", "WindowWidth": "4096"},
            (4095, 0),
        ),
        # The first of several windows that says something.
        ({"WindowCenter": ["", "2048"], "WindowWidth": ["", "1001"]}, (1547.5, 2547.5)),
        ({"WindowCenter": ["2048", "9"], "WindowWidth": "1001"}, (1547.5, 2547.5)),
        ({"WindowCenter": ["9", "2048"], "WindowWidth": ["0", "1001"]}, (1547.5, 2547.5)),
        ({"WindowCenter": "", "WindowWidth": "1001"}, (0, 4095)),
        ({"VOILUTFunction": "", **WINDOW}, (0, 4095)),
        ({"VOILUTFunction": None, "WindowCenter": "2048", "WindowWidth": "1001"}, (1547.5, 2547.5)),
    ],
)
def test_half_a_rescale_and_odd_windows(rest, values, shown):
    low, high = values
    np.testing.assert_array_equal(shown(dicom(GRAY12, 12, **rest)), full(GRAY12, low, high))


EMPTY = Dataset()
EMPTY.add_new("LUTDescriptor", "US", None)
EMPTY.add_new("LUTData", "OW", None)
BARE = Dataset()
BARE.add_new("LUTDescriptor", "US", [4, 0, 16])


@pytest.mark.parametrize(
    "rest",
    [
        {"VOILUTSequence": Sequence([EMPTY])},
        {"VOILUTSequence": Sequence([BARE])},
        {"VOILUTSequence": Sequence([Dataset()])},
        {"VOILUTSequence": Sequence([])},
        {"ModalityLUTSequence": Sequence([EMPTY])},
        {"ModalityLUTSequence": Sequence([])},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"PixelPaddingValue": None},
        {"NumberOfFrames": None},
        {"PresentationLUTShape": ""},
        {"HighBit": None},
        {"PixelRepresentation": None},
        {"SamplesPerPixel": None},
        {"PlanarConfiguration": None},
        {"VOILUTFunction": ""},
        {"SOPClassUID": ""},
    ],
)
def test_there_but_empty_means_none(rest, shown):
    window = {"WindowCenter": "2048", "WindowWidth": "1001"}
    np.testing.assert_array_equal(shown(dicom(GRAY12, 12, **window, **rest)), full(GRAY12, 1547.5, 2547.5))


def test_an_empty_first_table_gives_way_to_the_second(shown):
    second = table(0, np.arange(4096)[::-1], 12)
    picture = shown(dicom(GRAY12, 12, VOILUTSequence=Sequence([EMPTY, second])))
    np.testing.assert_array_equal(picture, full(GRAY12, 4095, 0))


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ({"RescaleSlope": NUMBER}, "Rescale Slope"),
        ({"WindowCenter": NUMBER, "WindowWidth": "9"}, "Window Center"),
        ({"NumberOfFrames": NUMBER}, "Number of Frames"),
        ({"NumberOfFrames": "-5"}, "Number of Frames is negative"),
        ({"NumberOfFrames": "2000000000"}, "several frames"),
        ({"PhotometricInterpretation": NAME}, "Photometric Interpretation"),
        ({"VOILUTFunction": NAME, **WINDOW}, "VOI LUT Function"),
        ({"VOILUTSequence": Sequence([table(0, [1, 2], 8, count=9)])}, "fewer entries than"),
        ({"ModalityLUTSequence": Sequence([table(0, [1, 2], 16, count=3)])}, "fewer entries than"),
    ],
)
def test_a_refusal_names_the_element_and_quotes_no_value(rest, reason, shown):
    with pytest.raises(RadiographError) as raised:
        shown(dicom(GRAY12, 12, **rest))
    assert reason in raised.value.reason
    for quoted in ("DOE", "JOHN", "2000000000", "-5"):
        assert quoted not in raised.value.reason


# Colour.

FILM = np.repeat(np.repeat(np.array([[10, 60, 120], [180, 220, 250]], np.uint8), 16, 0), 16, 1)
RGB = np.stack([FILM] * 3, -1)


def jpeg(values, **options):
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=98, **options)
    return stream.getvalue()


def without_marker(stream, marker):
    at = stream.find(marker)
    return (
        stream if at < 0 else stream[:at] + stream[at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big") :]
    )


JPEGS = {
    "JFIF": jpeg(RGB),
    "unmarked": without_marker(jpeg(RGB), b"\xff\xe0"),
    "unmarked, not subsampled": without_marker(jpeg(RGB, subsampling=0), b"\xff\xe0"),
    "RGB": jpeg(RGB, keep_rgb=True),
    "unmarked RGB": without_marker(jpeg(RGB, keep_rgb=True), b"\xff\xee"),
    "gray": jpeg(FILM),
}


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2"])
@pytest.mark.parametrize("stream", JPEGS)
def test_a_gray_film_in_a_colour_jpeg_is_that_film_whatever_it_is_called(stream, said, shown):
    values = FILM if said == "MONOCHROME2" else RGB
    picture = shown(dicom(values, 8, photometric=said, syntax=JPEGBaseline8Bit, stream=JPEGS[stream]))
    assert np.abs(picture.astype(int) - FILM).max() <= 3


def test_monochrome1_holds_for_a_colour_jpeg_too(shown):
    picture = shown(
        dicom(FILM, 8, photometric="MONOCHROME1", syntax=JPEGBaseline8Bit, stream=JPEGS["unmarked"])
    )
    assert np.abs(picture.astype(int) - (255 - FILM)).max() <= 3


YCC = np.stack([FILM, np.full_like(FILM, 128), np.full_like(FILM, 128)], -1)


@pytest.mark.parametrize("said", ["RGB", "YBR_FULL"])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (ExplicitVRLittleEndian, lambda _: None),
        (
            JPEG2000Lossless,
            lambda planes: imagecodecs.jpeg2k_encode(
                planes, level=0, codecformat="j2k", reversible=True, mct=False
            ),
        ),
        (JPEGLSLossless, imagecodecs.jpegls_encode),
    ],
)
def test_a_gray_film_as_ycbcr_is_that_film_in_every_syntax(syntax, encode, said, shown):
    for planes in (YCC, RGB):
        picture = shown(dicom(planes, 8, photometric=said, syntax=syntax, stream=encode(planes)))
        np.testing.assert_array_equal(picture, FILM)


def test_a_gray_film_as_ycbcr_in_rle(shown):
    dataset = dicom(YCC, 8, photometric="RGB")
    dataset.compress(RLELossless)
    np.testing.assert_array_equal(shown(dataset), FILM)


def test_true_colours_are_read_as_the_header_says(shown):
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8).repeat(8, 0)
    assert shown(dicom(colours, 8, photometric="RGB"))[0].tolist() == [76, 150, 29, 90]
    assert shown(dicom(colours, 8, photometric="YBR_FULL"))[0].tolist() == [255, 0, 0, 90]
    planes = np.moveaxis(colours, -1, 0).copy().reshape(8, 4, 3)
    assert shown(dicom(planes, 8, photometric="RGB", PlanarConfiguration=1))[0].tolist() == [76, 150, 29, 90]


def test_colours_of_16_bits_that_hold_12_use_their_range(shown):
    values = np.linspace(0, 4095, 64).round().astype(np.uint16).reshape(8, 8)
    dataset = dicom(np.stack([values] * 3, -1), 16, photometric="RGB")
    np.testing.assert_array_equal(shown(dataset), full(values, 0, 4095))
    assert picture_faults(shown(dataset, read_shown)) == ()


def test_jpeg_2000_of_more_bits_than_the_header_says(shown):
    stream = imagecodecs.jpeg2k_encode(
        np.tile(GRAY12, (16, 16)), level=0, codecformat="j2k", reversible=True, bitspersample=12
    )
    for bits in (10, 12, 16):
        picture = shown(dicom(np.tile(GRAY12, (16, 16)), bits, syntax=JPEG2000Lossless, stream=stream))
        np.testing.assert_array_equal(picture, np.tile(full(GRAY12, 0, 4095), (16, 16)))


@pytest.mark.parametrize(("bits", "rest"), [(12, WINDOW), (12, {}), (8, {})])
def test_streams_of_more_bits_than_are_stored_at_either_end(bits, rest, shown):
    values = np.tile(GRAY12 >> (12 - bits), (16, 16)).astype(np.uint16)
    expected = np.tile(full(GRAY12, 0, 4095), (16, 16)) if bits == 12 else values
    for moved, high in ((values, bits - 1), (values << (16 - bits), 15)):
        for syntax, stream in (
            (JPEG2000Lossless, imagecodecs.jpeg2k_encode(moved, level=0, codecformat="j2k", reversible=True)),
            (JPEGLosslessSV1, imagecodecs.jpeg8_encode(moved, lossless=True, bitspersample=16)),
            (JPEGLSLossless, imagecodecs.jpegls_encode(moved)),
        ):
            dataset = dicom(moved, bits, syntax=syntax, stream=stream, HighBit=high, **rest)
            np.testing.assert_array_equal(shown(dataset), expected)


def test_jpeg_2000_of_another_sign_than_the_header_says(shown):
    values = np.tile(np.array([[-1000, 0, 500], [1000, 2000, 3000]], np.int16), (16, 16))
    expected = full(values, -1000, 3000)
    as_signed = imagecodecs.jpeg2k_encode(
        values, level=0, codecformat="j2k", reversible=True, bitspersample=13
    )
    as_bits = imagecodecs.jpeg2k_encode(
        (values.astype(int) & 0x1FFF).astype(np.uint16),
        level=0,
        codecformat="j2k",
        reversible=True,
        bitspersample=13,
    )
    for stream in (as_signed, as_bits):
        picture = shown(dicom(values, 13, signed=True, syntax=JPEG2000Lossless, stream=stream))
        np.testing.assert_array_equal(picture, expected)


# What is not a radiograph.


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4"}, "is a segmentation"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.11.1"}, "is a presentation state"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, "is a structured report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "is an encapsulated document"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.2"}, "is a radiotherapy dose"),
        ({"NumberOfFrames": "2"}, "several frames"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "one bit per pixel"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, "more than 16 bits"),
        ({"FloatPixelData": b"\0" * 24}, "floating-point"),
    ],
)
def test_what_is_no_radiograph_is_refused_by_its_kind(rest, reason, shown):
    with pytest.raises(RadiographError, match=reason):
        shown(dicom(GRAY12, 12, **rest))


def test_a_radiotherapy_image_is_a_radiograph(shown):
    assert shown(dicom(GRAY12, 12, SOPClassUID="1.2.840.10008.5.1.4.1.1.481.1")).shape == (2, 3)
