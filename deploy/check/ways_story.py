"""What an operator chooses for a family, as shoppers see it: a replica in the region, and back."""

import asyncio
import time
from collections.abc import Callable, Mapping

import httpx2

from deploy.check.world import World, expect
from deploy.layout import PROPERTIES
from deploy.parts import PROPERTY
from kvsync.property import Ways
from origin.database import Database
from origin.sync.ways import set_ways

_PATIENCE_S = 60.0
_LOOK_S = 0.2


async def replica_and_back(world: World) -> str:
    family = (await world.record(world.fresh())).body.family
    try:
        obeyed_ms, told = await _choose(
            world, {family: Ways("economical", "replica")}, lambda detail: detail != "rehydrated"
        )
        if told != "replica":  # It has to be pulled first.
            await _until(world, lambda detail: detail == "replica")
        await _all_pulled(world)
        seen = await _without_origin(world)
    finally:
        back_ms, _ = await _choose(world, {}, lambda detail: detail == "rehydrated")
    return f"{seen}; obeyed after {obeyed_ms:.0f} ms, and back after {back_ms:.0f} ms"


async def _all_pulled(world: World) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while await world.count(world.place.ports.agent, "sync_replica_missing"):
        expect(time.monotonic() < deadline, f"originals missing after {_PATIENCE_S:.0f} s")
        await asyncio.sleep(_LOOK_S)


async def _without_origin(world: World) -> str:
    """The original's very bytes, with nothing but the region left."""
    path, before = world.fresh(), await world.link_bytes("images")
    world.kill("origin", "region")
    answer = await world.get(path)
    for name in ("origin", "region"):
        world.running(name).start()
        await world.running(name).wait_ready()
    expect(answer.content == world.original(path), f"{answer.status_code}, other bytes")
    expect(_detail(answer) == "replica", answer.headers["cache-status"])
    expect(await world.link_bytes("images") == before, "image bytes on the middle mile")
    return "the original from the region, without origin and GPU"


async def _choose(
    world: World, ways: Mapping[str, Ways], obeyed: Callable[[str], bool]
) -> tuple[float, str]:
    """Milliseconds until the edge answers a miss as ``ways`` say, and what it says then."""
    url, begun = world.system.origin_environment()["ORIGIN_DATABASE_URL"], time.monotonic()
    await asyncio.to_thread(_set, url, ways)
    detail = await _until(world, obeyed)
    return (time.monotonic() - begun) * 1_000, detail


async def _until(world: World, holds: Callable[[str], bool]) -> str:
    path, deadline = world.fresh(), time.monotonic() + _PATIENCE_S
    while True:
        await world.purge_edge(tags=[world.key(path).hex()])
        detail = _detail(await world.get(path))
        if holds(detail):
            return detail
        expect(time.monotonic() < deadline, f"still {detail} after {_PATIENCE_S:.0f} s")


def _set(url: str, ways: Mapping[str, Ways]) -> None:
    database = Database(url)
    try:
        set_ways(database, PROPERTIES, PROPERTY, ways)
    finally:
        database.close()


def _detail(answer: httpx2.Response) -> str:
    """Where an answer came from, as its Cache-Status says."""
    _, _, detail = answer.headers.get("cache-status", "").rpartition("detail=")
    return detail.strip('"')
