"""Shots from a studio to a shopper: trained, fitted, approved, published, served."""

from pathlib import Path

import pytest

from origin.gallery import read_gallery
from origin.training import train
from regional_gpu.generator.encode import decode
from regional_gpu.generator.score import psnr
from tests.deploy.family_world import family_world
from tests.origin.studio import write_gallery

pytestmark = pytest.mark.slow


# Seeds are chosen by SSIMULACRA2: for one dark shot of 96 pixels not the nearest in decibels.
@pytest.mark.parametrize(
    ("by_seed", "seeds", "steps", "decibels"), [(False, "1", "1", 27), (True, "64", "4", 24)]
)
async def test_every_shot_is_served_by_its_region_as_it_was_approved(
    tmp_path: Path, by_seed: bool, seeds: str, steps: str, decibels: float
) -> None:
    folder, model = write_gallery(tmp_path / "gallery"), tmp_path / "model"
    gallery = read_gallery(folder)
    train(gallery, model, progress=lambda doing, done: None, by_seed=by_seed)
    async with family_world(tmp_path / "state", folder, folder) as world:
        effort = ("--seeds", seeds, "--steps", steps, "--min-score", "0")
        said = await world.operator(
            "dehydrate", "--gallery", str(folder), "--model", str(model), *effort
        )
        assert any(line.startswith("9 proposed") for line in said), said
        await world.operator("qa", "approve", "--all", "--by", "Ada")
        assert (await world.publish())["published"] == len(gallery.assets)
        for asset in gallery.assets:
            answer = await world.rehydrated(f"/rumba/{asset.file}")
            assert psnr(gallery.pixels(asset), decode(answer.content)) > decibels
