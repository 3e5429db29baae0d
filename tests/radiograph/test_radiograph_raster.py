"""PNG and JPEG in every form that archives hold, and everything that is neither."""

import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from cxrbench.errors import RadiographError
from cxrbench.radiograph import picture_faults, read, read_header, read_shown, read_square

RAMP = np.arange(60, 180, dtype=np.uint8).reshape(10, 12)
GRAY = Image.fromarray(RAMP)


def with_alpha(alpha):
    rgba = GRAY.convert("RGBA")
    rgba.putalpha(Image.fromarray(np.broadcast_to(np.asarray(alpha, np.uint8), RAMP.shape).copy()))
    return rgba


def half_transparent():
    return np.repeat([[255] * 6 + [0] * 6], 10, axis=0)


PNG_FORMS = {
    "gray": (GRAY, RAMP),
    "RGB": (GRAY.convert("RGB"), RAMP),
    "opaque RGBA": (with_alpha(255), RAMP),
    "RGBA is black where transparent": (
        with_alpha(half_transparent()),
        np.where(half_transparent() > 0, RAMP, 0),
    ),
    "gray with alpha": (GRAY.convert("LA"), RAMP),
    "palette": (GRAY.convert("RGB").quantize(256, dither=Image.Dither.NONE), RAMP),
    "colour is its luma": (Image.new("RGB", (12, 10), (255, 0, 0)), np.full((10, 12), 76)),
    "1 bit": (Image.fromarray(RAMP > 100), np.where(RAMP > 100, 255, 0)),
}


@pytest.mark.parametrize("form", PNG_FORMS)
def test_png_of_any_form_is_read_as_8_bit_gray(form, tmp_path):
    image, expected = PNG_FORMS[form]
    image.save(tmp_path / "film.png")
    values = read(tmp_path / "film.png")
    assert values.dtype == np.uint8
    np.testing.assert_array_equal(values, expected)


def test_palette_with_a_transparent_entry_is_black_there(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [1, 2]], np.uint8), "L").convert("P")
    image.putpalette([10, 10, 10, 200, 200, 200, 90, 90, 90])
    image.save(tmp_path / "film.png", transparency=1)
    assert read(tmp_path / "film.png").tolist() == [[10, 0], [0, 90]]


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_16_bit_png_keeps_its_values_whichever_mode_pillow_opens_it_in(mode, tmp_path, monkeypatch):
    stored = RAMP.astype(np.uint16) * 300
    Image.fromarray(stored).save(tmp_path / "film.png")
    opened = Image.fromarray(stored.astype(np.int32 if mode == "I" else np.uint16))
    assert opened.mode == mode
    monkeypatch.setattr(Image, "open", lambda *_, **__: opened)
    values = read(tmp_path / "film.png")
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, stored)


@pytest.mark.parametrize("factor", [1, 16, 300])
def test_square_of_16_bit_png_runs_from_smallest_to_largest(factor, tmp_path):
    stored = np.repeat(np.repeat(np.array([[10, 20], [30, 110]], np.uint16) * factor, 4, 0), 4, 1)
    Image.fromarray(stored).save(tmp_path / "film.png")
    square = read_square(tmp_path / "film.png", 8)
    assert square[::7, ::7].tolist() == [[0, 26], [51, 255]]


def test_square_of_a_constant_16_bit_png_keeps_its_brightness(tmp_path):
    Image.fromarray(np.full((6, 6), 257 * 40, np.uint16)).save(tmp_path / "film.png")
    assert read_square(tmp_path / "film.png", 3).tolist() == [[40] * 3] * 3


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_any_form_is_read_as_8_bit_gray(mode, tmp_path):
    GRAY.convert(mode).save(tmp_path / "film.jpeg", quality=98)
    values = read(tmp_path / "film.jpeg")
    assert (values.dtype, values.shape) == (np.uint8, RAMP.shape)
    assert np.abs(values.astype(int) - RAMP).max() <= 4


def chunk(kind, body, check=None):
    check = zlib.crc32(kind + body) if check is None else check
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png(values, colours, *before, bits=16, after=(), end=True, kept=None):
    """Return a PNG made by hand: ``values`` (height, width[, channels]), other chunks about them."""
    height, width = values.shape[:2]
    rows = values.astype(">u2" if bits == 16 else np.uint8).reshape(height, -1)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))[:kept]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0))
    parts = [header, *before, chunk(b"IDAT", data), *after, chunk(b"IEND", b"") if end else b""]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def packed(rows):
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 10, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("fault", ["no such filter", "filter in the last row", "not packed", "two bits off"])
def test_rows_that_cannot_be_decoded_are_refused_though_every_check_value_is_right(fault, tmp_path):
    filters = {"no such filter": [9] * 10, "filter in the last row": [0] * 9 + [9]}.get(fault, [0] * 10)
    rows = zlib.compress(
        b"".join(bytes([kind]) + row.tobytes() for kind, row in zip(filters, RAMP, strict=True))
    )
    if fault == "not packed":
        rows = bytes(len(rows))
    if fault == "two bits off":
        rows = rows[:40] + bytes([rows[40] ^ 0x81]) + rows[41:]
    (tmp_path / "film.png").write_bytes(packed(rows))
    for reader in (read, lambda path: read_square(path, 32)):
        with pytest.raises(RadiographError, match="cannot be decoded as PNG"):
            reader(tmp_path / "film.png")


FILM12 = np.linspace(100, 4095, 120).round().astype(np.uint16).reshape(10, 12)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bits_a_channel_are_read_whole_and_use_their_range(channels, tmp_path):
    planes = {1: [FILM12], 2: [FILM12, FILM12 * 0 + 65535], 3: [FILM12] * 3}.get(
        channels, [FILM12] * 3 + [FILM12 * 0 + 65535]
    )
    path = tmp_path / "film.png"
    path.write_bytes(png(np.stack(planes, -1), {1: 0, 2: 4, 3: 2, 4: 6}[channels]))
    np.testing.assert_array_equal(read(path), FILM12)
    square = read_square(path, 10)
    assert (square.min(), square.max()) >= (0, 250)
    assert picture_faults(read_shown(path)) == ()


@pytest.mark.parametrize("colours", [0, 2, 4, 6])
def test_what_is_transparent_in_16_bits_is_black_and_no_part_of_the_range(colours, tmp_path):
    clear = np.zeros(FILM12.shape, bool)
    clear[:, :3] = True
    gray = np.where(clear, 60000, FILM12)
    alpha = np.where(clear, 0, 65535)
    values, before = {
        0: (gray, [chunk(b"tRNS", struct.pack(">H", 60000))]),
        2: (np.stack([gray] * 3, -1), [chunk(b"tRNS", struct.pack(">HHH", 60000, 60000, 60000))]),
        4: (np.stack([gray, alpha], -1), []),
        6: (np.stack([gray] * 3 + [alpha], -1), []),
    }[colours]
    path = tmp_path / "film.png"
    path.write_bytes(png(values, colours, *before))
    film = FILM12[~clear]
    np.testing.assert_array_equal(read(path), np.where(clear, film.min(), FILM12))
    shown = read_shown(path)
    assert (shown[clear].max(), shown.max()) == (0, 255)


def test_a_wholly_transparent_16_bit_png_is_refused(tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(png(np.stack([FILM12, FILM12 * 0], -1), 4))
    with pytest.raises(RadiographError, match="every pixel is transparent"):
        read(path)


TEXT = zlib.compress(b"x" * (2 << 20))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([chunk(b"zTXt", b"Comment\0\0" + TEXT)], []),
        ([chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + TEXT)], []),
        ([chunk(b"tEXt", b"Comment\0" + b"x" * (3 << 20))], []),
        ([chunk(b"zTXt", b"C\0\0" + zlib.compress(b"x" * 1_000_000))] * 68, []),
        ([chunk(b"tEXt", b"a\0b", 1)], []),
        ([], [chunk(b"tEXt", b"a\0b", 1)]),
        ([chunk(b"iCCP", b"icc\0\0garbage")], []),
        ([chunk(b"acTL", struct.pack(">II", 0, 0))], []),
        ([chunk(b"gAMA", struct.pack(">I", 45455))], [chunk(b"tIME", b"nonsense")]),
        ([chunk(b"eXIf", b"nonsense")], []),
    ],
)
def test_a_sound_png_is_read_whatever_its_text_says(before, after, tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(png(RAMP, 0, *before, bits=8, after=after))
    np.testing.assert_array_equal(read(path), RAMP)


def test_a_png_without_an_end_is_read_where_its_rows_are_whole(tmp_path):
    path = tmp_path / "film.png"
    path.write_bytes(png(RAMP, 0, bits=8, end=False))
    np.testing.assert_array_equal(read(path), RAMP)


@pytest.mark.parametrize("colours", [0, 2])
@pytest.mark.parametrize("kept", [20, 60, -30])
def test_rows_that_were_cut_and_closed_are_refused(kept, colours, tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 65536, (20, 30) if colours == 0 else (20, 30, 3), np.uint16)
    path = tmp_path / "film.png"
    path.write_bytes(png(values, colours, kept=kept))
    with pytest.raises(RadiographError, match="cannot be decoded as PNG"):
        read(path)


def test_what_is_said_to_be_transparent_after_the_picture_is_not(tmp_path):
    path = tmp_path / "film.png"
    level = struct.pack(">H", int(RAMP[5, 5]))
    path.write_bytes(png(RAMP, 0, bits=8, after=[chunk(b"tRNS", level)]))
    np.testing.assert_array_equal(read(path), RAMP)


@pytest.mark.parametrize("missing", [0, 1, 200])
def test_pixels_that_the_palette_has_no_colour_for_are_refused(missing, tmp_path):
    colours = bytes(np.repeat(np.arange(int(RAMP.max()) + 1 - missing), 3).astype(np.uint8))
    path = tmp_path / "film.png"
    path.write_bytes(png(RAMP, 3, chunk(b"PLTE", colours), bits=8))
    if missing:
        with pytest.raises(RadiographError, match="colours that its palette lacks"):
            read(path)
    else:
        np.testing.assert_array_equal(read(path), RAMP)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_undone(orientation, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = orientation
    GRAY.save(tmp_path / "film.png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "film.png"))
    np.testing.assert_array_equal(read(tmp_path / "film.png"), np.asarray(upright))
    Image.fromarray(FILM12).save(tmp_path / "film.png", exif=exif)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "film.png"))
    np.testing.assert_array_equal(read(tmp_path / "film.png"), np.asarray(upright))


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: rotate by 90 degrees clockwise to see it upright.
    GRAY.save(tmp_path / "film.jpg", quality=98, exif=exif)
    values = read(tmp_path / "film.jpg")
    assert values.shape == (12, 10)
    assert np.abs(values.astype(int) - np.rot90(RAMP, -1)).max() <= 4


def test_the_format_comes_from_the_content_not_the_name(tmp_path):
    GRAY.save(tmp_path / "film.jpg", "PNG")
    np.testing.assert_array_equal(read(tmp_path / "film.jpg"), RAMP)


def test_square_crops_the_middle_of_a_wide_image(tmp_path):
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    Image.fromarray(wide).save(tmp_path / "film.png")
    assert read_square(tmp_path / "film.png", 10).tolist() == [[200] * 10] * 10


def test_square_crops_the_middle_of_a_tall_image(tmp_path):
    tall = np.zeros((60, 20), np.uint8)
    tall[20:40] = 200
    Image.fromarray(tall).save(tmp_path / "film.png")
    assert read_square(tmp_path / "film.png", 10).tolist() == [[200] * 10] * 10


def test_square_of_the_same_size_is_the_image(tmp_path):
    values = np.arange(144, dtype=np.uint8).reshape(12, 12)
    Image.fromarray(values).save(tmp_path / "film.png")
    np.testing.assert_array_equal(read_square(tmp_path / "film.png", 12), values)


def test_square_is_antialiased(tmp_path):
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))
    Image.fromarray(stripes).save(tmp_path / "film.png")
    assert np.abs(read_square(tmp_path / "film.png", 8).astype(int) - 127).max() <= 10


def test_square_may_be_larger_than_the_image(tmp_path):
    GRAY.save(tmp_path / "film.png")
    square = read_square(tmp_path / "film.png", 64)
    assert square.shape == (64, 64)
    assert RAMP.min() <= square.min() < square.max() <= RAMP.max()


def test_jpeg_decoded_small_differs_little_from_the_whole(tmp_path):
    y, x = np.mgrid[0:900, 0:700]
    smooth = 128 + 60 * np.sin(x / 90) + 50 * np.cos(y / 110)
    Image.fromarray(smooth.astype(np.uint8)).save(tmp_path / "film.jpg", quality=95)
    Image.fromarray(read(tmp_path / "film.jpg")).save(tmp_path / "film.png")
    small, whole = (read_square(tmp_path / f"film.{kind}", 64).astype(int) for kind in ("jpg", "png"))
    assert np.abs(small - whole).max() <= 3


def test_square_is_a_writeable_array_of_its_own(tmp_path):
    GRAY.save(tmp_path / "film.png")
    square = read_square(tmp_path / "film.png", 4)
    square[:] = 0
    assert read_square(tmp_path / "film.png", 4).any()


@pytest.mark.parametrize("size", [0, -3])
def test_square_without_pixels_is_a_mistake_of_the_caller(size, tmp_path):
    GRAY.save(tmp_path / "film.png")
    with pytest.raises(ValueError, match="size must be at least 1"):
        read_square(tmp_path / "film.png", size)


def noisy():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80), dtype=np.uint8))


def missing(path):
    path.unlink(missing_ok=True)


def empty(path):
    path.write_bytes(b"")


def folder(path):
    path.unlink(missing_ok=True)
    path.mkdir()


def text(path):
    path.write_text("version https://git-lfs.github.com/spec/v1")


def truncated_png(path):
    noisy().save(path, "PNG")
    path.write_bytes(path.read_bytes()[:2000])


def truncated_jpeg(path):
    noisy().save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


def header_only_png(path):
    noisy().save(path, "PNG")
    path.write_bytes(path.read_bytes()[:20])


def flipped_png(path):
    noisy().save(path, "PNG")
    raw = bytearray(path.read_bytes())
    raw[1500] ^= 0xFF
    path.write_bytes(bytes(raw))


def magic_only_jpeg(path):
    path.write_bytes(b"\xff\xd8\xff\xe0 and nothing more")


def gif(path):
    noisy().save(path, "GIF")


def transparent(path):
    with_alpha(0).save(path, "PNG")


def bomb(path):
    size = struct.pack(">IIBBBBB", 60000, 60000, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (missing, "no such file"),
        (empty, "is empty (0 bytes)"),
        (folder, "is a folder, not a file"),
        (text, "is not a DICOM, PNG or JPEG file"),
        (gif, "is not a DICOM, PNG or JPEG file"),
        (truncated_png, "cannot be decoded as PNG"),
        (header_only_png, "cannot be decoded as PNG"),
        (flipped_png, "cannot be decoded as PNG"),
        (bomb, "cannot be decoded as PNG"),
        (truncated_jpeg, "cannot be decoded as JPEG"),
        (magic_only_jpeg, "cannot be decoded as JPEG"),
        (transparent, "every pixel is transparent"),
    ],
)
@pytest.mark.parametrize("function", [read, lambda path: read_square(path, 8)], ids=["read", "read_square"])
def test_what_cannot_be_read_is_named_with_the_reason_in_one_line(function, make, reason, tmp_path):
    path = tmp_path / "film.png"
    make(path)
    with pytest.raises(RadiographError) as raised:
        function(path)
    assert reason in raised.value.reason
    assert str(raised.value) == f"{path}: {raised.value.reason}"
    assert "\n" not in str(raised.value)


def test_a_file_that_cannot_be_opened_is_named_with_the_systems_reason(tmp_path):
    with pytest.raises(RadiographError, match="cannot be opened: File name too long"):
        read(tmp_path / ("a" * 300))


@pytest.mark.parametrize(("package", "suffix"), [("PIL", "png"), ("pydicom", "dcm")])
def test_a_missing_library_is_named_with_its_remedy(package, suffix, tmp_path, monkeypatch):
    path = tmp_path / f"film.{suffix}"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" if suffix == "png" else bytes(128) + b"DICM")
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "cxrbench.radiograph.raster", raising=False)
    monkeypatch.delitem(sys.modules, "cxrbench.radiograph.dicom", raising=False)
    monkeypatch.delattr("cxrbench.radiograph.raster", raising=False)
    monkeypatch.delattr("cxrbench.radiograph.dicom", raising=False)
    with pytest.raises(RadiographError, match=r"pip install 'cxrbench\[images\]'"):
        read(path)


def test_png_and_jpeg_have_an_empty_header(tmp_path):
    GRAY.save(tmp_path / "film.png")
    assert read_header(tmp_path / "film.png").view is None
