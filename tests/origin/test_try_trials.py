"""How much of a family is tried in the time there is."""

import time
from itertools import product
from pathlib import Path

import pytest

from kvsync.errors import InputError
from origin.gallery import Asset, Gallery
from origin.try_trials import FEWEST_VALUES, part_of, try_in_time

MANY = Gallery(
    Path("nowhere"),
    "shoes",
    tuple(
        Asset(f"{lace}-{sole}-{view}.jpg", {"lace": lace, "sole": sole, "view": view}, 1)
        for lace, sole, view in product("abcdefghijkl", "mnopqrstuvwx", ("front", "side"))
    ),
    768,
    768,
)


def nothing(doing: str, done: float) -> None:
    """Hears of progress."""


def test_a_part_has_fewer_values_and_all_their_combinations() -> None:
    part = part_of(MANY, 60)
    lace, sole, view = (len(part.values(name)) for name in part.attributes)
    assert len(part.assets) == lace * sole * view <= 60
    assert view == 2 and min(lace, sole) >= FEWEST_VALUES and abs(lace - sole) <= 1
    assert part == part_of(MANY, 60) and all(one in MANY.assets for one in part.assets)


def test_below_the_fewest_values_pictures_are_drawn_by_lot() -> None:
    part = part_of(MANY, 20)
    assert len(part.assets) == 20
    assert all(len(part.values(name)) <= FEWEST_VALUES for name in part.attributes)


def test_a_family_that_is_small_enough_is_tried_whole() -> None:
    assert part_of(MANY, len(MANY.assets)) == MANY


def test_what_does_not_finish_in_time_is_ended(tmp_path: Path) -> None:
    began = time.monotonic()
    tried = try_in_time(MANY, tmp_path, began, nothing)
    assert tried.trial is None and len(tried.gallery.assets) == 8


@pytest.mark.slow
def test_what_is_wrong_with_a_gallery_is_told_by_its_trial(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/.*\.jpg: No such file"):
        try_in_time(MANY, tmp_path, time.monotonic() + 120, nothing)
