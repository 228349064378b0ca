"""A small world for agents: an origin in this process that can be cut off and lie, a real store."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import msgspec
from msgspec.structs import replace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kvsync.agent.agent import Agent
from kvsync.agent.settings import SyncSettings, read_settings
from kvsync.errors import OriginUnavailable
from kvsync.log import Batch, Bury, Cursor, Entry, Heartbeat, Put
from kvsync.log_answer import LogAnswer
from kvsync.ranges import RangeDigests, RangeEntries, RangeSums, entry_hash, range_of
from kvsync.record import KeptPayload, RecordBody, Tombstone
from kvsync.report import RegionReport, ReportAnswer
from kvsync.signing import Keyring, SigningKey
from kvsync.snapshot import SnapshotManifest, pack_piece, piece_of
from kvsync.store import StoredEntry, ValkeyStore
from kvsync.wire import ErrorBody, Hold, PayloadList, PayloadsHeld, Purge
from tests.kvsync.golden import example_body

PROPERTY = "shop"


def key_of(number: int) -> bytes:
    return number.to_bytes(2, "big") * 8


@dataclass
class OriginStandIn:
    """One property's log, as an origin would keep it; ``spoil`` changes answers on their way."""

    signer: SigningKey
    batches: list[Batch] = field(default_factory=list)
    truth: dict[bytes, Put | Bury] = field(default_factory=dict)
    reports: list[RegionReport] = field(default_factory=list)
    trimmed: int = 0
    gone: bool = False
    compare: dict[str, int] = field(default_factory=dict)
    clock_ahead_s: float = 0.0
    spoiled: Any = None
    asked: list[str] = field(default_factory=list)
    originals: dict[bytes, bytes] = field(default_factory=dict)
    pulled: list[tuple[bytes, int]] = field(default_factory=list)
    _manifest: bytes = b""
    _pieces: dict[str, bytes] = field(default_factory=dict)

    @property
    def head(self) -> Cursor:
        return self.batches[-1].cursor if self.batches else Cursor()

    @property
    def now_ms(self) -> int:
        return int((time.time() + self.clock_ahead_s) * 1_000)

    def publish(self, *keys: bytes, **changed: Any) -> None:
        bodies = [self.body(key, at, **changed) for at, key in enumerate(keys, self.head.seq + 1)]
        self.seal(*(Put(body.seq, body.key, body.sign(self.signer)) for body in bodies))

    def revoke(self, *keys: bytes) -> None:
        buried = [
            Tombstone("tombstone", key, PROPERTY, at)
            for at, key in enumerate(keys, self.head.seq + 1)
        ]
        self.seal(*(Bury(one.seq, one.key, one.sign(self.signer)) for one in buried))

    def body(self, key: bytes, seq: int, **changed: Any) -> RecordBody:
        changed = {"not_after": 2**40, **changed}
        return replace(example_body(), key=key, property=PROPERTY, seq=seq, **changed)

    def seal(self, *entries: Entry) -> None:
        self.batches.append(
            Batch.seal(self.signer, PROPERTY, entries, after=self.head, made_at_ms=self.now_ms)
        )
        for entry in entries:
            if isinstance(entry, Put | Bury):
                self.truth[entry.key] = entry

    def trim(self) -> None:
        self.trimmed = self.head.seq

    def make_snapshot(self) -> None:
        entries = [*self.truth.values()]
        packed = [pack_piece(entries[at : at + 100]) for at in range(0, len(entries), 100)]
        self._pieces = {piece_of(one).digest.hex(): one for one in packed}
        manifest = SnapshotManifest(
            "snapshot",
            PROPERTY,
            self.head.seq,
            self.head.digest,
            self.now_ms,
            sum(isinstance(one, Put) for one in entries),
            len(entries),
            tuple(map(piece_of, packed)),
        )
        self._manifest = manifest.sign(self.signer)

    async def log(self, request: Request) -> Response:
        after = int(request.query_params["after"])
        deadline = time.monotonic() + float(request.query_params["wait_s"])
        while after >= self.head.seq and time.monotonic() < deadline and not self.gone:
            await asyncio.sleep(0.005)
        if after < self.trimmed:
            return _problem(410, "trimmed")
        if after > self.head.seq:
            return _problem(409, "log-ahead")
        batches = tuple(one.signed for one in self.batches if one.first > after)
        beat = Heartbeat.make(PROPERTY, self.head, self.now_ms).sign(self.signer)
        raw = LogAnswer(beat, batches[:50]).encode()
        if self.spoiled is not None:
            raw = self.spoiled(LogAnswer(beat, batches))
        return Response(raw)

    async def snapshot(self, request: Request) -> Response:
        return Response(self._manifest) if self._manifest else _problem(404, "none")

    async def piece(self, request: Request) -> Response:
        return Response(self._pieces[request.path_params["digest"]])

    async def digests(self, request: Request) -> Response:
        sums = RangeSums()
        for one in self.truth.values():
            buried = isinstance(one, Bury)
            sums.add(one.key, entry_hash(one.key, one.signed, buried=buried))
        return Response(RangeDigests.make(PROPERTY, self.head.seq, sums).sign(self.signer))

    async def range(self, request: Request) -> Response:
        number = int(request.path_params["number"])
        entries = [one for one in self.truth.values() if range_of(one.key) == number]
        made = RangeEntries.make(PROPERTY, number, self.head.seq, entries)
        return Response(made.sign(self.signer))

    async def original(self, request: Request) -> Response:
        """As the origin does, whose entity tags are all ``"v1"``."""
        key = bytes.fromhex(request.path_params["key"])
        body = self.originals.get(key)
        if body is None:
            return _problem(404, "not-found")
        asked = request.headers.get("range") if request.headers.get("if-range") == '"v1"' else None
        after = int(asked[6:-1]) if asked else 0
        self.pulled.append((key, after))
        return Response(body[after:], 206 if after else 200)

    async def report(self, request: Request) -> Response:
        self.reports.append(RegionReport.decode(await request.body()))
        return Response(ReportAnswer(self.now_ms, self.compare).encode())

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/log/{property}", self.log),
                Route("/v1/snapshots/{property}", self.snapshot),
                Route("/v1/snapshots/{property}/{digest}", self.piece),
                Route("/v1/digests/{property}", self.digests),
                Route("/v1/ranges/{property}/{number}", self.range),
                Route("/v1/originals/{property}/{key}", self.original),
                Route("/v1/regions/{region}/report", self.report, methods=["POST"]),
            ]
        )


@dataclass
class Caches:
    """A GPU service and an edge: what they were told, in order; either may be gone."""

    told: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    held: list[tuple[str, int]] = field(default_factory=list)
    gone: set[str] = field(default_factory=set)
    refuses_models: bool = False
    # Digests of payloads held, by property; ``refuses_payloads``: none is fetched.
    payloads: dict[str, dict[bytes, KeptPayload]] = field(default_factory=dict)
    refuses_payloads: bool = False

    async def payload_news(self, request: Request) -> Response:
        here = self.payloads.setdefault(request.path_params["property"], {})
        if request.method == "GET":
            return Response(PayloadList(tuple(here.values())).encode())
        asked = PayloadList.decode(await request.body())
        for digest in asked.drop:
            here.pop(digest, None)
        if self.refuses_payloads:
            return Response(PayloadsHeld({one.digest.hex(): "no" for one in asked.hold}).encode())
        here.update((one.digest, one) for one in asked.hold)
        return Response(PayloadsHeld().encode())

    async def answer(self, request: Request) -> Response:
        host = request.url.hostname or ""
        if request.url.path == "/v1/purge":
            self.told.append((host, Purge.decode(await request.body()).tags))
            return Response(b'{"purged": 0}')
        if self.refuses_models:
            return _problem(502, "model")
        sample = Hold.decode(await request.body()).sample
        self.held.append((request.path_params["digest"], len(sample)))
        return Response(b"{}")

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/purge", self.answer, methods=["POST"]),
                Route("/v1/models/{property}/{digest}", self.answer, methods=["POST"]),
                Route("/v1/payloads/{property}", self.payload_news, methods=["GET", "POST"]),
            ]
        )


class _Wires(httpx2.AsyncBaseTransport):
    """To the origin, the caches and other agents by host name, as far as they are not gone."""

    def __init__(self, world: "SyncWorld") -> None:
        self._world = world
        self._origin = httpx2.ASGITransport(world.origin.app())
        self._caches = httpx2.ASGITransport(world.caches.app())

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        host = request.url.host
        if host == "localhost":
            if self._world.origin.gone:
                raise httpx2.ConnectError("cut")
            self._world.origin.asked.append(request.url.path)
            return await self._origin.handle_async_request(request)
        if host in self._world.neighbours:
            return await self._world.neighbours[host].handle_async_request(request)
        if host in self._world.caches.gone:
            raise httpx2.ConnectError("cut")
        return await self._caches.handle_async_request(request)


@dataclass
class SyncWorld:
    """One origin and any number of agents, one at a time per store."""

    origin: OriginStandIn
    caches: Caches
    keys: Keyring
    folder: Path
    neighbours: dict[str, httpx2.ASGITransport] = field(default_factory=dict)

    def settings(self, store_url: str, **changed: Any) -> SyncSettings:
        given = {
            "region": "asia-east",
            "properties": (PROPERTY,),
            "origin_url": "http://localhost:1",
            "store_url": store_url,
            "poll_s": 0.05,
            "report_s": 0.05,
            "compare_s": 0,
            "ledger_dir": self.folder / "ledger",
            **changed,
        }
        return read_settings(**given)

    @asynccontextmanager
    async def agent(self, store_url: str, **changed: Any) -> AsyncIterator[Agent]:
        """A running agent, killed at the end."""
        settings = self.settings(store_url, **changed)
        store = ValkeyStore(store_url, timeout_s=20)
        async with httpx2.AsyncClient(transport=_Wires(self)) as client:
            agent = Agent(settings, self.keys, store, client)
            running = asyncio.create_task(agent.run())
            try:
                yield agent
                assert not running.done(), running.exception()
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError, OriginUnavailable):
                    await running
                await agent.close()


def sync_world(folder: Path) -> SyncWorld:
    signer = SigningKey.generate()
    keys = Keyring((signer.trusted_for([PROPERTY]),))
    return SyncWorld(OriginStandIn(signer), Caches(), keys, folder)


async def until(holds: Any, within_s: float = 60.0) -> None:
    """Wait until ``holds()`` is true; the assertion says where it was not."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        await asyncio.sleep(0.01)


async def everything(store_url: str, property: str = PROPERTY) -> dict[bytes, StoredEntry]:
    """All that the store holds of a property."""
    store = ValkeyStore(store_url, timeout_s=20)
    found = {}
    async for _, held in store.ranges(property, range(4_096)):
        found.update(held)
    await store.close()
    return found


def as_published(origin: OriginStandIn, found: dict[bytes, StoredEntry]) -> bool:
    """Whether a store holds the newest entry of every key, and nothing else."""
    held = {
        key: (entry.record, False) if entry.record is not None else (entry.tombstone, True)
        for key, entry in found.items()
    }
    return held == {key: (one.signed, isinstance(one, Bury)) for key, one in origin.truth.items()}


def refused(agent: Agent, reason: str) -> int:
    """How many entries or answers were not applied for that reason."""
    return agent.metrics.refused.get(PROPERTY, Counter())[reason]


def _problem(status: int, reason: str) -> Response:
    return Response(msgspec.json.encode(ErrorBody(reason, "so it is")), status)
