"""Headers that are wrong about the order of bytes, the sign, the rows, the planes or the shape of a pixel."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_square, smooth

SIGN = "only with the other Pixel Representation"
BYTES = "bytes in another order than its transfer syntax says"
TURNED = "only with Rows and Columns exchanged"


def picture(low, high, shape=(120, 160), seed=0):
    """Return a picture whose grey levels rise and fall between two values, with noise."""
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    values = np.sin(5 * x) * np.cos(4 * y) + 0.03 * np.random.default_rng(seed).standard_normal(shape)
    values = (values - values.min()) / (values.max() - values.min())
    return np.rint(low + values * (high - low)).astype(np.int64)


@pytest.fixture
def saved(tmp_path):
    def save(dataset):
        dataset.save_as(tmp_path / "film.dcm", enforce_file_format=True)
        return tmp_path / "film.dcm"

    return save


@pytest.fixture
def native(make, tmp_path):
    """Return a function that writes words uncompressed, with what else its header says, and reads them."""

    def write(words, bits, reader=read, **header):
        dataset = make.in_dicom(b"\0" * 4, words, ExplicitVRLittleEndian, bits, **header)
        dataset.PixelData = words.tobytes()
        dataset["PixelData"].is_undefined_length = False
        dataset["PixelData"].VR = "OW" if words.itemsize == 2 else "OB"
        path = tmp_path / "film.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return reader(path)

    return write


def is_picture(read_values, values):
    return np.corrcoef(read_values.ravel().astype(float), values.ravel())[0, 1] > 0.999


@pytest.mark.parametrize(
    ("low", "high", "bits", "signed"),
    [(0, 4095, 12, False), (0, 65535, 16, False), (-1000, 3000, 16, True), (-2048, 2047, 12, True)],
)
def test_words_of_the_other_sign_than_the_header_says_are_refused(low, high, bits, signed, native):
    values = picture(low, high)
    words = values.astype("<i2").view("<u2") if signed else values.astype("<u2")
    assert is_picture(native(words, bits, PixelRepresentation=int(signed)), values)
    masked = words & np.uint16(2**bits - 1)
    with pytest.raises(RadiographError, match=SIGN):
        native(masked, bits, PixelRepresentation=int(not signed))


@pytest.mark.parametrize("signed", [False, True])
def test_jpeg_2000_of_a_sign_that_neither_header_nor_pixels_have_is_refused(signed, make, saved):
    values = picture(-1000, 3000) if signed else picture(0, 4095)
    words = values.astype(np.int16 if signed else np.uint16)
    stream = make.j2k(words, 16 if signed else 12)
    rest = {"PixelRepresentation": int(not signed)}
    dataset = make.in_dicom(stream, words, JPEG2000Lossless, 16 if signed else 12, **rest)
    with pytest.raises(RadiographError, match=SIGN):
        read(saved(dataset))


@pytest.mark.parametrize("level", [4095, 3900])
def test_white_letters_and_borders_are_no_negative_values(level, native):
    words = picture(0, 1500).astype("<u2")
    words[:, :12] = level
    words[40:60:2, 60:90:2] = 4095
    assert native(words, 12)[0, 0] > 60000
    noisy = words.copy()
    noisy[:, :12] -= np.random.default_rng(0).integers(0, 150, (120, 12)).astype(np.uint16)
    assert native(noisy, 12)[0, 0] > 55000


def test_a_black_border_next_to_air_is_no_zero(native):
    words = picture(2400, 4095).astype("<u2")
    words[:, 150:] = 4095 - np.random.default_rng(1).integers(0, 40, (120, 10))
    words[:, :12] = 0
    words[:, 12:20] = 4000 + np.random.default_rng(0).integers(0, 90, (120, 8))
    assert native(words, 12)[0, 0] == 0
    assert native(words, 12, PixelPaddingValue=0).shape == words.shape


def test_bits_that_lie_at_the_upper_end_have_their_sign(native):
    values = picture(140, 370).astype("<u2")
    assert is_picture(native(values << 4, 12, HighBit=15), values)


def test_a_striped_film_is_not_turned(native):
    words = picture(500, 4000, (320, 160)).astype("<u2")
    words[::2] //= 2
    assert is_picture(native(words, 12), words)


@pytest.mark.parametrize(("high", "bits"), [(65000, 16), (4095, 16), (4095, 12), (1000, 10)])
def test_swapped_bytes_are_refused(high, bits, native):
    words = picture(0, high).astype("<u2")
    assert is_picture(native(words, bits), words)
    with pytest.raises(RadiographError, match=BYTES):
        native(words.byteswap(), bits)


def test_rows_and_columns_exchanged_are_refused(native):
    words = picture(0, 4095).astype("<u2")
    with pytest.raises(RadiographError, match=TURNED):
        native(words, 12, Rows=160, Columns=120)


@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([10, 12, 16]), noise=st.floats(0, 1))
def test_noise_of_any_strength_is_taken_as_the_header_says(seed, bits, noise):
    rng = np.random.default_rng(seed)
    smooth_part = picture(0, 5000, seed=seed) / 10_000
    words = (smooth_part + noise * rng.random(smooth_part.shape)) / (0.5 + noise)
    words = np.rint(np.clip(words, 0, 1) * (2**bits - 1)).astype(np.uint16)
    assert not smooth.is_swapped(words)
    assert not smooth.is_turned(words)
    assert not smooth.is_of_other_sign(words, bits, signed=False)


@pytest.mark.parametrize("said", [0, 1])
def test_a_gray_film_in_three_planes_is_read_in_the_order_that_it_has(said, native):
    film = picture(0, 255).astype(np.uint8)
    interleaved = np.stack([film] * 3, axis=-1)
    planes = np.moveaxis(interleaved, -1, 0).reshape(interleaved.shape)
    for words in (interleaved, planes):
        assert (native(words, 8, PlanarConfiguration=said) == film).all()


def test_a_coloured_film_is_read_in_the_order_that_makes_a_picture(native):
    film = np.stack([picture(0, 255, seed=seed) for seed in range(3)], axis=-1).astype(np.uint8)
    film[..., 1] //= 2
    expected = native(film, 8, PlanarConfiguration=0)
    assert (native(film, 8, PlanarConfiguration=1) == expected).all()


@pytest.mark.parametrize("kind", ["HSV", "ARGB", "FOO"])
def test_three_samples_of_an_unknown_kind_are_refused(kind, native):
    film = np.stack([picture(0, high) for high in (200, 100, 250)], axis=-1).astype(np.uint8)
    with pytest.raises(RadiographError, match="none of three samples per pixel"):
        native(film, 8, PhotometricInterpretation=kind)


@pytest.mark.parametrize(
    ("header", "shape"),
    [
        ({"PixelAspectRatio": ["2", "1"]}, (120, 80)),
        ({"PixelAspectRatio": ["1", "2"]}, (60, 160)),
        ({"PixelSpacing": ["0.3", "0.2"]}, (120, 107)),
        ({"ImagerPixelSpacing": ["0.2", "0.1"]}, (120, 80)),
        ({"PixelAspectRatio": ["1", "1"], "PixelSpacing": ["0.2", "0.1"]}, (120, 160)),
        ({"PixelSpacing": ["0.1391", "0.139"]}, (120, 160)),
        ({"PixelAspectRatio": ["0", "0"], "PixelSpacing": ["0.139"]}, (120, 160)),
        ({"PixelSpacing": None}, (120, 160)),
    ],
)
@pytest.mark.parametrize("bits", [8, 12])
def test_pixels_that_are_not_square_become_so(header, shape, bits, native):
    words = picture(0, 2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)
    values = native(words, bits, **header)
    assert values.shape == shape
    assert values.dtype == words.dtype
    whole = native(words, bits)
    assert (
        abs(int(values[60 * shape[0] // 120, 80 * shape[1] // 160]) - int(whole[60, 80])) < whole.max() / 10
    )


def test_a_pixel_of_a_shape_that_no_film_has_is_refused(native):
    with pytest.raises(RadiographError, match="four times as high as wide"):
        native(picture(0, 255).astype(np.uint8), 8, PixelAspectRatio=["100", "1"])


def test_the_square_of_a_film_with_oblong_pixels_has_its_proportions(native):
    film = picture(0, 255, (160, 160)).astype(np.uint8)
    wide = np.repeat(film, 2, axis=1)
    square = native(wide, 8, lambda path: read_square(path, 40), PixelAspectRatio=["2", "1"])
    plain = native(film, 8, lambda path: read_square(path, 40))
    assert np.abs(square.astype(int) - plain).max() <= 4


@pytest.mark.parametrize("form", ["JPEG", "JPEG 2000", "JPEG-LS"])
def test_two_pictures_in_fragments_without_offsets_are_several_frames(form, make, saved):
    values = picture(0, 255).astype(np.uint8)
    stream, syntax = {
        "JPEG": (make.jpeg(values), JPEGBaseline8Bit),
        "JPEG 2000": (make.j2k(values, 8), JPEG2000Lossless),
        "JPEG-LS": (imagecodecs.jpegls_encode(values), JPEGLSLossless),
    }[form]
    dataset = make.in_dicom(stream, values, syntax, 8)
    fragments = [stream + b"\0" * (len(stream) % 2)] * 2
    dataset.PixelData = encapsulate(fragments, has_bot=False)
    with pytest.raises(RadiographError, match="several frames"):
        read(saved(dataset))


def test_rows_of_rle_may_be_exchanged_too(make, saved):
    words = picture(0, 4095).astype("<u2")
    dataset = make.in_dicom(make.rle(words), words, RLELossless, 12, Rows=160, Columns=120)
    with pytest.raises(RadiographError, match=TURNED):
        read(saved(dataset))
