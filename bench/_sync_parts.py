"""What `bench sync` measures: an origin and three regions as processes on loopback.

::

    bench ── database ── origin ── streams (Valkey)
                           ├── fault proxy ── agent ── Valkey, edge      europe-west
                           ├── fault proxy ── agent ── Valkey, edge      asia-east
                           └── fault proxy ── agent ── Valkey, edge      us-east

No region has a generator: what is synced, held, read and purged does not depend on one.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from deploy import parts
from deploy.faults import Fault
from deploy.layout import HOST, PROPERTIES, REGIONS, SAMPLE, State, free_ports
from deploy.processes import Part, Running
from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore
from origin.database import Database
from origin.sync.tokens import admit

PLACES = REGIONS[:3]
# The middle mile's round trips where there is a WAN, in milliseconds.
RTT_MS = dict(zip(PLACES, (90, 180, 180), strict=True))


@dataclass(frozen=True)
class Place:
    """One region's ports."""

    name: str
    valkey: int
    edge: int
    edge_admin: int
    agent: int
    proxy: int

    @property
    def store_url(self) -> str:
        return parts.redis_url(self.valkey)


@dataclass
class Bench:
    """Everything running; ``stores`` are the regions', ``key`` signs what is published."""

    folder: Path
    state: State
    properties: tuple[str, ...]
    ports: tuple[int, int, int]
    places: tuple[Place, ...]
    key: SigningKey
    running: dict[str, Running]
    database: Database
    stores: Mapping[str, ValkeyStore]

    async def become(self, name: str, fault: Fault) -> None:
        """Break, slow or mend the way of one region to the origin."""
        url = f"{parts.http(self.ports[2])}/routes/{name}"
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            (await client.put(url, content=msgspec.json.encode(fault))).raise_for_status()

    async def log_bytes(self) -> float:
        """Bytes of the log that the origin has sent to all regions."""
        async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
            text = (await client.get(f"{parts.http(self.ports[0])}/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.labels.get("kind") == "log" and "bytes" in sample.name
        )

    @asynccontextmanager
    async def empty_region(self, name: str, property: str) -> AsyncIterator[ValkeyStore]:
        """A further region without anything, whose agent has just been started."""
        place = Place(name, *free_ports(5))
        token = admit(_tokens(self.state), name, [property])
        folder = self.folder / name
        folder.mkdir()
        valkey = Running(parts.valkey("valkey", folder, place.valkey), folder / "valkey.log")
        agent = _agent(self.state, place, token, (property,), parts.http(self.ports[0]), ())
        with parts.all_running([valkey]):
            await valkey.wait_ready()
            store = ValkeyStore(place.store_url, timeout_s=10)
            with parts.all_running([Running(agent, folder / "agent.log")]):
                yield store
            await store.close()


@asynccontextmanager
async def running(folder: Path, properties: tuple[str, ...]) -> AsyncIterator[Bench]:
    """Origin and regions, ready; none of their processes is left behind."""
    state = State(folder / "var")
    state.prepare(PLACES)
    key = SigningKey.load_or_create(state.signing_key)
    Keyring((key.trusted_for(properties),)).write(state.trusted_keys)
    _write_properties(folder / "properties", properties)
    first, *others = _ports(3), *(free_ports(5) for _ in PLACES)
    places = tuple(Place(name, *ports) for name, ports in zip(PLACES, others, strict=True))
    every = list(_parts(folder, state, properties, first, places))
    started = {one.name: Running(one, folder / "log" / f"{one.name}.log") for one in every}
    stores = {place.name: ValkeyStore(place.store_url, timeout_s=10) for place in places}
    with parts.all_running(started.values()):
        await parts.wait_ready(started.values(), seconds=180)
        database = Database(state.origin_environment()["ORIGIN_DATABASE_URL"])
        yield Bench(folder, state, properties, first, places, key, started, database, stores)
        database.close()
        for store in stores.values():
            await store.close()


def _ports(count: int) -> tuple[int, int, int]:
    origin, streams, control = free_ports(count)
    return origin, streams, control


def _parts(
    folder: Path,
    state: State,
    properties: tuple[str, ...],
    ports: tuple[int, int, int],
    places: tuple[Place, ...],
) -> Iterator[Part]:
    origin, streams, control = ports
    yield parts.valkey("streams", state.streams, streams)
    environment = {
        **state.origin_environment(),
        "ORIGIN_HOST": HOST,
        "ORIGIN_PORT": str(origin),
        "ORIGIN_PROPERTIES_DIR": str(folder / "properties"),
        "ORIGIN_DAM": f"{properties[0]}=folder:{SAMPLE / 'gallery'}",
        "ORIGIN_GALLERIES": "",
        "ORIGIN_LOG_URL": parts.redis_url(streams),
        # Nothing here is made of these originals.
        "ORIGIN_DAM_WATCH_S": "0",
    }
    yield parts.python("origin", "origin", origin, environment, "serve")
    routes = {place.name: (place.proxy, origin) for place in places}
    asked = parts.http(control) + "/routes"
    yield parts.relay("proxy", "deploy.faults", routes, asked, "--control-port", str(control))
    for place in places:
        yield from _region(folder, state, properties, place)


def _region(
    folder: Path, state: State, properties: tuple[str, ...], place: Place
) -> Iterator[Part]:
    own = state.region(place.name)
    yield parts.valkey(f"{place.name}-valkey", own / "valkey", place.valkey)
    edge = parts.edge_environment(
        own / "edge",
        (place.edge, place.edge_admin),
        state.trusted_keys,
        store=place.store_url,
        regions=[],
        origin=parts.http(place.proxy),
    )
    edge["EDGE_PROPERTIES_DIR"] = str(folder / "properties")
    yield parts.python(f"{place.name}-edge", "edge", place.edge_admin, edge)
    token = admit(_tokens(state), place.name, properties)
    edges = (parts.http(place.edge_admin),)
    yield _agent(state, place, token, properties, parts.http(place.proxy), edges)


def _agent(
    state: State,
    place: Place,
    token: str,
    properties: tuple[str, ...],
    origin: str,
    edge_admins: tuple[str, ...],
) -> Part:
    told = parts.agent_environment(
        place.name,
        place.agent,
        state.trusted_keys,
        folder=state.region(place.name),
        token=token,
        properties=properties,
        store=place.store_url,
        origin=origin,
        gpus=(),
        edge_admins=edge_admins,
    )
    return parts.python(f"{place.name}-agent", "kvsync", place.agent, told)


def _tokens(state: State) -> Path:
    return Path(state.origin_environment()["ORIGIN_REGION_TOKENS"])


def _write_properties(folder: Path, properties: tuple[str, ...]) -> None:
    """The sample property, once for each id, on a host of its own."""
    folder.mkdir()
    lines = (PROPERTIES / f"{parts.PROPERTY}.toml").read_text().splitlines()
    for name in properties:
        own = {"id": f'"{name}"', "hosts": f'["{name}.example"]'}
        changed = [
            f"{word} = {own[word]}" if (word := line.partition(" =")[0]) in own else line
            for line in lines
        ]
        (folder / f"{name}.toml").write_text("\n".join(changed) + "\n")
