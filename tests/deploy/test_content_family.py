"""A family with content from its gallery to a shopper: trained, approved, published, served."""

from pathlib import Path

import pytest

from origin.gallery import read_gallery
from origin.training import train
from regional_gpu.generator.encode import decode
from regional_gpu.generator.score import psnr
from tests.deploy.family_world import family_world
from tests.origin.signs import write_gallery

pytestmark = pytest.mark.slow


async def test_every_sign_is_served_by_its_region_as_it_was_approved(tmp_path: Path) -> None:
    folder, model = write_gallery(tmp_path / "gallery"), tmp_path / "model"
    gallery = read_gallery(folder)
    train(gallery, model, progress=lambda doing, done: None)
    async with family_world(tmp_path / "state", folder, folder) as world:
        said = await world.operator("dehydrate", "--gallery", str(folder), "--model", str(model))
        assert any(line.startswith("21 proposed") for line in said), said
        await world.operator("qa", "approve", "--all", "--by", "Ada")
        assert (await world.publish())["published"] == len(gallery.assets)
        for asset in gallery.assets:
            answer = await world.rehydrated(f"/rumba/{asset.file}")
            assert psnr(gallery.pixels(asset), decode(answer.content)) > 30
