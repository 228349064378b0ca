"""What an edge counts is what goes over its wires, and it outlives the process that counted."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from kvsync.ledger import (
    MOST_CROSSED,
    Answers,
    Crossed,
    Minute,
    Open,
    Row,
    decode_minutes,
    encode_names,
)
from kvsync.spool import Spool
from tests.edge.test_edge_workers import Pop
from tests.edge.world import HOST, World

GET = "GET {} HTTP/1.1\r\nHost: localhost\r\nAccept: image/jpeg\r\nConnection: close\r\n\r\n"


async def received(port: int, path: str, request: str = GET) -> int:
    """How many bytes came in answer to a request, until the end of the connection."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request.format(path).encode())
    size = len(await reader.read())
    writer.close()
    return size


async def answered(world: World, path: str) -> int:
    """How long the origin's own answer is."""
    async with httpx2.AsyncClient() as client:
        answer = await client.get(world.origin.url + path)
    head = b"".join(b"%b: %b\r\n" % one for one in answer.headers.raw)
    return len(b"HTTP/1.1 200 OK\r\n\r\n") + len(head) + len(answer.content)


async def counted(world: World) -> list[Row]:
    """All rows, once the edge has ended."""
    await world.stop_edge()
    spool = Spool(world.settings["cache_dir"] / "ledger", 3_600.0)
    return [row for minute in spool.oldest(1 << 20) for row in minute.rows]


def answers(rows: list[Row], outcome: str) -> Answers:
    (found,) = (row for row in rows if isinstance(row, Answers) and row.outcome == outcome)
    return found


async def test_a_rehydrated_answer_and_its_hits_are_counted_with_their_family(
    world: World,
) -> None:
    await world.publish("/a.jpg")
    sizes = [await received(world.port, "/a.jpg") for _ in range(3)]
    rows = await counted(world)
    made, hits = answers(rows, "rehydrated"), answers(rows, "hit")
    assert (made.family, hits.family) == ("rumba", "rumba")
    assert (made.answers, hits.answers) == (1, 2)
    # The server adds what ends the connection, which browsers do not ask for.
    added = len(b"connection: close\r\n")
    assert (made.client_bytes, hits.client_bytes) == (sizes[0] - added, sum(sizes[1:]) - 2 * added)
    assert (made.misses, made.middle_mile_bytes, hits.misses) == (1, 0, 0)
    assert (made.generate_ms, made.queue_ms) == (20.5, 1.0)


async def test_what_was_avoided_is_what_hauling_would_have_taken(world: World) -> None:
    world.origin.bodies["/b.jpg"] = bytes(5_000)
    await world.get("/b.jpg")  # has no record: the origin's head is known from now on
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    straight = {path: await answered(world, path) for path in ("/a.jpg", "/b.jpg")}
    rows = await counted(world)
    hauled, made = answers(rows, "origin"), answers(rows, "rehydrated")
    assert hauled.reason == "no-record"
    assert hauled.middle_mile_bytes == hauled.avoidable_bytes
    # The request went over the link as well: what the edge adds to a browser's is its own affair.
    assert 100 < hauled.middle_mile_bytes - straight["/b.jpg"] < 500
    # Of another asset the length's digits, and the key in its tag, may be others.
    assert made.avoidable_bytes == pytest.approx(straight["/a.jpg"], abs=4)


async def test_before_the_origin_was_heard_its_head_is_the_propertys_template(
    world: World,
) -> None:
    await world.publish("/a.jpg")
    await world.get("/a.jpg")
    original = len(world.origin.bodies["/a.jpg"])
    assert 200 < answers(await counted(world), "rehydrated").avoidable_bytes - original < 1_000


async def test_a_rendition_that_the_region_has_is_no_miss_of_the_region(world: World) -> None:
    await world.publish("/a.jpg")
    world.region.has_it = True
    await world.get("/a.jpg")
    made = answers(await counted(world), "rehydrated")
    assert (made.answers, made.misses, made.avoidable_bytes, made.generate_ms) == (1, 0, 0, 0)


async def test_the_assets_that_cost_most_are_named(world: World) -> None:
    sizes = {f"/{number:03}.jpg": 100 * number for number in range(1, MOST_CROSSED + 6)}
    world.origin.bodies |= {path: bytes(size) for path, size in sizes.items()}
    for path in sizes:
        await world.get(path)
    crossed = [row for row in await counted(world) if isinstance(row, Crossed)]
    assert [row.asset for row in crossed] == sorted(sizes, reverse=True)[:MOST_CROSSED]
    assert all(row.middle_mile_bytes > sizes[row.asset] and row.misses == 1 for row in crossed)


async def test_what_the_origin_sent_and_nobody_kept_has_crossed_all_the_same(
    world: World,
) -> None:
    world.origin.bodies["/streamed.jpg"] = bytes(200_000)
    world.origin.status = 500
    await world.get("/streamed.jpg")
    rows = [row for row in await counted(world) if isinstance(row, Answers)]
    assert sum(row.middle_mile_bytes for row in rows) > 200_000


async def test_a_peer_left_alone_is_counted_by_the_second(world: World) -> None:
    await world.stop_edge()
    await world.start_edge(region_rest_ms=60_000)
    world.region.kill()
    for number in range(4):
        await world.publish(f"/{number}.jpg")
        await world.get(f"/{number}.jpg")
    await asyncio.sleep(1.2)
    rows = [row for row in await counted(world) if isinstance(row, Open)]
    assert [row.peer for row in rows] == [world.region.url]
    assert rows[0].open_s >= 1


@pytest.fixture
async def pop(tmp_path: Path) -> AsyncIterator[Pop]:
    pop = Pop(tmp_path)
    await pop.start()
    yield pop
    await pop.stop()


async def test_a_killed_worker_loses_its_minute_and_nothing_else(pop: Pop) -> None:
    for number in range(60):
        await pop.get(f"/{number}.jpg")
    os.kill(pop.workers[0], signal.SIGKILL)
    pop.process.terminate()
    await asyncio.wait_for(pop.process.wait(), 60)
    before = spooled(pop)
    # One more answer said that the workers had started.
    assert 0 < sum(map(answers_of, before)) <= 61
    await pop.start_edge()
    url = f"http://{HOST}:{pop.admin_port}/v1/ledger"
    async with httpx2.AsyncClient() as client:
        told = decode_minutes((await client.get(url)).content)
        assert {one.name for one in told} == {one.name for one in before}
        names = encode_names([one.name for one in told])
        for dropped in (len(told), 0):
            assert (await client.post(url, content=names)).json() == {"dropped": dropped}
        assert decode_minutes((await client.get(url)).content) == ()
        assert (await client.post(url, content=b"\xc1")).status_code == 400


def spooled(pop: Pop) -> list[Minute]:
    return Spool(Path(pop.environment["EDGE_CACHE_DIR"]) / "ledger", 3_600.0).oldest(1 << 20)


def answers_of(minute: Minute) -> int:
    return sum(row.answers for row in minute.rows if isinstance(row, Answers))
