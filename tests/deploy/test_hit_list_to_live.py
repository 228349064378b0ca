"""One family goes from the hit list to live records; nobody types a prompt."""

import json
from pathlib import Path

import pytest
from PIL import Image

from regional_gpu.generator.encode import decode
from regional_gpu.generator.score import psnr
from tests.deploy.family_world import family_world
from tests.origin.signs import write_gallery

pytestmark = pytest.mark.slow


async def test_from_the_list_to_what_a_shopper_gets(tmp_path: Path) -> None:
    shop = write_gallery(tmp_path / "shop")
    pictures = tmp_path / "pictures"
    (pictures / "signs").mkdir(parents=True)
    for picture in shop.glob("*.png"):
        picture.rename(pictures / "signs" / picture.name)
    Image.linear_gradient("L").save(pictures / "banner.png")
    log = tmp_path / "access.log"
    names = sorted(one.name for one in (pictures / "signs").iterdir())
    line = (
        '::1 - - [20/Nov/2026:10:00:00 +0000] "GET /rumba/signs/{} HTTP/1.1" 200 900 "-" "-" MISS'
    )
    log.write_text("\n".join(line.format(name) for name in names) + "\n")
    into, taken = tmp_path / "analysis", tmp_path / "taken"
    # The origin was started with a gallery that has none of these pictures.
    async with family_world(tmp_path / "state", shop, pictures) as world:
        listed = tmp_path / "list.json"
        words = ("analyse", f"rumba={pictures}", "--logs", str(log), "--into", str(into))
        await world.operator(*words, "--workers", "1", "--json", str(listed))
        (hit,) = json.loads(listed.read_text())["hits"]
        assert hit["images"] == len(names) and hit["misses"] == 30 * len(names)
        await world.operator("take", hit["id"], "--out", str(taken), "--into", str(into))
        await world.operator("qa", "approve", "--all", "--by", "Ada")
        assert (await world.publish())["published"] == len(names)
        for name in names:
            answer = await world.rehydrated(f"/rumba/signs/{name}")
            assert f" {hit['name']} " in answer.headers["surrogate-key"]
            original = decode((pictures / "signs" / name).read_bytes())
            assert psnr(original, decode(answer.content)) > 30
