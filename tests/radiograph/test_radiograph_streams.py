"""A compressed stream is whole, or its file is refused; two decoders agree on whole ones."""

import io

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.pixels import get_decoder
from pydicom.pixels.utils import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLossless, JPEGLosslessSV1

from cxrbench.errors import RadiographError
from cxrbench.radiograph import read, read_shown, read_square

FORMS = (
    "JPEG baseline",
    "JPEG optimised",
    "JPEG progressive",
    "JPEG with restarts",
    "JPEG extended",
    "JPEG lossless 8",
    "JPEG lossless 12",
    "JPEG lossless 16",
    "JPEG-LS 8",
    "JPEG-LS 16",
    "JPEG-LS near",
    "JPEG 2000 8",
    "JPEG 2000 12",
    "HTJ2K 8",
    "HTJ2K 16",
    "RLE 8",
    "RLE 16",
)
LOSSY = {"JPEG baseline", "JPEG optimised", "JPEG progressive", "JPEG with restarts", "JPEG extended"}
END = b"\xff\xd9"


def keep(share):
    return lambda stream: stream[: int(len(stream) * share)]


def zeros_after(share, end=b""):
    def damage(stream):
        kept = stream[: int(len(stream) * share)]
        return kept + bytes(len(stream) - len(kept) - len(end)) + end

    return damage


DAMAGES = {
    "cut at half": keep(0.5),
    "cut at 95%": keep(0.95),
    "cut by ten bytes": lambda stream: stream[:-10],
    "cut and closed": lambda stream: stream[: len(stream) // 2] + END,
    "cut late and closed": lambda stream: stream[: len(stream) * 97 // 100] + END,
    "second half zeros": zeros_after(0.5),
    "last tenth zeros": zeros_after(0.9),
    "second half zeros, closed": zeros_after(0.5, END),
    "last tenth zeros, closed": zeros_after(0.9, END),
    "second half ones": lambda stream: stream[: len(stream) // 2] + b"\xff" * (len(stream) // 2),
    "a piece of the middle missing": lambda stream: (
        stream[: len(stream) // 2] + stream[len(stream) // 2 + 201 :]
    ),
}


@pytest.fixture
def saved(tmp_path):
    def save(dataset):
        path = tmp_path / "film.dcm"
        dataset.save_as(path, enforce_file_format=True)
        return path

    return save


def scaled(values, bits):
    return values if bits <= 8 else np.rint(values.astype(float) * 65535 / (2**bits - 1)).astype(np.uint16)


@pytest.mark.parametrize("form", FORMS)
def test_a_whole_stream_is_read(form, compressed, make, saved):
    values, stream, syntax, bits = compressed[form]
    shown = read(saved(make.in_dicom(stream, values, syntax, bits)))
    assert shown.shape == values.shape
    if form in LOSSY or form == "JPEG-LS near":
        ratio = shown.astype(float).std() / scaled(values, bits).std()
        assert ratio == pytest.approx(1, abs=0.02)
    else:
        np.testing.assert_array_equal(shown, scaled(values, bits))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", FORMS)
def test_a_damaged_stream_in_a_whole_file_is_refused(form, damage, compressed, make, saved):
    values, stream, syntax, bits = compressed[form]
    path = saved(make.in_dicom(DAMAGES[damage](stream), values, syntax, bits))
    for reader in (read, lambda file: read_square(file, 16)):
        with pytest.raises(RadiographError) as raised:
            reader(path)
        assert any(
            word in raised.value.reason for word in ("damaged", "cut short", "ends within", "zeros", "RLE")
        )


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("form", [form for form in FORMS if form in LOSSY])
def test_a_damaged_jpeg_file_is_refused_at_every_scale(form, damage, compressed, tmp_path):
    path = tmp_path / "film.jpg"
    path.write_bytes(DAMAGES[damage](compressed[form][1]))
    for reader in (read, *(lambda file, size=size: read_square(file, size) for size in (6, 12, 24, 96))):
        with pytest.raises(RadiographError):
            reader(path)


@pytest.mark.parametrize(
    "form", ["JPEG baseline", "JPEG lossless 12", "JPEG-LS 16", "JPEG 2000 12", "RLE 16"]
)
def test_wherever_a_stream_is_cut_it_is_refused(form, compressed, make, saved):
    values, stream, syntax, bits = compressed[form]

    @settings(max_examples=25, database=None)
    @given(st.integers(2, len(stream) - 3), st.booleans())
    def cut(kept, closed):
        # RLE has no end marker: two bytes in the place of two others decode to as many pixels.
        end = END if closed and not form.startswith("RLE") else b""
        path = saved(make.in_dicom(stream[:kept] + end, values, syntax, bits))
        with pytest.raises(RadiographError):
            read(path)

    cut()


def test_a_cut_png_is_refused(make, tmp_path):
    path = tmp_path / "film.png"
    for values in (make.film(8), make.film(16)):
        Image.fromarray(values).save(path)
        whole = path.read_bytes()
        for share in (0.1, 0.5, 0.9, 0.97):
            path.write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(RadiographError, match=r"damaged|cut short"):
                read(path)
            path.write_bytes(zeros_after(share)(whole))
            with pytest.raises(RadiographError, match=r"damaged|cut short"):
                read(path)


def test_a_png_with_a_flipped_bit_is_refused(make, tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(make.film(8)).save(path)
    whole = path.read_bytes()

    @settings(max_examples=40, database=None)
    @given(st.integers(41, len(whole) - 20), st.integers(0, 7))
    def flip(place, bit):
        raw = bytearray(whole)
        raw[place] ^= 1 << bit
        path.write_bytes(raw)
        with pytest.raises(RadiographError):
            read(path)

    flip()


# Second decoders: pydicom's other plugins. RLE has pydicom's own.
SECOND = {"RLE 8": "pydicom", "RLE 16": "pydicom"}


@pytest.mark.parametrize("form", FORMS)
def test_two_decoders_agree(form, compressed, make, saved):
    values, stream, syntax, bits = compressed[form]
    path = saved(
        make.in_dicom(stream, values, syntax, bits, WindowCenter=2.0 ** (bits - 1), WindowWidth=2.0**bits)
    )
    plugin = SECOND.get(form, "pylibjpeg")
    assert plugin in get_decoder(syntax).available_plugins
    other = pixel_array(path, decoding_plugin=plugin)
    ours, theirs = read(path).astype(int), scaled(other, bits).astype(int)
    # Inverse cosine transformations may round differently; everything else is exact.
    unit = 1 if bits <= 8 else -(-65535 // (2**bits - 1))
    assert np.abs(ours - theirs).max() <= (unit if form in LOSSY else 0)


@pytest.mark.parametrize(
    ("name", "difference"),
    [
        ("JPEGLSNearLossless_08.dcm", 0),
        ("JPEGLSNearLossless_16.dcm", 0),
        ("MR_small_jpeg_ls_lossless.dcm", 0),
        ("MR_small_jp2klossless.dcm", 0),
        ("MR_small_RLE.dcm", 0),
        ("JPGExtended.dcm", 1),
    ],
)
def test_files_of_others_are_decoded_as_pydicom_decodes_them(name, difference, saved):
    dataset = dcmread(get_testdata_file(name, download=False))
    # Without a window, what is shown runs from the smallest to the largest value, or over 8 bits.
    for element in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept"):
        if element in dataset:
            del dataset[element]
    path = saved(dataset)
    stored = pixel_array(path, decoding_plugin="pydicom" if "RLE" in name else "pylibjpeg").astype(float)
    low, high = (stored.min(), stored.max()) if dataset.BitsStored > 8 else (0, 255)
    top = 65535 if dataset.BitsStored > 8 else 255
    expected = np.rint((stored - low) * top / (high - low))
    assert np.abs(read(path) - expected).max() <= 2 * difference * top / (high - low)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("predictor", [1, 2, 3, 4])
def test_lossless_differences_that_count_modulo_the_depth_are_read_right(predictor, bits, make, saved):
    values = make.film(bits, (24, 40))
    for modulo in (0, 2**bits):
        stream = make.lossless_jpeg(values, bits, predictor=predictor, modulo=modulo)
        syntax = JPEGLosslessSV1 if predictor == 1 else JPEGLossless
        shown = read(saved(make.in_dicom(stream, values, syntax, bits)))
        np.testing.assert_array_equal(shown, scaled(values, bits))


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("predictor", [5, 6, 7])
def test_lossless_means_of_neighbours_are_read_right_or_refused(predictor, bits, make, saved):
    values = make.film(bits, (24, 40))
    path = saved(
        make.in_dicom(make.lossless_jpeg(values, bits, predictor=predictor), values, JPEGLossless, bits)
    )
    np.testing.assert_array_equal(read(path), scaled(values, bits))
    stream = make.lossless_jpeg(values, bits, predictor=predictor, modulo=2**bits)
    path = saved(make.in_dicom(stream, values, JPEGLossless, bits))
    if bits == 16:
        np.testing.assert_array_equal(read(path), values)
    else:
        with pytest.raises(RadiographError, match="decoders disagree"):
            read(path)


def test_the_stream_decides_where_the_transfer_syntax_names_another_process(compressed, make, saved):
    for form in ("JPEG lossless 8", "JPEG-LS 8", "JPEG 2000 8"):
        values, stream, _, bits = compressed[form]
        shown = read(saved(make.in_dicom(stream, values, JPEGBaseline8Bit, bits)))
        np.testing.assert_array_equal(shown, values)


def test_a_stream_of_another_size_than_the_header_is_refused(compressed, make, saved):
    for form in ("JPEG baseline", "JPEG lossless 12", "JPEG-LS 16", "JPEG 2000 12"):
        values, stream, syntax, bits = compressed[form]
        with pytest.raises(RadiographError, match="another size than its Rows and Columns"):
            read(saved(make.in_dicom(stream, values[:-8], syntax, bits)))


def test_harmless_oddities_of_jpeg_headers_are_tolerated(make, tmp_path):
    values = make.film(8)
    whole = make.jpeg(values)
    path = tmp_path / "film.jpg"
    path.write_bytes(whole)
    expected = read(path)
    scan = whole.index(b"\xff\xda")
    spectral = scan + 7
    odd = {
        "wrong spectral selection": whole[:spectral] + b"\x00\x00\x00" + whole[spectral + 3 :],
        "unknown JFIF revision": whole[:11] + b"\x07" + whole[12:],
        "stray bytes before a segment": whole[:scan] + b"\x00\x00" + whole[scan:],
        "fill bytes before a marker": whole[:scan] + b"\xff\xff\xff" + whole[scan:],
        "bytes after the end": whole + b"appended by an archive",
        "a long comment": whole[:2] + b"\xff\xfe\xff\xff" + b"x" * 65533 + whole[2:],
    }
    for what, stream in odd.items():
        path.write_bytes(stream)
        np.testing.assert_array_equal(read(path), expected, err_msg=what)


def test_a_jpeg_of_twelve_bits_is_read_as_a_file_of_its_own(make, tmp_path):
    values = make.film(12)
    path = tmp_path / "film.jpg"
    path.write_bytes(imagecodecs.jpeg8_encode(values, bitspersample=12, level=98))
    assert np.abs(read(path).astype(int) - values).max() < 60
    square = read_square(path, 32)
    assert square.max() > 200


def test_a_jpeg_of_twelve_bits_is_turned_as_its_exif_data_say(make, tmp_path):
    values = make.film(12)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = exif.tobytes()
    stream = imagecodecs.jpeg8_encode(values, bitspersample=12, level=98)
    path = tmp_path / "film.jpg"
    path.write_bytes(stream[:2] + b"\xff\xe1" + (len(data) + 2).to_bytes(2, "big") + data + stream[2:])
    assert np.abs(read(path).astype(int) - np.rot90(values, -1)).max() < 60
    path.write_bytes(stream[:2] + b"\xff\xe1\x00\x10Exif\0\0nonsense" + stream[2:])
    assert read(path).shape == values.shape


@pytest.mark.parametrize("level", [50, 98])
def test_a_baseline_frame_that_says_twelve_bits_is_read_where_its_picture_has_them(make, tmp_path, level):
    stream = imagecodecs.jpeg8_encode(make.film(12), bitspersample=12, level=level)
    (tmp_path / "extended.jpg").write_bytes(stream)
    # Baseline is for 8 bits; writers of films of 12 have said it nevertheless.
    (tmp_path / "baseline.jpg").write_bytes(stream.replace(b"\xff\xc1", b"\xff\xc0", 1))
    np.testing.assert_array_equal(read(tmp_path / "baseline.jpg"), read(tmp_path / "extended.jpg"))


@pytest.mark.parametrize("level", [20, 75, 98])
def test_a_baseline_frame_that_says_twelve_bits_over_a_picture_of_eight_is_refused(make, tmp_path, level):
    noise = np.random.default_rng(0).choice(np.array([0, 255], dtype=np.uint8), (64, 48))
    # Noise that is compressed so far leaves its own range by more than any film.
    for picture in (make.film(8).astype(np.uint8), *([noise] if level > 20 else [])):
        stream = imagecodecs.jpeg8_encode(picture, level=level)
        at = stream.index(b"\xff\xc0") + 4
        assert stream[at] == 8
        (tmp_path / "film.jpg").write_bytes(stream[:at] + b"\x0c" + stream[at + 1 :])
        with pytest.raises(RadiographError, match="baseline, which has 8 bits, and says 12"):
            read(tmp_path / "film.jpg")


def test_jpeg_2000_in_a_jp2_file_and_in_tiles(make, saved):
    values = make.film(8)
    tiled = io.BytesIO()
    Image.fromarray(values).save(tiled, "JPEG2000", irreversible=False, tile_size=(32, 32), no_jp2=True)
    jp2 = imagecodecs.jpeg2k_encode(values, level=0, codecformat="jp2", reversible=True)
    for stream in (jp2, tiled.getvalue()):
        path = saved(make.in_dicom(stream, values, JPEG2000Lossless, 8))
        np.testing.assert_array_equal(read(path), values)
        path = saved(make.in_dicom(zeros_after(0.5, END)(stream), values, JPEG2000Lossless, 8))
        with pytest.raises(RadiographError):
            read(path)


def test_a_black_film_is_whole_in_every_form(make, saved):
    """Zeros that are the picture are no damage."""
    values = np.zeros((600, 800), np.uint16)
    values[0, :2] = 1, 4095
    stream = make.j2k(values, 12)
    np.testing.assert_array_equal(
        read(saved(make.in_dicom(stream, values, JPEG2000Lossless, 12))), scaled(values, 12)
    )
    eight = (values >> 4).astype(np.uint8)
    stream = make.jpeg(eight, optimize=True)
    assert read(saved(make.in_dicom(stream, eight, JPEGBaseline8Bit, 8))).max() > 200


def test_jpeg_2000_decoded_small_differs_little_from_the_whole(make, saved):
    rng = np.random.default_rng(0)
    down, across = np.mgrid[:1100, :900] / 1000
    values = 2000 + 1300 * np.sin(7 * down) * np.cos(5 * across) + 150 * np.sin(90 * across)
    values[300:320, 200:500] = 4000
    values = np.clip(values + rng.normal(0, 40, values.shape), 0, 4095).astype(np.uint16)
    path = saved(
        make.in_dicom(make.j2k(values, 12), values, JPEG2000Lossless, 12, WindowCenter=2048, WindowWidth=4096)
    )
    size, (top, left) = 64, (100, 0)
    whole = Image.fromarray(read_shown(path)[top : top + 900, left : left + 900])
    expected = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0)).astype(int)
    difference = np.abs(read_square(path, size).astype(int) - expected)
    assert 0 < difference.mean() < 0.5
    assert np.quantile(difference, 0.999) <= 10
    # From the smallest to the largest value is from those of the whole picture.
    path = saved(make.in_dicom(make.j2k(values, 12), values, JPEG2000Lossless, 12))
    whole = Image.fromarray(read_shown(path)[top : top + 900, left : left + 900])
    expected = np.asarray(whole.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=3.0))
    np.testing.assert_array_equal(read_square(path, size), expected)


def test_a_progressive_jpeg_closed_after_any_scan_but_the_last_is_refused(make, saved, tmp_path):
    for values in (make.film(8), np.stack([make.film(8, seed=seed) for seed in range(3)], -1)):
        stream = make.jpeg(values, progressive=True)
        scans = [at for at in range(len(stream)) if stream.startswith(b"\xff\xda", at)]
        assert len(scans) > 4
        # Tables stand between two scans.
        for scan in scans[1:]:
            closed = stream[: max(stream.rfind(b"\xff\xc4", 0, scan), 0)] + END
            path = tmp_path / "film.jpg"
            path.write_bytes(closed)
            with pytest.raises(RadiographError, match="whole scans are missing"):
                read(path)
            with pytest.raises(RadiographError, match="whole scans are missing"):
                read(saved(make.in_dicom(closed, values, JPEGBaseline8Bit, 8)))


def test_jpeg_2000_without_some_of_its_tiles_is_refused(make, saved):
    values = make.film(8)
    tiled = io.BytesIO()
    Image.fromarray(values).save(tiled, "JPEG2000", irreversible=False, tile_size=(32, 32), no_jp2=True)
    stream = tiled.getvalue()
    starts = [at for at in range(len(stream)) if stream.startswith(b"\xff\x90\x00\x0a", at)]
    assert len(starts) == 12
    for start in starts[1:]:
        with pytest.raises(RadiographError, match="whole tiles are missing"):
            read(saved(make.in_dicom(stream[:start] + END, values, JPEG2000Lossless, 8)))


def test_a_jpeg_2000_tile_of_unsaid_length_that_was_cut_and_closed_is_refused(make, saved):
    values = make.film(12)
    stream = bytearray(make.j2k(values, 12))
    start = stream.index(b"\xff\x90\x00\x0a")
    stream[start + 6 : start + 10] = bytes(4)
    path = saved(make.in_dicom(bytes(stream), values, JPEG2000Lossless, 12))
    np.testing.assert_array_equal(read(path), scaled(values, 12))
    for share in (0.3, 0.5, 0.9):
        closed = bytes(stream[: int(share * len(stream))]) + END
        with pytest.raises(RadiographError):
            read(saved(make.in_dicom(closed, values, JPEG2000Lossless, 12)))
