from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from ssimulacra2 import compute_ssimulacra2

from kvsync.errors import InputError
from regional_gpu.generator.encode import decode
from regional_gpu.generator.score import error_map, psnr, ssimulacra2

Pixels = NDArray[np.uint8]

MASTER = Path("origin/samples/rumba/masters/rumba_orange_red_front.png")


@pytest.fixture(scope="module")
def crop() -> Pixels:
    """A 320x301 piece of a real picture, odd in one side so that every scale has a ragged edge."""
    return decode(MASTER.read_bytes())[230:550, 250:551]


def by_the_package(reference: Pixels, image: Pixels) -> float:
    files = []
    for pixels in (reference, image):
        files.append(BytesIO())
        Image.fromarray(pixels).save(files[-1], "png")
    return float(compute_ssimulacra2(*files))


def damaged(pixels: Pixels, damage: str) -> Pixels:
    form, _, quality = damage.partition(" ")
    if form == "noise":
        rng = np.random.default_rng(0)
        noisy = pixels + rng.normal(0, float(quality), pixels.shape)
        return noisy.round().clip(0, 255).astype(np.uint8)
    if form == "shift":
        return np.roll(pixels, int(quality), axis=1)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, form, quality=int(quality))
    return decode(buffer.getvalue())


@pytest.mark.parametrize(
    "damage",
    ["jpeg 95", "jpeg 88", "jpeg 40", "jpeg 5", "webp 85", "avif 80", "noise 1", "noise 9"],
)
def test_scores_are_those_of_the_reference_package(crop: Pixels, damage: str) -> None:
    image = damaged(crop, damage)
    assert ssimulacra2(crop, image) == pytest.approx(by_the_package(crop, image), abs=0.1)


@pytest.mark.parametrize("shape", [(8, 8), (37, 200), (120, 90), (9, 64)])
def test_small_pictures_leave_out_the_same_scales(crop: Pixels, shape: tuple[int, int]) -> None:
    small = np.ascontiguousarray(crop[: shape[0], : shape[1]])
    image = damaged(small, "jpeg 70")
    assert ssimulacra2(small, image) == pytest.approx(by_the_package(small, image), abs=0.1)


@pytest.mark.slow
def test_a_full_size_picture_scores_as_the_reference_package_says() -> None:
    master = decode(MASTER.read_bytes())
    gallery = decode(Path("origin/samples/rumba/gallery/rumba_orange_red_front.jpg").read_bytes())
    assert ssimulacra2(master, gallery) == pytest.approx(by_the_package(master, gallery), abs=0.1)


def test_an_identical_picture_scores_100(crop: Pixels) -> None:
    assert ssimulacra2(crop, crop) == pytest.approx(100, abs=0.001)
    assert psnr(crop, crop) == float("inf")


def test_more_damage_scores_less(crop: Pixels) -> None:
    scores = [ssimulacra2(crop, damaged(crop, d)) for d in ("jpeg 95", "jpeg 70", "shift 4")]
    assert scores == sorted(scores, reverse=True)


def test_psnr_of_one_level_everywhere() -> None:
    grey = np.full((4, 4, 3), 100, np.uint8)
    assert psnr(grey, grey + 1) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(grey, grey - 100) == pytest.approx(20 * np.log10(255 / 100))


@pytest.mark.parametrize("other", [(4, 4, 3), (16, 16, 4), (16, 16)])
def test_pictures_that_differ_in_shape_are_refused(other: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="cannot compare"):
        ssimulacra2(np.zeros((16, 16, 3), np.uint8), np.zeros(other, np.uint8))


def test_a_picture_under_8_pixels_is_refused() -> None:
    tiny = np.zeros((7, 16, 3), np.uint8)
    with pytest.raises(InputError, match="8 pixels"):
        ssimulacra2(tiny, tiny)


def test_the_error_map_shows_where_the_score_was_lost(crop: Pixels) -> None:
    image = crop.copy()
    image[100:140, 60:100] = np.clip(image[100:140, 60:100].astype(int) + 24, 0, 255)
    faults = error_map(crop, image)
    assert faults.shape == crop.shape[:2]
    # A scale's blur reaches 5 pixels of its own size: 160 of ours at the smallest.
    assert faults[100:140, 60:100].mean() > 20 * faults[:, 280:].mean()


def test_identical_pictures_have_no_errors_on_the_map(crop: Pixels) -> None:
    assert error_map(crop, crop).max() < 1e-3
