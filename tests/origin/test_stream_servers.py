"""The log's streams on one server, on a cluster and over TLS."""

import asyncio
import time
from pathlib import Path

import pytest

from kvsync.errors import InputError, Trimmed
from kvsync.report import PropertyReport, RegionReport
from origin.database import Database, ensure_property
from origin.sync.reports import Reports
from origin.sync.stream import LogStream
from tests.kvsync.cluster_server import cluster_url
from tests.kvsync.tls_server import tls_url
from tests.origin.log_world import SHOP, LogWorld

__all__ = ["cluster_url", "tls_url"]


@pytest.fixture(params=["store_url", "cluster_url", "tls_url"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> LogWorld:
    url = request.getfixturevalue(request.param)
    made = LogWorld(Database(f"sqlite:///{tmp_path}/origin.db"), url, max_bytes=1_000)
    stream = LogStream(url)
    await stream.begin(SHOP, 0)  # Servers are shared by tests.
    await stream.close()
    return made


async def test_the_log_is_sealed_read_and_trimmed(world: LogWorld) -> None:
    for number in range(12):
        world.publish(number)
        await world.seal()
        assert (await world.read(number)).batches
    with pytest.raises(Trimmed):
        await world.read(0)


async def test_a_waiting_reader_hears_of_what_comes(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    stream = LogStream(world.url)
    began = time.monotonic()
    waiting = asyncio.create_task(stream.read(SHOP, 1, 9_000))
    await asyncio.sleep(0.2)
    world.publish(2)
    await world.seal()
    assert len((await waiting).batches) == 1 and time.monotonic() - began < 8
    assert (await stream.read(SHOP, 2, 50)).batches == ()
    await stream.close()


async def test_a_lost_stream_is_made_again(world: LogWorld) -> None:
    world.publish(1, 2)
    await world.seal()
    before = await world.read()
    stream = LogStream(world.url)
    await stream.begin(SHOP, 0)
    await world.seal()
    assert (await world.read()).batches == before.batches
    await stream.close()


async def test_what_regions_say_is_kept_by_property(world: LogWorld) -> None:
    with world.database.writing() as session:
        ensure_property(session, "hats")
    stream = LogStream(world.url)
    reports = Reports(stream)
    said = {name: PropertyReport(3, 3, 3, 1) for name in (SHOP, "hats")}
    await reports.keep(RegionReport("asia-east", 1, said), [SHOP, "hats"], 1_000)
    for name in said:
        assert (await reports.of(name))["asia-east"].report == said[name]
        before = (await reports.asked([name])).get(name, 0)
        assert await reports.ask_to_compare(name) == before + 1
    assert set(await reports.asked([SHOP, "hats", "shoes"])) == {SHOP, "hats"}
    await stream.close()


@pytest.mark.parametrize("url", ["", "shop", "redis://h:port", "redis+cluster://h:port"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(InputError, match="ORIGIN_LOG_URL"):
        LogStream(url)


@pytest.mark.slow
async def test_a_reader_may_wait_longer_than_an_answer_may_take(world: LogWorld) -> None:
    world.publish(1)
    await world.seal()
    stream = LogStream(world.url)
    assert (await stream.read(SHOP, 1, 6_000)).batches == ()
    await stream.close()
