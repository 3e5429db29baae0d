"""The box of the film in made pictures: with borders of both kinds, askew, with a marker, and without any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from cxrbench.radiograph import film_box, read_square


def film(height=300, width=260, seed=0):
    """Return something like a film: a bright middle between lungs, dark air beside the neck, and noise."""
    y, x = np.mgrid[0:height, 0:width] / np.array([height, width]).reshape(2, 1, 1)
    values = 70 + 90 * np.exp(-(((x - 0.5) / 0.12) ** 2)) + 60 * y
    values[(y < 0.12) & (abs(x - 0.5) > 0.25)] = 30
    return np.clip(values + np.random.default_rng(seed).normal(0, 4, values.shape), 0, 255).astype(np.uint8)


def page(inner, margins, level, noise=3.0, seed=1):
    """Return ``inner`` on a page of one level: margins are top, bottom, left, right."""
    top, bottom, left, right = margins
    shape = inner.shape[0] + top + bottom, inner.shape[1] + left + right
    values = np.random.default_rng(seed).normal(level, noise, shape)
    values[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return np.clip(values, 0, 255).astype(np.uint8)


def box_of(inner, margins):
    return margins[0], margins[0] + inner.shape[0], margins[2], margins[2] + inner.shape[1]


@pytest.mark.parametrize("level", [0, 8, 18, 245, 255])
@pytest.mark.parametrize("margins", [(20, 30, 40, 10), (0, 25, 25, 0), (50, 50, 0, 0)])
def test_a_border_is_cut_off_to_the_pixel(level, margins):
    picture = page(film(), margins, level)
    assert tuple(film_box(picture)) == pytest.approx(box_of(film(), margins), abs=1)


@settings(max_examples=25)
@given(st.tuples(*[st.integers(0, 60)] * 4), st.sampled_from([2, 250]), st.integers(0, 50))
def test_no_pixel_of_the_film_is_ever_cut_off(margins, level, seed):
    inner = film(seed=seed)
    top, bottom, left, right = film_box(page(inner, margins, level))
    first, last, west, east = box_of(inner, margins)
    assert top <= first + 1
    assert bottom >= last - 1
    assert left <= west + 1
    assert right >= east - 1


@pytest.mark.parametrize("level", [5, 250])
@pytest.mark.parametrize("degrees", [-2.0, 1.5])
def test_a_film_that_lies_askew_is_boxed_whole(level, degrees):
    askew = Image.fromarray(film()).rotate(degrees, expand=True, fillcolor=level)
    picture = page(np.asarray(askew), (30, 30, 30, 30), level)
    top, bottom, left, right = film_box(picture)
    # The corners of the film reach as far as the turned picture does; a line there is nearly all border.
    slack = int(0.15 * 300 * np.tan(np.radians(abs(degrees)))) + 3
    assert 30 <= top <= 30 + slack
    assert 30 <= left <= 30 + slack
    assert picture.shape[0] - bottom <= 30 + slack
    assert picture.shape[1] - right <= 30 + slack


@pytest.mark.parametrize(("level", "ink"), [(4, 230), (252, 20)])
def test_a_marker_of_letters_in_the_border_does_not_hold_it(level, ink):
    picture = Image.fromarray(page(film(), (40, 10, 40, 10), level))
    ImageDraw.Draw(picture).rectangle((8, 12, 26, 30), outline=ink, width=3)
    assert tuple(film_box(np.asarray(picture))) == pytest.approx((40, 340, 40, 300), abs=1)


def test_a_dark_margin_within_a_white_page_is_cut_off_too():
    picture = page(page(film(), (15, 15, 15, 15), 3), (20, 20, 20, 20), 254)
    assert tuple(film_box(picture)) == pytest.approx((35, 335, 35, 295), abs=1)


@pytest.mark.parametrize("seed", range(5))
def test_a_film_without_a_border_stays_whole(seed):
    assert tuple(film_box(film(seed=seed))) == (0, 300, 0, 260)


def test_an_overexposed_abdomen_is_no_border():
    values = film()
    values[250:] = 255
    assert tuple(film_box(values)) == (0, 300, 0, 260)


@pytest.mark.parametrize("values", [np.zeros((80, 60)), np.full((80, 60), 255), np.full((5, 5), 7)])
def test_a_picture_that_is_all_border_stays_whole(values):
    assert tuple(film_box(values.astype(np.uint8))) == (0, values.shape[0], 0, values.shape[1])


def test_the_reader_crops_only_where_it_is_asked_to(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(page(film(280, 280), (60, 60, 60, 60), 0)).save(path)
    whole, cropped = read_square(path, 64), read_square(path, 64, crop=True)
    assert whole[:5].max() < 20
    assert cropped[:, 28:36].min() > 60
    Image.fromarray(film(280, 280)).save(path)
    assert np.array_equal(read_square(path, 64), read_square(path, 64, crop=True))
