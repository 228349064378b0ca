"""One in so many delivered files is decoded again: an encoder that errs is found out."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from kvsync.record import PromptRecipe
from kvsync.rendition import ImageFormat, Still
from regional_gpu.generator.delivered import compare_delivered
from regional_gpu.generator.encode import Encoded, encode
from regional_gpu.generator.fingerprint import fingerprint
from regional_gpu.service import region
from tests.regional_gpu.region_world import Painter, paint, reason, region_world

FULL, NARROW = Still("jpeg", 768, 92), Still("jpeg", 256, 85)
MASKS = Painter().masks("")


def darkened(pixels: NDArray[np.uint8], still: Still) -> Encoded:
    return encode(pixels // 2, still)


async def test_one_in_a_hundred_is_checked_and_the_first_among_them(tmp_path: Path) -> None:
    async with region_world(tmp_path) as world:
        for seed in range(3):
            answer = await world.ask(world.record(f"laces {seed}"), deadline_ms=60_000)
            assert answer.status_code == 200
        assert await world.metric("region_decoded_checks_total", outcome="passed") == 1


@pytest.mark.parametrize("still", [FULL, NARROW])
async def test_a_file_that_is_not_the_picture_is_no_answer_and_not_kept(
    tmp_path: Path, still: Still, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region, "encode", darkened)
    async with region_world(tmp_path) as world:
        assert reason(await world.ask(still=still, deadline_ms=60_000)) == (502, "fingerprint")
        assert await world.metric("region_decoded_checks_total", outcome="refused") == 1
        assert await world.metric("region_fingerprint_mismatches_total") == 1
        assert await world.metric("region_rendition_cache_bytes") == 0


@pytest.fixture(scope="module")
def picture() -> NDArray[np.uint8]:
    return paint(PromptRecipe(bytes(32), "red laces", 1, 768, 768))


@pytest.mark.parametrize("width", [64, 128, 256, 512, 768])
@pytest.mark.parametrize("form", ["jpeg", "webp", "avif"])
def test_a_sound_file_matches_at_every_width(
    form: ImageFormat, width: int, picture: NDArray[np.uint8]
) -> None:
    data = encode(picture, Still(form, width, 80)).data
    found = compare_delivered(data, picture, MASKS, fingerprint(picture, MASKS))
    assert found.matches, found


@pytest.mark.parametrize("still", [FULL, NARROW])
def test_a_file_cut_short_or_of_another_shape_matches_nothing(
    still: Still, picture: NDArray[np.uint8]
) -> None:
    approved = fingerprint(picture, MASKS)
    whole = encode(picture, still).data
    assert not compare_delivered(whole[: len(whole) // 2], picture, MASKS, approved).matches
    lower = encode(picture[:600], still).data
    assert not compare_delivered(lower, picture, MASKS, approved).matches


@pytest.mark.parametrize("form", ["jpeg", "webp", "avif"])
@pytest.mark.parametrize("quality", [50, 91])
def test_thin_coloured_lines_match_at_every_quality(form: ImageFormat, quality: int) -> None:
    down, across = np.mgrid[:256, :256]
    lined = np.full((256, 256, 3), 245, np.uint8)
    lined[(down + across) % 64 < 3] = (200, 20, 40)
    data = encode(lined, Still(form, 256, quality)).data
    found = compare_delivered(data, lined, MASKS, fingerprint(lined, MASKS))
    assert found.matches, found


def test_a_small_block_in_a_file_of_good_quality_matches_nothing(
    picture: NDArray[np.uint8],
) -> None:
    spoiled = picture.copy()
    spoiled[300:364, 300:364] = 0
    data = encode(spoiled, FULL).data
    assert not compare_delivered(data, picture, MASKS, fingerprint(picture, MASKS)).matches
