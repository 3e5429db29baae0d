"""The pointing game."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxrbench.cohort.boxes import format_boxes, parse_boxes
from cxrbench.look.pointing import inside, middles, pointing_game

LEFT_LUNG, RIGHT_LUNG = (0.1, 0.2, 0.4, 0.8), (0.6, 0.2, 0.9, 0.8)


def _map(row: int, column: int, size: int = 4) -> np.ndarray:
    made = np.zeros((size, size), dtype=np.float32)
    made[row, column] = 1
    return made


def test_a_hit_is_a_highest_place_within_any_of_the_films_boxes() -> None:
    maps = np.stack([_map(1, 0), _map(1, 3), _map(1, 3), _map(0, 0)])
    boxes = [[LEFT_LUNG], [LEFT_LUNG], [LEFT_LUNG, RIGHT_LUNG], [LEFT_LUNG]]
    game = pointing_game(maps, boxes)
    # The first and the third: the middle of the cell (1, 0) is at 0.125, 0.375.
    assert (game.films, game.hits, game.share) == (4, 2, 0.5)
    assert game.cells == (4, 4)
    # Wilson's interval of 2 in 4, by his formula.
    centre, half = (0.5 + 3.8415 / 8) / (1 + 3.8415 / 4), 1.96 * (0.25 / 4 + 3.8415 / 64) ** 0.5 / 1.9604
    assert (game.ci_low, game.ci_high) == pytest.approx((centre - half, centre + half), abs=1e-3)


def test_what_a_place_at_random_and_the_best_single_place_would_hit() -> None:
    # Of 16 cells a lung holds the middles of four.
    game = pointing_game(np.stack([_map(0, 0)] * 3), [[LEFT_LUNG], [LEFT_LUNG], [RIGHT_LUNG]])
    assert game.hits == 0
    assert game.random == pytest.approx(4 / 16)
    assert game.fixed == pytest.approx(2 / 3)


def test_boxes_are_in_the_pictures_own_directions() -> None:
    # A box in the upper right corner: small y, large x.
    places = middles(2, 2)
    assert inside(places, [(0.5, 0.0, 1.0, 0.5)]).tolist() == [False, True, False, False]


@given(st.lists(st.tuples(*[st.integers(0, 10_000)] * 4), max_size=4))
def test_boxes_come_back_as_they_were_written(corners: list[tuple[int, int, int, int]]) -> None:
    boxes = [tuple(value / 10_000 for value in box) for box in corners]
    assert parse_boxes(format_boxes(boxes)) == boxes


@pytest.mark.parametrize("text", ["", None, float("nan")])
def test_no_box_is_no_box(text: object) -> None:
    assert parse_boxes(text) == []
