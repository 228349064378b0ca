"""What a rejection teaches the next fit of the same original."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from origin.dehydrate import Effort, fit
from origin.lessons import (
    Lessons,
    NothingLeft,
    Pixels,
    lost_sharpness,
    seen_from_afar,
    worst_patch,
)
from regional_gpu.generator.fingerprint import fingerprint
from regional_gpu.generator.load import Job

NOISE = np.random.default_rng(7)
SHOE = np.zeros((128, 128, 3), np.uint8)
SHOE[40:90, 20:110] = (180, 40, 40)
SHOE += NOISE.integers(0, 12, SHOE.shape, np.uint8)
NO_MASKS = np.zeros((0, 96, 96), np.uint8)


def blurred(picture: Pixels) -> Pixels:
    wide = np.pad(picture.astype(float), ((2, 2), (2, 2), (0, 0)), mode="edge")
    rows = np.mean([wide[at : at + 128] for at in range(5)], axis=0)
    return np.asarray(np.mean([rows[:, at : at + 128] for at in range(5)], axis=0), np.uint8)


def spotted(picture: Pixels) -> Pixels:
    found = picture.copy()
    found[60:72, 60:72] = NOISE.integers(0, 255, (12, 12, 3), np.uint8)
    return found


def tinted(picture: Pixels) -> Pixels:
    return np.asarray(np.clip(picture.astype(int) + (0, 12, 0), 0, 255), np.uint8)


class Album:
    """A generator that has a picture for each seed, and the last one for all others."""

    digest = bytes(32)
    size_bytes = 0

    def __init__(self, *pictures: Pixels) -> None:
        self.pictures = pictures

    def generate(self, jobs: Sequence[Job]) -> list[NDArray[np.uint8]]:
        return [self.pictures[min(job.seed, len(self.pictures) - 1)] for job in jobs]

    def masks(self, prompt: str) -> NDArray[np.uint8]:
        return NO_MASKS


def best_seed(album: Album, seeds: int, lessons: Lessons) -> int:
    return fit(album, "/a.png", "shoe", SHOE, Effort(seeds=seeds), lessons).recipe.seed


def rejected(picture: Pixels, seed: int, reason: str) -> Lessons:
    seen = frozenset({fingerprint(picture, NO_MASKS)})
    return Lessons(frozenset({("shoe", seed)}), seen, frozenset({reason}))


def test_a_rejected_seed_is_not_drawn_again() -> None:
    lessons = Lessons(frozenset({("shoe", 0), ("shoe", 2), ("boot", 1)}))
    assert lessons.fresh_seeds("shoe", 3) == [1, 3, 4]


def test_a_model_that_draws_the_rejected_picture_again_has_nothing_left() -> None:
    album = Album(SHOE)
    with pytest.raises(NothingLeft, match=r"was rejected \(other\)"):
        best_seed(album, 4, rejected(SHOE, 0, "other"))


@pytest.mark.parametrize(
    ("reason", "spoilt", "other"),
    [
        ("wrong colour", tinted(SHOE), spotted(SHOE)),
        ("blurred, the laces most", blurred(SHOE), tinted(tinted(SHOE))),
        ("artefacts", spotted(SHOE), tinted(tinted(SHOE))),
    ],
)
def test_what_was_complained_of_weighs_against_a_picture(
    reason: str, spoilt: Pixels, other: Pixels
) -> None:
    lessons = Lessons(reasons=frozenset({reason}))
    faults = [lessons.penalty(SHOE, one, 0.0 if one is other else 4.0) for one in (spoilt, other)]
    assert faults[0] > faults[1] + 1
    assert Lessons().penalty(SHOE, spoilt, 4.0) == 0


def test_a_shape_is_judged_from_afar() -> None:
    moved = np.roll(SHOE, 12, axis=1)
    assert seen_from_afar(SHOE, moved) > seen_from_afar(SHOE, spotted(SHOE))
    assert Lessons(reasons=frozenset({"wrong shape", "wrong view"})).penalty(
        SHOE, moved, 0.0
    ) == pytest.approx(seen_from_afar(SHOE, moved))


def test_nothing_is_wrong_with_the_original_itself() -> None:
    assert lost_sharpness(SHOE, SHOE) == 0 and worst_patch(SHOE, SHOE) < 0.01


def test_a_wrong_original_waits_for_another() -> None:
    Lessons(reasons=frozenset({"blurred"})).demand_right_original()
    with pytest.raises(NothingLeft, match="supply another"):
        best_seed(Album(SHOE), 2, rejected(blurred(SHOE), 0, "the original is wrong"))
