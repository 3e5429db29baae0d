"""Pictures that no radiograph looks like are recognised by their grey levels."""

import numpy as np
import pytest
from PIL import Image

from cxrbench.radiograph import picture_faults, read_shown, read_square

FILM = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))


def mostly(value, other, share=0.96):
    picture = np.full(1000, value, np.uint8)
    picture[: round(1000 * (1 - share))] = other
    return picture.reshape(20, 50)


@pytest.mark.parametrize(
    ("picture", "faults"),
    [
        (FILM, ()),
        (FILM // 2 + 60, ()),
        (FILM // 10, ("almost black",)),
        (255 - FILM // 10, ("almost white",)),
        (FILM // 32 * 32, ("fewer than 16 grey levels",)),
        (FILM // 16 * 16, ()),
        (FILM // 20, ("fewer than 16 grey levels", "almost black")),
        (FILM * 0 + 90, ("constant",)),
        (FILM * 0, ("constant", "almost black")),
        (FILM * 0 + 255, ("constant", "almost white")),
        # A bright marker on nothing is not a film; a film may have wide black borders.
        (mostly(3, 255, share=0.96), ("fewer than 16 grey levels", "almost black")),
        (np.where(np.arange(64)[:, None] < 58, 0, FILM), ()),
    ],
)
def test_a_picture_is_judged_by_its_grey_levels(picture, faults):
    assert picture_faults(picture.astype(np.uint8)) == faults


@pytest.mark.parametrize("wrong", [FILM.astype(np.uint16), FILM.ravel(), FILM[:0]])
def test_what_is_no_8_bit_picture_is_a_mistake_of_the_caller(wrong):
    with pytest.raises(ValueError, match="uint8"):
        picture_faults(wrong)


def test_a_dark_but_full_16_bit_film_is_judged_as_it_is_shown(tmp_path):
    stored = np.linspace(0, 4095, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(stored).save(tmp_path / "film.png")
    shown = read_shown(tmp_path / "film.png")
    assert (shown.shape, shown.min(), shown.max()) == ((64, 64), 0, 255)
    np.testing.assert_array_equal(shown, read_square(tmp_path / "film.png", 64))
    assert picture_faults(shown) == ()
