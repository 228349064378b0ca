"""The real origin's log and three real agents in one process, on four real Valkey servers.

Wires between them can be cut, any part killed and begun anew, and time moved on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import msgspec
from fastapi import FastAPI, Request, Response
from redis import Redis
from sqlalchemy import select

from deploy.layout import PROPERTIES, REGIONS
from deploy.parts import PROPERTY
from edge.held import HeldEntries
from edge.records import Records
from kvsync.agent.agent import Agent
from kvsync.agent.app import create_app
from kvsync.agent.settings import read_settings
from kvsync.errors import RehydrationError
from kvsync.log import Bury, Canary, Entry, Put
from kvsync.property import Property, read_property
from kvsync.record import Record, RecordBody, Tombstone
from kvsync.signing import Keyring, SigningKey
from kvsync.store import StoredEntry, ValkeyStore
from kvsync.wire import ErrorBody
from origin.database import Database, ensure_property, next_seq
from origin.settings import OriginSettings
from origin.sync import chain
from origin.sync.outbox import append, entry_of
from origin.sync.routes import add_log_routes
from origin.sync.service import LogService, open_log
from origin.sync.tokens import admit
from origin.tables import LogEntryRow
from tests.kvsync.golden import example_body

_SETTLED_S = 180.0
# A store here is never broken, but a busy machine may let one wait for long.
_STORE_S = 20.0
_SMALL_LOG_BYTES = 6_000


def key_of(number: int) -> bytes:
    return number.to_bytes(2, "big") * 8


class _Wire(httpx2.AsyncBaseTransport):
    """To the origin and to other agents, unless it is cut: requests under way then break off."""

    def __init__(self, world: "Regions") -> None:
        self._world = world
        self.whole = asyncio.Event()
        self.whole.set()
        self._cut = asyncio.Event()

    def cut(self) -> None:
        self.whole.clear()
        self._cut.set()

    def heal(self) -> None:
        self.whole.set()
        self._cut.clear()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        target = self._world.answering(request.url.host)
        if target is None or not self.whole.is_set():
            raise httpx2.ConnectError("cut")
        answer = asyncio.ensure_future(target.handle_async_request(request))
        cut = asyncio.ensure_future(self._cut.wait())
        with self._world.under_way(answer):
            await asyncio.wait({answer, cut}, return_when=asyncio.FIRST_COMPLETED)
            cut.cancel()
            if answer.done() and not answer.cancelled():
                return answer.result()
        raise httpx2.ReadError("cut")


@dataclass
class _Region:
    """A region's agent, where it runs, and what an edge beside it reads."""

    name: str
    store_url: str
    wire: _Wire
    records: Records
    agent: Agent | None = None
    running: "asyncio.Task[None] | None" = None


@dataclass
class Regions:
    """``ahead_s`` is how far the world's clock has moved beyond the real one."""

    folder: Path
    streams_url: str
    store_urls: Sequence[str]
    strict: bool = True
    ahead_s: float = 0.0
    revoked_at: dict[tuple[str, bytes], float] = field(default_factory=dict)
    regions: dict[str, _Region] = field(init=False, default_factory=dict)
    _log: LogService | None = None
    _origin: httpx2.ASGITransport | None = None
    _serving: "asyncio.Task[None] | None" = None
    _under_way: set[asyncio.Future[httpx2.Response]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        for url in (self.streams_url, *self.store_urls):
            with Redis.from_url(url) as client:
                client.flushall()
        properties = self.folder / "properties"
        properties.mkdir(parents=True)
        toml = (PROPERTIES / f"{PROPERTY}.toml").read_text()
        (properties / f"{PROPERTY}.toml").write_text(f"strict = {str(self.strict).lower()}\n{toml}")
        self.site: Property = read_property(properties / f"{PROPERTY}.toml")
        self.settings = short_log(self.folder, self.streams_url, properties)
        self.key = SigningKey.load_or_create(self.settings.signing_key)
        self.keys = Keyring((self.key.trusted_for([PROPERTY]),))
        self.keys.write(self.folder / "trusted.json")
        self.database = Database(self.settings.database_url)
        with self.database.writing() as session:
            ensure_property(session, PROPERTY)
        self._tokens = {
            name: admit(self.settings.region_tokens, name, [PROPERTY]) for name in REGIONS[:3]
        }

    @property
    def now(self) -> float:
        return time.time() + self.ahead_s

    # --- the origin

    def publish(self, keys: Sequence[bytes], regions: Sequence[str] = ()) -> int:
        """In every region, or, as a canary, in some only; the last one's sequence."""
        last = self._write([(key, Canary if regions else Put) for key in keys], regions)
        for name in regions or self.regions:
            for key in keys:
                self.revoked_at.pop((name, key), None)
        return last

    def revoke(self, keys: Iterable[bytes]) -> None:
        self._write([(key, Bury) for key in keys])
        self.revoked_at.update({(name, key): self.now for name in self.regions for key in keys})

    def _write(
        self, changes: Sequence[tuple[bytes, type[Entry]]], regions: Sequence[str] = ()
    ) -> int:
        with self.database.writing() as session:
            first = next_seq(session, PROPERTY, len(changes))
            entries = [
                self._entry(kind, key, seq, tuple(regions))
                for seq, (key, kind) in enumerate(changes, start=first)
            ]
            append(session, PROPERTY, entries)
        return first + len(changes) - 1

    def _entry(self, kind: type[Entry], key: bytes, seq: int, regions: tuple[str, ...]) -> Entry:
        if kind is Bury:
            return Bury(seq, key, Tombstone("tombstone", key, PROPERTY, seq).sign(self.key))
        signed = self.body(key, seq).sign(self.key)
        return Canary(seq, key, signed, regions) if regions else Put(seq, key, signed)

    def body(self, key: bytes, seq: int) -> RecordBody:
        changed = {"key": key, "property": PROPERTY, "seq": seq, "not_after": 2**40}
        return msgspec.structs.replace(example_body(), **changed)

    async def start_origin(self) -> None:
        log = open_log(self.settings, self.database)
        log.sealer.now_ms = lambda: int(self.now * 1_000)
        app = FastAPI()
        app.add_exception_handler(RehydrationError, _told)
        add_log_routes(app, log, lambda kind, status, size: None)
        self._log, self._origin = log, httpx2.ASGITransport(app)
        self._serving = asyncio.create_task(_run(log))

    async def kill_origin(self) -> None:
        """Between any two of its steps; what regions were being told is lost."""
        self._origin = None
        # Nobody hears what a dying origin makes of the connections it closes.
        for answer in self._under_way:
            answer.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if self._serving is not None:
            self._serving.cancel()
            await asyncio.gather(self._serving, return_exceptions=True)
        self._log = self._serving = None

    def make_snapshot(self) -> None:
        if self._log is not None:
            self._log.snapshots.make(PROPERTY)

    def lose_streams(self) -> None:
        with Redis.from_url(self.streams_url) as client:
            client.flushall()

    def answering(self, host: str) -> httpx2.AsyncBaseTransport | None:
        """Who answers for a host name, if anyone does."""
        if host == "localhost":
            return self._origin
        other = self.regions[host]
        if other.agent is None or not other.wire.whole.is_set():
            return None
        return httpx2.ASGITransport(create_app(other.agent))

    @contextmanager
    def under_way(self, answer: asyncio.Future[httpx2.Response]) -> Iterator[None]:
        """While somebody waits for an answer: it goes on no longer than they wait."""
        self._under_way.add(answer)
        try:
            yield
        finally:
            self._under_way.discard(answer)
            answer.cancel()

    # --- regions

    def add_regions(self) -> None:
        for name, url in zip(REGIONS, self.store_urls, strict=False):
            held = HeldEntries(self.folder / f"held-{name}", 1 << 20)
            records = Records(
                ValkeyStore(url, timeout_s=_STORE_S),
                held,
                self.keys,
                timeout_s=_STORE_S,
                rest_s=0.01,
            )
            self.regions[name] = _Region(name, url, _Wire(self), records)

    def start(self, name: str) -> None:
        region = self.regions[name]
        if region.running is None:
            region.running = asyncio.create_task(self._run_agent(region))

    async def kill(self, name: str) -> None:
        region = self.regions[name]
        if region.running is not None:
            region.running.cancel()
            with suppress(asyncio.CancelledError):
                await region.running
        region.running = region.agent = None

    async def _run_agent(self, region: _Region) -> None:
        settings = read_settings(
            region=region.name,
            properties=(PROPERTY,),
            origin_url="http://localhost:1",
            store_url=region.store_url,
            trusted_keys=self.folder / "trusted.json",
            token=self._tokens[region.name],
            neighbours=[f"http://{name}" for name in self.regions if name != region.name],
            poll_s=0.05,
            report_s=0.05,
            ledger_dir=self.folder / region.name / "ledger",
        )
        store = ValkeyStore(region.store_url, timeout_s=_STORE_S)
        async with httpx2.AsyncClient(transport=region.wire) as client:
            region.agent = Agent(settings, self.keys, store, client)
            try:
                await region.agent.run()
            finally:
                await region.agent.close()

    async def read(self, name: str, key: bytes) -> Record | None:
        """What an edge of the region would have rehydrated now; None where it asks the origin."""
        try:
            return await self.regions[name].records.find(self.site, key, now=self.now)
        except RehydrationError:
            return None

    async def settle(self) -> None:
        """Mend all, then wait until every region is where the log is, and has heard so since."""
        begun_at_ms = int(self.now * 1_000)
        if self._log is None:
            await self.start_origin()
        for region in self.regions.values():
            region.wire.heal()
            self.start(region.name)
        deadline = time.monotonic() + _SETTLED_S
        while not all(self._is_at_head(one, begun_at_ms) for one in self.regions.values()):
            for region in self.regions.values():
                assert region.running is not None and not region.running.done(), region.running
            assert time.monotonic() < deadline, self._where()
            await asyncio.sleep(0.01)

    def _is_at_head(self, region: _Region, since_ms: int) -> bool:
        if region.agent is None:
            return False
        follower = region.agent.followers[PROPERTY]
        given, sealed = chain.heads(self.database)[PROPERTY]
        at_head = follower.ready and follower.held.cursor.seq == given == sealed
        return at_head and follower.renewal.at_ms >= since_ms

    def _where(self) -> str:
        at = {
            name: one.agent and one.agent.followers[PROPERTY].held.cursor.seq
            for name, one in self.regions.items()
        }
        faults = self._log.sealer.faults if self._log else "no origin"
        return f"log at {chain.head(self.database, PROPERTY).seq}, regions at {at}; {faults}"

    def published(self, name: str) -> dict[bytes, tuple[bytes, bool]]:
        """By key: the newest signed bytes that are for a region, and whether they bury it."""
        query = select(LogEntryRow).where(LogEntryRow.property == PROPERTY)
        with self.database.reading() as session:
            rows = session.scalars(query.order_by(LogEntryRow.seq)).all()
        entries = [entry_of(row.seq, row.tag, row.key, row.content) for row in rows]
        return {
            one.key: (one.signed, isinstance(one, Bury))
            for one in entries
            if isinstance(one, Put | Bury) or (isinstance(one, Canary) and name in one.regions)
        }

    async def differing(self, name: str) -> int:
        """How many keys a region finds to be other than the origin says that they are there."""
        agent = self.regions[name].agent
        assert agent is not None
        return await agent.followers[PROPERTY].compare()

    async def held(self, name: str) -> dict[bytes, tuple[bytes, bool]]:
        """The same, of what lies in a region's store."""
        store = ValkeyStore(self.regions[name].store_url, timeout_s=_STORE_S)
        found: dict[bytes, StoredEntry] = {}
        async for _, some in store.ranges(PROPERTY, range(4_096)):
            found.update(some)
        await store.close()
        return {
            key: (one.record, False) if one.record is not None else (one.tombstone or b"", True)
            for key, one in found.items()
        }

    async def close(self) -> None:
        for region in self.regions.values():
            await self.kill(region.name)
            await region.records.close()
        await self.kill_origin()
        self.database.close()


def short_log(folder: Path, streams_url: str, properties: Path) -> OriginSettings:
    """An origin's settings whose log is so short that regions often come too late for it."""
    given = {"log_url": streams_url, "log_bytes": _SMALL_LOG_BYTES, "properties_dir": properties}
    return OriginSettings(**given).kept_in(folder)  # type: ignore[arg-type]


@asynccontextmanager
async def three_regions(
    folder: Path, streams_url: str, store_urls: Sequence[str], *, strict: bool = True
) -> AsyncIterator[Regions]:
    """Everything running; killed at the end."""
    world = Regions(folder, streams_url, store_urls, strict=strict)
    world.add_regions()
    try:
        await world.start_origin()
        for name in world.regions:
            world.start(name)
        yield world
    finally:
        await world.close()


async def _run(log: LogService) -> None:
    async with log.running():
        await asyncio.Event().wait()


async def _told(request: Request, error: Exception) -> Response:
    assert isinstance(error, RehydrationError)
    return Response(msgspec.json.encode(ErrorBody.of(error)), error.status)
