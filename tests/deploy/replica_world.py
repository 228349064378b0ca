"""One region with two edges on real processes and its middle mile: all a replica needs, no GPU.

Records are of real originals, signed by the origin's key; nobody here could regenerate them.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import msgspec

from deploy import parts
from deploy.layout import HOST, PROPERTIES, SAMPLE, State, free_ports
from deploy.processes import Part, Running
from kvsync.log import Bury, Put
from kvsync.property import Ways, read_property
from kvsync.record import Original, Tombstone
from kvsync.replica import ReplicaReport
from kvsync.signing import SigningKey
from origin.dam import FolderDam
from origin.database import Database, ensure_property, next_seq
from origin.site import Site
from origin.sync.outbox import append
from origin.sync.tokens import admit
from origin.sync.ways import set_ways
from origin.tables import AssetRow
from tests.kvsync.golden import example_body

FAMILY = "rumba"
GALLERY = SAMPLE / "gallery"


@dataclass(frozen=True)
class ReplicaWorld:
    """The running parts by name; ``edges`` are shoppers' addresses, ``admins`` operators'."""

    folder: Path
    running: Mapping[str, Running]
    edges: tuple[str, ...]
    admins: tuple[str, ...]
    agent: str
    link: str
    database: Database
    key: SigningKey
    site: Site

    # --- the origin

    def names(self, count: int) -> list[str]:
        return [name for name, _ in zip(self.site.dam.list(), range(count), strict=False)]

    def publish(self, *names: str) -> None:
        """Records of originals, as the origin would publish them."""
        with self.database.writing() as session:
            for name in names:
                info, data = self.site.dam.open(name)
                path = self.site.prefix + name
                key, digest = self.site.request(path).key, _digest(data)
                session.add(_asset(path, key, info.etag, digest, info.media_type, info.size))
                seq = next_seq(session, self.site.id)
                original = Original(info.etag, digest, info.media_type, info.size)
                body = msgspec.structs.replace(
                    example_body(),
                    key=key,
                    property=self.site.id,
                    family=FAMILY,
                    seq=seq,
                    original=original,
                    not_after=2**40,
                )
                append(session, self.site.id, [Put(seq, key, body.sign(self.key))])

    def revoke(self, name: str) -> None:
        key = self.site.request(self.site.prefix + name).key
        with self.database.writing() as session:
            seq = next_seq(session, self.site.id)
            signed = Tombstone("tombstone", key, self.site.id, seq).sign(self.key)
            append(session, self.site.id, [Bury(seq, key, signed)])

    def choose(self, ways: Ways) -> None:
        set_ways(self.database, PROPERTIES, self.site.id, {FAMILY: ways})

    def original(self, name: str) -> bytes:
        return self.site.dam.open(name)[1]

    # --- the region

    def get(self, name: str, edge: int = 0, query: str = "") -> httpx2.Response:
        url = f"{self.edges[edge]}{self.site.prefix}{name}{query}"
        return httpx2.get(url, timeout=30, trust_env=False, headers={"accept": "image/jpeg"})

    def detail(self, name: str, edge: int = 0, query: str = "") -> str:
        """Where an answer came from, as Cache-Status says."""
        answer = self.get(name, edge, query)
        found = re.search(r'detail="?([^";]+)', answer.headers["cache-status"])
        assert answer.status_code == 200 and found is not None, answer.headers
        return found[1]

    def anew(self, name: str, edge: int = 0) -> str:
        """The same of an edge that has nothing kept of it."""
        tag = self.site.request(self.site.prefix + name).key.hex()
        url = f"{self.admins[edge]}/v1/purge"
        httpx2.post(url, json={"tags": [tag]}, timeout=5, trust_env=False).raise_for_status()
        return self.detail(name, edge)

    def is_heard_of(self, name: str) -> bool:
        """Whether every edge may use what the region keeps: its log's heartbeat comes after the
        records and originals themselves."""
        return all(self.anew(name, edge) == "replica" for edge in range(len(self.edges)))

    def report(self) -> ReplicaReport:
        """What the agent's metrics say that it keeps."""
        text = httpx2.get(f"{self.agent}/metrics", timeout=5, trust_env=False).text
        names = ("originals", "bytes", "missing", "left_out")
        found = {name: _sample(text, f"sync_replica_{name}") for name in names}
        return msgspec.convert(found, ReplicaReport)

    def kept(self) -> set[str]:
        folder = self.folder / "replica" / self.site.id
        return {path.name for path in folder.iterdir()}

    def link_bytes(self, route: str) -> int:
        """Bytes that the middle mile carried towards the region on one route."""
        text = httpx2.get(f"{self.link}/metrics", timeout=5, trust_env=False).text
        return _sample(text, "link_bytes_total", f'direction="back",route="{route}"')

    def wait(self, holds: object, within_s: float = 30.0) -> float:
        """Until ``holds()``; how long that took, in seconds."""
        assert callable(holds)
        begun = time.monotonic()
        while not holds():
            assert time.monotonic() - begun < within_s, (self.report(), self.kept())
            time.sleep(0.02)
        return time.monotonic() - begun


@dataclass(frozen=True)
class _Ports:
    origin: int
    streams: int
    store: int
    agent: int
    images: int
    records: int
    metrics: int
    shops: tuple[int, int]
    admins: tuple[int, int]

    @classmethod
    def free(cls) -> "_Ports":
        origin, streams, store, agent, images, records, metrics, *edges = free_ports(11)
        shops, admins = (edges[0], edges[1]), (edges[2], edges[3])
        return cls(origin, streams, store, agent, images, records, metrics, shops, admins)


@contextmanager
def replica_world(folder: Path) -> Iterator[ReplicaWorld]:
    """Start every part; all state lies in ``folder``. Nothing is published yet."""
    ports, state = _Ports.free(), State(folder)
    state.prepare(["here"])
    told = {
        **parts.PYTHON_PATH,
        **state.origin_environment(),
        "ORIGIN_HOST": HOST,
        "ORIGIN_PORT": str(ports.origin),
        "ORIGIN_LOG_URL": parts.redis_url(ports.streams),
        "ORIGIN_REGIONS": "",
    }
    made = (
        parts.valkey("streams", state.streams, ports.streams),
        parts.valkey("valkey", folder, ports.store),
        parts.python("origin", "origin", ports.origin, told, "serve"),
        _link(ports),
        _agent(state, ports, Path(told["ORIGIN_REGION_TOKENS"])),
        *(_edge(state, ports, at) for at in range(2)),
    )
    running = {part.name: Running(part, folder / "log" / f"{part.name}.log") for part in made}
    database = Database(told["ORIGIN_DATABASE_URL"])
    with database.writing() as session:
        ensure_property(session, parts.PROPERTY)
    with parts.all_running(running.values()):
        asyncio.run(parts.wait_ready(running.values()))
        yield ReplicaWorld(
            folder,
            running,
            tuple(map(parts.http, ports.shops)),
            tuple(map(parts.http, ports.admins)),
            parts.http(ports.agent),
            parts.http(ports.metrics),
            database,
            SigningKey.load_or_create(state.signing_key),
            Site(read_property(PROPERTIES / f"{parts.PROPERTY}.toml"), FolderDam(GALLERY)),
        )
    database.close()


def _link(ports: _Ports) -> Part:
    routes = {"images": (ports.images, ports.origin), "records": (ports.records, ports.origin)}
    return parts.relay(
        *("link", "deploy.link", routes, parts.http(ports.metrics) + "/metrics"),
        *("--rtt-ms", "0", "--mbit-s", "0", "--metrics-port", str(ports.metrics)),
    )


def _agent(state: State, ports: _Ports, tokens: Path) -> Part:
    told = parts.agent_environment(
        "here",
        ports.agent,
        state.trusted_keys,
        folder=state.folder,
        token=admit(tokens, "here", [parts.PROPERTY]),
        properties=[parts.PROPERTY],
        store=parts.redis_url(ports.store),
        origin=parts.http(ports.records),
        gpus=[],
        edge_admins=[parts.http(port) for port in ports.admins],
    )
    told["SYNC_REPLICA_DIR"] = str(state.folder / "replica")
    told["SYNC_PROPERTIES_DIR"] = str(state.region_properties("here"))
    return parts.python("agent", "kvsync", ports.agent, told)


def _edge(state: State, ports: _Ports, at: int) -> Part:
    told = parts.edge_environment(
        state.folder / f"edge-{at}",
        (ports.shops[at], ports.admins[at]),
        state.trusted_keys,
        store=parts.redis_url(ports.store),
        regions=[],
        origin=parts.http(ports.images),
    )
    told["EDGE_REPLICA_URL"] = parts.http(ports.agent)
    told["EDGE_PROPERTIES_DIR"] = str(state.region_properties("here"))
    return parts.python(f"edge {at}", "edge", ports.admins[at], told)


def _asset(
    path: str, key: bytes, validator: str, digest: bytes, media_type: str, size: int
) -> AssetRow:
    return AssetRow(
        property=parts.PROPERTY,
        path=path,
        key=key,
        family=FAMILY,
        validator=validator,
        digest=digest,
        media_type=media_type,
        size=size,
        attributes={},
    )


def _sample(text: str, name: str, labels: str = "") -> int:
    pattern = re.compile(rf"^{name}{{[^}}]*{re.escape(labels)}[^}}]*}} (\S+)$", re.MULTILINE)
    return int(sum(float(value) for value in pattern.findall(text)))


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()
