"""An agent on real sockets, with a network that breaks on either side of it: before the origin and
before the region's Valkey."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from redis import Redis

from deploy.faults import HEALTHY, HOST, Fault, FaultProxy
from deploy.link import Route
from kvsync.agent.agent import Agent, built
from kvsync.agent.settings import read_settings
from tests.edge.world import Peer
from tests.kvsync.sync_world import (
    PROPERTY,
    OriginStandIn,
    as_published,
    everything,
    key_of,
    sync_world,
    until,
)

Side = Literal["origin", "store"]

FAULTS = {
    "cut": Fault("refuse"),
    # In the midst of an answer: one record has half a kilobyte.
    "reset": Fault("reset", after_bytes=3_000),
    "black hole": Fault("black-hole"),
    "half closed": Fault("half-closed", after_bytes=3_000),
    "slow": Fault(latency_ms=90, bytes_per_s=20_000),
}


@dataclass
class Broken:
    """An origin, a Valkey, and between them an agent whose two ways can be broken."""

    origin: OriginStandIn
    store_url: str
    agent: Agent
    ways: dict[Side, FaultProxy]

    async def settle(self) -> None:
        await until(lambda: self.agent.ready and self._at_head(), within_s=120)
        assert as_published(self.origin, await everything(self.store_url))

    def _at_head(self) -> bool:
        return self.agent.followers[PROPERTY].held.cursor == self.origin.head


@asynccontextmanager
async def breakable(folder: Path, store_url: str) -> AsyncIterator[Broken]:
    world = sync_world(folder)
    world.keys.write(folder / "trusted.json")
    peer = Peer(world.origin.app())
    await peer.start()
    targets: dict[Side, str] = {"origin": peer.url, "store": store_url}
    ways: dict[Side, FaultProxy] = {}
    for side, url in targets.items():
        port = int(url.rpartition(":")[2].partition("/")[0])
        ways[side] = FaultProxy(Route(side, 0, HOST, port))
        await ways[side].start()
    settings = read_settings(
        properties=(PROPERTY,),
        trusted_keys=folder / "trusted.json",
        origin_url=f"http://{HOST}:{ways['origin'].route.port}",
        store_url=f"redis://{HOST}:{ways['store'].route.port}",
        store_timeout_ms=1_000,
        poll_s=0.1,
        report_s=0.1,
        ledger_dir=folder / "ledger",
    )
    async with built(settings) as agent:
        running = asyncio.create_task(agent.run())
        yield Broken(world.origin, store_url, agent, ways)
        assert not running.done(), running
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    for way in ways.values():
        await way.close()
    peer.kill()


@pytest.fixture
def store_url(valkey_url: str) -> str:
    with Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url


@pytest.mark.parametrize("side", ["origin", "store"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_what_is_published_while_a_way_is_broken_arrives(
    tmp_path: Path, store_url: str, side: Side, fault: str
) -> None:
    async with breakable(tmp_path, store_url) as broken:
        broken.origin.publish(*map(key_of, range(20)))
        await broken.settle()
        await broken.ways[side].become(FAULTS[fault])
        for number in range(20, 30):
            broken.origin.publish(key_of(number), key_of(number + 100))
            broken.origin.revoke(key_of(number - 20))
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)
        await broken.ways[side].become(HEALTHY)
        await broken.settle()


async def test_a_record_is_readable_though_the_way_is_slow(tmp_path: Path, store_url: str) -> None:
    async with breakable(tmp_path, store_url) as broken:
        await broken.ways["origin"].become(FAULTS["slow"])
        broken.origin.publish(*map(key_of, range(30)))
        await broken.settle()
