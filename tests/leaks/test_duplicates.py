"""Finding one film under two names, and not two films under one."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from cxrbench.leaks import duplicates
from cxrbench.leaks.duplicates import THRESHOLD, Images, Match, search
from cxrbench.leaks.fingerprint import SIDE, detail, fingerprints
from cxrbench.leaks.registration import Placer, correlation_at, inverse, polish

Pixels = npt.NDArray[np.uint8]
FULL = 320


def film(seed: int, size: int = FULL) -> Pixels:
    """Return a made-up film: a chest that all share, and structures of its own."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : FULL * 1j, -1 : 1 : FULL * 1j]  # type: ignore[misc]
    lungs = np.exp(-(((np.abs(x) - 0.45) / 0.25) ** 2 + ((y + 0.1) / 0.55) ** 2) * 2)
    heart = np.exp(-(((x - 0.12) / 0.3) ** 2 + ((y - 0.3) / 0.3) ** 2) * 2)
    noise = rng.standard_normal((FULL, FULL))
    own = sum(gaussian_filter(noise, s) * s for s in (4, 9, 20))
    image = 150 - 70 * lungs + 40 * heart + 30 * own / own.std()
    return at(np.clip(image, 0, 255).astype(np.uint8), size)


def at(image: Pixels, size: int) -> Pixels:
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR))


def as_jpeg(image: Pixels, quality: int) -> Pixels:
    out = io.BytesIO()
    Image.fromarray(image).save(out, "JPEG", quality=quality)
    return np.asarray(Image.open(out))


def windowed(image: Pixels) -> Pixels:
    return (255 * np.clip((image / 255 - 0.1) / 0.8, 0, 1) ** 0.6).astype(np.uint8)


def cropped(image: Pixels, top: int, left: int, side: int) -> Pixels:
    return image[top : top + side, left : left + side]


def annotated(image: Pixels) -> Pixels:
    picture = Image.fromarray(image)
    draw = ImageDraw.Draw(picture)
    draw.rectangle((10, 10, 40, 40), fill=0)
    draw.text((15, 15), "A", fill=255)
    draw.line((100, 200, 140, 160), fill=255, width=5)
    draw.text((100, 290), "day 1", fill=0)
    return np.asarray(picture)


COPIES = {
    "another size": lambda f: at(at(f, 150), FULL),
    "JPEG": lambda f: as_jpeg(at(f, 224), 35),
    "another window": windowed,
    "windowed JPEG": lambda f: as_jpeg(at(windowed(f), 200), 50),
    "mirrored": lambda f: np.ascontiguousarray(f[:, ::-1]),
    "negative": lambda f: 255 - f,
    "mirrored negative": lambda f: 255 - f[:, ::-1],
}
CROPPED = {
    "cropped": lambda f: cropped(f, 8, 14, 290),
    "cropped and windowed": lambda f: windowed(cropped(f, 20, 4, 280)),
    "annotated": annotated,
    "cropped and annotated": lambda f: cropped(annotated(f), 6, 10, 300),
    "cropped and mirrored": lambda f: cropped(f, 8, 14, 290)[:, ::-1],
    "cropped negative": lambda f: 255 - cropped(f, 8, 14, 290),
}


@pytest.fixture(scope="module")
def others() -> list[Pixels]:
    return [film(seed) for seed in range(100, 140)]


@pytest.mark.parametrize("size", [64, 96, 224])
@pytest.mark.parametrize("change", COPIES)
def test_a_copy_is_found_by_its_fingerprint_alone(change: str, size: int) -> None:
    one, other = film(0), film(1)
    copy = COPIES[change](one)
    if "mirrored" in change:
        copy = copy[:, ::-1]
    a = fingerprints(np.stack([at(one, size), at(other, size)]))
    product = a @ fingerprints(at(np.ascontiguousarray(copy), size)[None])[0]
    sign = -1 if "negative" in change else 1
    assert product[0] * sign > 0.9
    assert abs(product[1]) < 0.35


def pairs(a: Pixels, b: Pixels, threshold: float = THRESHOLD) -> tuple[Match, ...]:
    """Return which images of ``a`` show a film that ``b`` holds too."""
    return search(Images(a, np.arange(len(a))), [Images(b, np.arange(len(b)))], threshold)


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("change", [*COPIES, *CROPPED])
def test_a_film_is_found_among_others(change: str, size: int, others: list[Pixels]) -> None:
    one = film(0)
    copy = np.ascontiguousarray({**COPIES, **CROPPED}[change](one))
    pool = np.stack([at(f, size) for f in [*others[:20], copy, *others[20:]]])
    (match,) = pairs(np.stack([at(film(7), size), at(one, size)]), pool)
    assert (match.a, match.source, match.b) == (1, 0, 20)
    assert match.mirrored == ("mirrored" in change)
    assert match.negative == ("negative" in change)
    assert THRESHOLD < match.similarity <= 1


@pytest.mark.parametrize("size", [64, 128])
def test_different_films_with_the_same_anatomy_are_not_confused(size: int, others: list[Pixels]) -> None:
    pixels = np.stack([at(f, size) for f in others])
    assert pairs(pixels[:20], pixels[20:], threshold=0.5) == ()


def test_every_copy_is_found_however_many_there_are(others: list[Pixels]) -> None:
    one = at(film(0), 64)
    pool = np.stack([one, *(at(f, 64) for f in others[:3]), one, one, one])
    found = pairs(one[None], pool)
    assert [match.b for match in found] == [0, 4, 5, 6]
    assert all(match.similarity == pytest.approx(1.0, abs=1e-5) for match in found)


def test_copies_do_not_hide_a_film_that_was_cropped(others: list[Pixels]) -> None:
    one = film(0)
    crop = cropped(one, 8, 14, 290)
    pool = np.stack([at(f, 64) for f in (one, one, one, others[0], crop)])
    assert [match.b for match in pairs(at(one, 64)[None], pool)] == [0, 1, 2, 4]


def test_sizes_may_differ() -> None:
    (match,) = pairs(film(0, 64)[None], np.stack([film(1, 224), film(0, 224)]))
    assert match.b == 1


def test_rows_of_several_sources_are_kept_apart() -> None:
    pixels = np.stack([film(seed, 64) for seed in range(6)])
    images = Images(pixels, np.array([5, 2, 0]))
    sources = [
        Images(pixels, np.array([1, 2])),
        Images(pixels[:0], np.zeros(0, dtype=np.int64)),
        Images(pixels[::-1], np.array([4, 0])),
    ]
    found = search(images, sources)
    assert [(m.a, m.source, m.b) for m in found] == [(2, 0, 2), (5, 2, 0)]


def test_blocks_do_not_change_what_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.stack([film(seed, 64) for seed in range(12)])
    pool = np.concatenate([pixels[::2], 255 - pixels[1::2]])
    whole = pairs(pixels, pool)
    assert len(whole) == 12
    monkeypatch.setattr("cxrbench.leaks.duplicates._BLOCK", 5)
    blocks = pairs(pixels, pool)
    assert [(m.a, m.b, m.negative) for m in blocks] == [(m.a, m.b, m.negative) for m in whole]


def test_nothing_to_compare() -> None:
    one, none = film(0, 64)[None], np.zeros((0, 64, 64), np.uint8)
    assert pairs(none, one) == ()
    assert pairs(one, none) == ()
    assert search(Images(one, np.array([0])), []) == ()


def test_images_without_detail_match_nothing_not_even_themselves() -> None:
    blank = np.full((2, 64, 64), 130, np.uint8)
    assert pairs(blank, blank) == ()
    np.testing.assert_array_equal(fingerprints(blank), np.zeros((2, SIDE * SIDE), np.float32))


def test_of_tiny_images_only_outright_copies_count() -> None:
    tiny = np.stack([film(seed, 16) for seed in range(60)])
    found = pairs(tiny, tiny)
    assert [(m.a, m.b) for m in found if m.a != m.b] == []
    assert len(found) == 60


@pytest.mark.parametrize("size", [64, 128])
def test_the_phantom_raises_no_false_alarm(size: int) -> None:
    """Its patients share one generator, so they are more alike than people are."""
    from cxrbench.datasets.phantom import phantom_cohort

    pixels = phantom_cohort("covid", seed=3).pixels.read_batch(range(0, 480, 2), size)  # type: ignore[attr-defined]
    patients = phantom_cohort("covid", seed=3).table["patient_id"].to_numpy()[0:480:2]
    first = patients < np.sort(patients)[120]
    assert pairs(pixels[first], pixels[~first]) == ()


# The parts.


def test_fingerprints_have_length_one_and_mean_zero() -> None:
    prints = fingerprints(np.stack([film(0, 100), film(1, 100)]))
    assert prints.shape == (2, SIDE * SIDE)
    assert prints.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(prints, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(prints.mean(axis=1), 0, atol=1e-6)


@pytest.mark.parametrize("size", [32, 63, 64, 200])
def test_detail_of_any_size_averages_the_whole_image(size: int) -> None:
    step = np.zeros((1, size, size), np.uint8)
    step[:, :, size // 2 :] = 200
    found = detail(step, SIDE)[0]
    assert found.shape == (SIDE, SIDE)
    # Detail only at the edge, dark on its left and bright on its right, the same in every row.
    np.testing.assert_allclose(found, np.broadcast_to(found[:1], found.shape), atol=1e-4)
    assert found[0, 15] < -0.3
    assert found[0, 16] > 0.3
    np.testing.assert_allclose(found[:, :8], 0, atol=0.02)


def test_a_placement_is_found_where_the_crop_was() -> None:
    one = film(0)
    # A crop from (16, 40) of 256 px: the whole film lies on it enlarged by 320/256, its centre shifted.
    moving, fixed = (
        detail(at(one, 128)[None], SIDE)[0],
        detail(at(cropped(one, 16, 40, 256), 128)[None], SIDE)[0],
    )
    value, placement = Placer(moving).place(fixed[None])
    assert value[0] > 0.8
    found, placement = polish(fixed, moving, placement[0], steps=150)
    assert found > 0.85
    assert np.exp(placement[:2]) == pytest.approx(320 / 256, abs=0.02)
    assert placement[2:] == pytest.approx([(160 - 144) / 256, (160 - 168) / 256], abs=0.02)


def test_the_inverse_of_a_placement_lays_the_other_image() -> None:
    moving, fixed = detail(np.stack([film(0, 128), film(1, 128)]), SIDE)
    there = np.array([np.log(1.1), np.log(0.95), 0.06, -0.03])
    np.testing.assert_allclose(inverse(inverse(there)), there, atol=1e-12)
    a = correlation_at(fixed, moving, there)
    b = correlation_at(moving, fixed, inverse(there))
    assert a == pytest.approx(b, abs=0.05)


def test_too_little_overlap_is_no_likeness() -> None:
    one = detail(film(0, 128)[None], SIDE)[0]
    assert correlation_at(one, one, np.zeros(4)) == pytest.approx(1.0)
    assert correlation_at(one, one, np.array([0, 0, 0.5, 0])) == -1.0


def test_an_image_without_detail_correlates_with_nothing() -> None:
    one, blank = detail(film(0, 128)[None], SIDE)[0], np.zeros((SIDE, SIDE), np.float32)
    assert correlation_at(one, blank, np.zeros(4)) == 0.0
    value, _ = Placer(blank).place(one[None])
    assert value[0] == pytest.approx(0.0)


@pytest.mark.parametrize("cores", [1, 4])
def test_the_number_of_cores_changes_nothing(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(1)
    films = chance.integers(0, 256, (3000, 40, 40), dtype=np.uint8)
    tested = np.concatenate([films[[5, 2500]], chance.integers(0, 256, (6, 40, 40), dtype=np.uint8)])
    monkeypatch.setattr("cxrbench.leaks.duplicates.usable_cores", lambda: cores)
    found = search(Images(tested, np.arange(8)), [Images(films, np.arange(3000))])
    assert [(match.a, match.b) for match in found] == [(0, 5), (1, 2500)]


def test_empty_images_match_nothing() -> None:
    flat = np.zeros((3, 64, 64), dtype=np.uint8)
    assert search(Images(flat, np.arange(3)), [Images(flat, np.arange(3))]) == ()


def test_the_bound_of_the_first_step_leaves_out_no_pair_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = np.random.default_rng(5)
    blurred = gaussian_filter(chance.standard_normal((300, 24, 24)), (0, 2, 2))
    blurred[200:] += 0.7 * blurred[:100]
    prints = duplicates.normalised(blurred.reshape(300, 576).astype(np.float32))
    halves = duplicates._parity(prints)
    short = duplicates._shortened(halves, [duplicates._axes(half[:100]) for half in halves])
    floor = np.full(100, 0.45, dtype=np.float32)

    def near(worth: float) -> dict[tuple[int, int, bool], float]:
        monkeypatch.setattr(duplicates, "_WORTH", worth)
        monkeypatch.setattr(duplicates, "_FEW", 1.0)
        found = [part.tolist() for part in duplicates._near(short[:100], short[100:], floor, 0)]
        return {(a, b, mirrored): product for a, b, product, mirrored in zip(*found, strict=True)}

    bounded, every = near(-np.inf), near(np.inf)
    assert 50 < len(every) < 2000
    # Worked out in the same way, to the last bit.
    assert bounded == every


def test_no_tail_is_shorter_than_it_is() -> None:
    chance = np.random.default_rng(2)
    half = chance.standard_normal((400, 288)).astype(np.float32)
    half[:, 128:] *= 1e-5
    half /= np.linalg.norm(half, axis=1, keepdims=True)
    axes = np.eye(288, dtype=np.float32)[:, :128]
    short = duplicates._shortened((half, half), (axes, axes))
    true = np.linalg.norm(half[:, 128:].astype(np.float64), axis=1)
    assert (short.tails >= true[:, None]).all()
