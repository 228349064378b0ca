"""The stories of several regions, walked by ``up --check --regions N`` with N above 1."""

import asyncio
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import httpx2

from deploy.check.stories import Story
from deploy.check.world import World, expect
from deploy.layout import SAMPLE
from deploy.parts import PROPERTY, operator
from deploy.sample import approved_paths, some_of_gallery
from regional_gpu.generator.model_folder import describe

_ASK_EVERY_S = 0.2
_ROUNDS_PER_PURGE = 5
_STEADY = 8
_AFTERWARDS_S = 2.0


async def served_in_every_region(world: World) -> str:
    path = world.fresh()
    places = (world, *world.elsewhere)
    before = [await _image_bytes(one) for one in places]
    for one in places:
        one.expect_rehydrated(path, await one.get(path))
    crossed = [await _image_bytes(one) for one in places]
    expect(crossed == before, f"image bytes on the links: {before}, then {crossed}")
    return f"rehydrated in {len(places)} regions, 0 image bytes on their links"


async def revoked_in_every_region(world: World) -> str:
    path = world.fresh()
    places = (world, *world.elsewhere)
    for one in places:
        one.expect_rehydrated(path, await one.get(path))
    lines = await _operator(world, "revoke", path, "--reason", "check")
    for one in places:
        one.expect_original(path, await one.get(path), "revoked")
    return f"the original in {len(places)} regions; {lines[0]}"


async def next_region_stands_in(world: World) -> str:
    path, before = world.fresh(), await world.link_bytes("region")
    world.kill("region")
    seen = world.expect_rehydrated(path, await world.get(path))
    crossed = await world.link_bytes("region") - before
    expect(crossed > 0, "nothing came from the next region")
    return f"{seen}, {crossed} bytes from {world.elsewhere[0].place.name}"


async def in_step_through_an_update(world: World) -> str:
    places = (world, *world.elsewhere)
    model, gallery = (world.system.state.folder / name for name in ("next-model", "gallery"))
    _same_pictures_by_another_name(model)
    published = approved_paths(world.system.approved)
    some_of_gallery(SAMPLE, {PurePosixPath(path).name for path in published}, gallery)
    digest = describe(model).digest
    paths = [world.fresh() for _ in range(_STEADY)]
    shopping = [asyncio.create_task(_shop(one, paths)) for one in places]
    try:
        options = ("--gallery", str(gallery), "--out", str(model), "--trained")
        await _operator(world, "model", "update", *options)
        await _operator(world, "publish")
        await asyncio.sleep(_AFTERWARDS_S)
    finally:
        for task in shopping:
            task.cancel()
        ended = await asyncio.gather(*shopping, return_exceptions=True)
    wrong = [str(one) for one in ended if not isinstance(one, asyncio.CancelledError)]
    expect(not wrong, f"a request was not served: {'; '.join(wrong)}")
    bodies = [[(await one.record(path)).body for path in paths] for one in places]
    expect(all(each == bodies[0] for each in bodies), "regions hold different records")
    models = {body.recipe.model for each in bodies for body in each}
    expect(models == {digest}, f"records of {len(models)} models, or of another one")
    for one in places:
        one.expect_rehydrated(paths[0], await _anew(one, paths[0]))
    return f"{len(places)} regions by model {digest.hex()[:8]}, every request served"


REGION_STORIES: tuple[Story, ...] = (
    Story("approved once", "served in every region", served_in_every_region, "region"),
    Story("revoked once", "gone in every region", revoked_in_every_region, "valkey"),
    Story("a region's service killed", "the next region's", next_region_stands_in, "link"),
    Story("model updated", "regions in step, all served", in_step_through_an_update, "origin"),
)


async def _image_bytes(world: World) -> tuple[int, int]:
    """What came over a region's link from the origin and from the next region."""
    return await world.link_bytes("images"), await world.link_bytes("region")


async def _operator(world: World, *words: str) -> list[str]:
    return await operator(world.system.origin_environment(), *words, "--property", PROPERTY)


def _same_pictures_by_another_name(folder: Path) -> None:
    """The sample's model, written differently: another digest, the same pictures."""
    shutil.copytree(SAMPLE / "model", folder)
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()), separators=(",", ":")))


async def _shop(world: World, paths: Sequence[str]) -> None:
    """Ask for one picture after the other, over and over, from caches emptied now and then."""
    for turn in range(sys.maxsize):
        if turn % _ROUNDS_PER_PURGE == 0:
            await world.purge_edge(everything=True)
        answer = await world.get(paths[turn % len(paths)])
        expect(answer.status_code == 200, f"{world.place.name}: {answer.status_code}")
        await asyncio.sleep(_ASK_EVERY_S)


async def _anew(world: World, path: str) -> httpx2.Response:
    await world.purge_edge(tags=[world.key(path).hex()])
    return await world.get(path)
