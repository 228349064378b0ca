"""Three agents in processes of their own, each told of the next as `up --regions 3` tells it: what
one cannot hear from the origin another passes on."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from msgspec.structs import replace

from deploy import parts
from deploy.faults import HEALTHY, Fault, FaultProxy
from deploy.layout import HOST, PROPERTIES, REGIONS, SAMPLE, State, free_ports
from deploy.link import Route
from deploy.parts import PROPERTY
from deploy.processes import Part, Running
from edge.held import HeldEntries
from edge.records import Records
from kvsync.errors import NotRenewed
from kvsync.log import Heartbeat, Put
from kvsync.property import Property, read_property
from kvsync.record import Record
from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore
from origin.database import Database, next_seq
from origin.sync.outbox import append
from origin.sync.tokens import admit
from tests.kvsync.golden import example_body

pytestmark = pytest.mark.slow
NAMES = REGIONS[:3]
KEY = bytes(16)
_PATIENCE_S = 60.0


@dataclass
class Region:
    """The way to the origin, the agent, and what an edge beside it reads."""

    way: FaultProxy
    agent: str
    store: ValkeyStore
    records: Records


@dataclass
class Regions:
    site: Property
    keys: Keyring
    regions: dict[str, Region]

    async def renewed_at(self, name: str) -> float:
        """The time, by the origin, up to which the region knows of all revocations."""
        signed = (await self.regions[name].store.state(PROPERTY)).heartbeat
        if not signed:
            return 0.0
        return Heartbeat.from_signed(signed, self.keys, property=PROPERTY).at_ms / 1_000

    async def renewed_after(self, name: str, then: float) -> float:
        """Its first heartbeat that is from after ``then``."""
        deadline = time.monotonic() + _PATIENCE_S
        while (found := await self.renewed_at(name)) <= then:
            assert time.monotonic() < deadline, f"{name} knows of nothing after {then:.0f}"
            await asyncio.sleep(0.05)
        return found

    async def read(self, name: str, now: float) -> Record | None:
        return await self.regions[name].records.find(self.site, KEY, now=now)

    async def relayed(self, name: str) -> bool:
        async with httpx2.AsyncClient(timeout=_PATIENCE_S, trust_env=False) as client:
            text = (await client.get(self.regions[name].agent + "/metrics")).text
        return f'sync_relayed_heartbeats_total{{property="{PROPERTY}"}}' in text


async def test_a_region_without_the_origin_goes_on_by_what_the_next_one_knows(
    tmp_path: Path,
) -> None:
    async with three_strict_regions(tmp_path) as world:
        cut, others = NAMES[0], NAMES[1:]
        bound_s = world.site.goes_on_s
        for name in NAMES:
            assert await world.read(name, time.time()) is not None
        await world.regions[cut].way.become(Fault("refuse"))
        cut_at = time.time() + 1  # What was on its way may still come.
        passed_on = await world.renewed_after(cut, cut_at)
        assert await world.relayed(cut)
        assert await world.read(cut, cut_at + bound_s) is not None
        assert passed_on > cut_at

        for name in others:
            await world.regions[name].way.become(Fault("refuse"))
        gone_at = time.time() + 1
        for name in NAMES:
            with pytest.raises(NotRenewed):
                await world.read(name, gone_at + bound_s)
        await world.regions[others[-1]].way.become(HEALTHY)
        again = [await world.renewed_after(name, gone_at) for name in NAMES]
        for name, renewed_at in zip(NAMES, again, strict=True):
            assert await world.read(name, renewed_at + bound_s - 1) is not None


@asynccontextmanager
async def three_strict_regions(folder: Path) -> AsyncIterator[Regions]:
    """Origin, and per region a store and an agent, on a property with one record."""
    state = State(folder / "var")
    state.prepare(NAMES)
    key = SigningKey.load_or_create(state.signing_key)
    keys = Keyring((key.trusted_for([PROPERTY]),))
    keys.write(state.trusted_keys)
    site = _strict_property(folder / "properties")
    streams, origin, *ports = free_ports(2 + 2 * len(NAMES))
    stores, agents = (dict(zip(NAMES, some, strict=True)) for some in (ports[::2], ports[1::2]))
    environment = _origin_environment(state, folder, origin, streams)
    every = [
        parts.valkey("streams", state.streams, streams),
        parts.python("origin", "origin", origin, environment, "serve"),
    ]
    regions: dict[str, Region] = {}
    for at, name in enumerate(NAMES):
        way = FaultProxy(Route(name, 0, HOST, origin))
        await way.start()
        url = parts.redis_url(stores[name])
        regions[name] = Region(
            way,
            parts.http(agents[name]),
            ValkeyStore(url, timeout_s=20),
            _records(folder, url, keys),
        )
        told = parts.agent_environment(
            name,
            agents[name],
            state.trusted_keys,
            folder=state.region(name),
            token=admit(Path(environment["ORIGIN_REGION_TOKENS"]), name, [PROPERTY]),
            properties=[PROPERTY],
            store=url,
            origin=parts.http(way.route.port),
            gpus=(),
            edge_admins=(),
        )
        told["SYNC_NEIGHBOURS"] = parts.http(agents[NAMES[(at + 1) % len(NAMES)]])
        told["SYNC_POLL_S"] = "0.2"
        every += [
            parts.valkey(f"{name}-valkey", state.region(name) / "valkey", stores[name]),
            parts.python(f"{name}-agent", "kvsync", agents[name], told),
        ]
    world = Regions(site, keys, regions)
    try:
        async with _running(every, folder):
            seq = _publish(environment["ORIGIN_DATABASE_URL"], key)
            for name, region in regions.items():
                await _until_there(region.store, seq)
                # Which comes after what it is of.
                await world.renewed_after(name, 0)
            yield world
    finally:
        for region in regions.values():
            await region.way.close()
            await region.records.close()
            await region.store.close()


def _origin_environment(state: State, folder: Path, port: int, streams: int) -> dict[str, str]:
    return {
        **state.origin_environment(),
        "ORIGIN_HOST": HOST,
        "ORIGIN_PORT": str(port),
        "ORIGIN_PROPERTIES_DIR": str(folder / "properties"),
        "ORIGIN_DAM": f"{PROPERTY}=folder:{SAMPLE / 'gallery'}",
        "ORIGIN_GALLERIES": "",
        "ORIGIN_LOG_URL": parts.redis_url(streams),
    }


@asynccontextmanager
async def _running(every: list[Part], folder: Path) -> AsyncIterator[None]:
    running = [Running(one, folder / "log" / f"{one.name}.log") for one in every]
    with parts.all_running(running):
        await parts.wait_ready(running, seconds=_PATIENCE_S)
        yield


def _strict_property(folder: Path) -> Property:
    folder.mkdir()
    file = folder / f"{PROPERTY}.toml"
    file.write_text(f"strict = true\n{(PROPERTIES / file.name).read_text()}")
    return read_property(file)


def _records(folder: Path, store_url: str, keys: Keyring) -> Records:
    """As an edge reads them that keeps nothing by itself."""
    name = store_url.rpartition(":")[2].partition("/")[0]
    held = HeldEntries(folder / f"held-{name}", 1 << 20)
    return Records(ValkeyStore(store_url, timeout_s=20), held, keys, timeout_s=20, rest_s=0.01)


def _publish(database_url: str, key: SigningKey) -> int:
    database = Database(database_url)
    with database.writing() as session:
        seq = next_seq(session, PROPERTY)
        body = replace(example_body(), key=KEY, property=PROPERTY, seq=seq, not_after=2**40)
        append(session, PROPERTY, [Put(seq, KEY, body.sign(key))])
    database.close()
    return seq


async def _until_there(store: ValkeyStore, seq: int) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while int.from_bytes((await store.state(PROPERTY)).cursor[:8], "big") < seq:
        assert time.monotonic() < deadline, f"{seq} has not come"
        await asyncio.sleep(0.02)
