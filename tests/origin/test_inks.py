"""Drawings are taken apart into inks, and looks that a cell lacks are told by other cells."""

import numpy as np

from origin.training.colour_table import Points
from origin.training.ink_looks import CellInks, in_all_looks
from origin.training.inks import draw, find_inks, shown

LEVELS = 16


def _disc() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """A disc on a ground above a floor, in two looks, (48, 48, 6), its edges smoothed."""
    fine = np.mgrid[: 48 * 8, : 48 * 8] / 8
    cover = (np.hypot(fine[0] - 20, fine[1] - 24) < 13).reshape(48, 8, 48, 8).mean(axis=(1, 3))
    floor = (fine[0] > 40.5).reshape(48, 8, 48, 8).mean(axis=(1, 3))[..., None]
    ground, disc, under = (
        np.array([one] * 2, dtype=float).reshape(-1)
        for one in ([250, 250, 250], [200, 40, 60], [30, 60, 90])
    )
    disc[3:] = [40, 160, 200]
    picture = ground + cover[..., None] * (disc - ground)
    return np.asarray(picture + floor * (under - picture))


def test_edges_that_mix_two_inks_are_no_inks_of_their_own() -> None:
    picture = _disc()
    inks = find_inks(np.rint(picture))
    # The floor's edge is 48 points of one mix of ground and floor.
    assert inks is not None and len(inks) == 3


def test_a_drawing_in_inks_is_the_picture_within_rounding() -> None:
    picture = np.rint(_disc())
    inks = find_inks(picture)
    assert inks is not None
    back = shown(draw(picture, inks, LEVELS), inks, LEVELS)
    assert np.abs(back - picture).max() <= 255 / LEVELS / 2 + 1


def test_what_has_no_flat_colours_is_no_drawing_in_inks() -> None:
    rng = np.random.default_rng(0)
    assert find_inks(rng.uniform(0, 255, (64, 64, 3))) is None


def test_one_black_of_two_is_told_by_where_it_lies() -> None:
    hair, tie = [[20, 20, 20], [20, 20, 20], [120, 60, 30]], [[20, 20, 20]] * 3
    above, below = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 1.0])
    whole = CellInks(Points((0, 1, 2), np.array([hair, tie], float)), np.stack([above, below]))
    lacking = CellInks(
        Points((0, 1), np.array([tie, hair], float)[:, :2]), np.stack([below, above])
    )
    _, found = in_all_looks([whole, lacking], 3)
    assert np.abs(found[:, 2] - [tie[2], hair[2]]).max() < 1


def test_an_ink_of_one_cell_alone_that_does_not_move_is_held_still() -> None:
    skin = np.array([[[90, 60, 50], [150, 110, 90], [240, 200, 180]]], float)
    coat = np.array([[[30, 90, 160]] * 2], float)
    place = np.ones((1, 4))
    cells = [CellInks(Points((0, 1, 2), skin), place), CellInks(Points((0, 1), coat), place)]
    _, found = in_all_looks(cells, 3)
    assert np.abs(found[0, 2] - coat[0, 0]).max() < 1
