"""What the stories act on: the running system, a client, its counters and its saboteur's tools."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import httpx2
import msgspec
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families

from deploy.layout import PROPERTIES, SAMPLE
from deploy.parts import PROPERTY, redis_url
from deploy.processes import Running
from deploy.sample import approved_paths
from deploy.system import Place, System
from kvsync.key import read_request
from kvsync.property import Property, read_property
from kvsync.record import Record, RecordBody, Tombstone
from kvsync.signing import Keyring, SigningKey
from kvsync.store import Changes, StoredEntry, ValkeyStore
from regional_gpu.generator.encode import decode
from regional_gpu.generator.score import ssimulacra2

# What a rehydrated picture must reach against the original or master, delivered.
LOOKS_APPROVED = 80.0
_HEAL_SECONDS = 30.0


class Difference(Exception):
    """What a story saw is not what it expects."""


def expect(holds: bool, seen: str) -> None:
    """:class:`Difference` with what was seen, unless ``holds``."""
    if not holds:
        raise Difference(seen)


@dataclass
class World:
    """One region of a system under check, and ``elsewhere`` the others. ``assets`` yields approved
    paths that no story has used yet."""

    system: System
    place: Place
    client: httpx2.AsyncClient
    store: ValkeyStore
    elsewhere: "tuple[World, ...]" = ()
    assets: Iterator[str] = field(init=False)
    site: Property = field(init=False)

    def __post_init__(self) -> None:
        self._paths = approved_paths(self.system.approved)
        self.assets = iter(self._paths[1:])
        self.site = read_property(PROPERTIES / f"{PROPERTY}.toml")
        self._keys = Keyring.read(self.system.state.trusted_keys)
        self._signing_key = SigningKey.load_or_create(self.system.state.signing_key)

    def fresh(self) -> str:
        return next(self.assets)

    async def get(self, path: str, accept: str = "image/jpeg", **more: str) -> httpx2.Response:
        headers = {
            "accept": accept,
            **{name.replace("_", "-"): text for name, text in more.items()},
        }
        return await self.client.get(path, headers=headers)

    # --- originals and what they should look like

    def original(self, path: str) -> bytes:
        return (SAMPLE / "gallery" / PurePosixPath(path).name).read_bytes()

    def score(self, path: str, body: bytes) -> float:
        """SSIMULACRA2 of a delivered body against the lossless master, or else the original."""
        master = SAMPLE / "masters" / PurePosixPath(path).with_suffix(".png").name
        reference = master.read_bytes() if master.exists() else self.original(path)
        return ssimulacra2(decode(reference), decode(body))

    def expect_rehydrated(self, path: str, answer: httpx2.Response) -> str:
        """The approved picture, generated in the region; what was seen, in words."""
        status = answer.headers.get("cache-status", "")
        expect(answer.status_code == 200, f"{answer.status_code} {answer.text[:80]}")
        expect("detail=rehydrated" in status, f"Cache-Status: {status}")
        expect(answer.content != self.original(path), "the original's very bytes")
        score = self.score(path, answer.content)
        expect(score >= LOOKS_APPROVED, f"a picture that scores {score:.1f}")
        return f"rehydrated, {len(answer.content)} bytes, SSIMULACRA2 {score:.1f}"

    def expect_original(self, path: str, answer: httpx2.Response, reason: str) -> str:
        """The original's very bytes, for the reason given; what was seen, in words."""
        status = answer.headers.get("cache-status", "")
        expect(answer.status_code == 200, f"{answer.status_code} {answer.text[:80]}")
        expect(answer.content == self.original(path), f"other bytes ({status})")
        expect(f"origin:{reason}" in status, f"Cache-Status: {status}")
        return f"the original, reason {reason}"

    # --- counters

    async def count(self, port: int, name: str, **labels: str) -> float:
        """The sum of a counter's samples with these labels in a part's ``/metrics``."""
        async with httpx2.AsyncClient(timeout=5) as client:
            text = (await client.get(f"{System.url(port)}/metrics")).text
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def answers(self, **labels: str) -> float:
        """Answers of the edge by ``outcome`` and ``reason``."""
        return await self.count(self.place.ports.edge_admin, "edge_answers_total", **labels)

    async def link_bytes(self, route: str) -> int:
        """Bytes that the middle mile carried towards the region on one route."""
        port = self.place.ports.link_metrics
        return int(await self.count(port, "link_bytes_total", route=route, direction="back"))

    async def generations(self) -> float:
        return await self.count(self.place.ports.region, "region_generations_total")

    # --- records, honest and forged

    def key(self, path: str) -> bytes:
        return read_request(self.site, path.encode()).key

    async def record(self, path: str) -> Record:
        """The asset's record as the region's store holds it, verified."""
        entry = await self._entry(path)
        expect(entry.record is not None, f"no record of {path} in the store")
        assert entry.record is not None
        return Record.from_signed(
            entry.record, self._keys, key=self.key(path), property=PROPERTY, now=time.time()
        )

    async def write(self, path: str, signed: bytes) -> None:
        """Put bytes into the store under an asset's key, as a saboteur could."""
        await self.store.put(PROPERTY, {self.key(path): signed})

    async def resign(self, path: str, change: Callable[[RecordBody], RecordBody]) -> None:
        """Replace an asset's record by a changed one with a valid signature, well-formed or not."""
        body = change((await self.record(path)).body)
        await self.write(path, self._signing_key.sign(msgspec.msgpack.encode(body)))

    async def forget(self, path: str) -> None:
        """Make the asset one without a record, as if it had never been published."""
        expect((await self._entry(path)).record is not None, f"no record of {path} in the store")
        await self.store.apply(PROPERTY, Changes(withdrawn=(self.key(path),)))

    async def revoke(self, path: str) -> bytes:
        """Revoke as the origin does; the signed record that was in force."""
        found = await self.record(path)
        buried = Tombstone("tombstone", found.body.key, PROPERTY, found.body.seq + 1_000_000)
        await self.store.bury(PROPERTY, {found.body.key: buried.sign(self._signing_key)})
        return found.signed

    async def purge_edge(self, **body: object) -> None:
        admin = System.url(self.place.ports.edge_admin)
        async with httpx2.AsyncClient(timeout=5) as client:
            (await client.post(f"{admin}/v1/purge", json=body)).raise_for_status()

    async def _entry(self, path: str) -> StoredEntry:
        return await self.store.get(PROPERTY, self.key(path))

    # --- damage and repair

    def running(self, name: str) -> Running:
        """A part of this region, or one that all share."""
        shared = ("origin", "console", "worker")
        return self.system.running[name if name in shared else self.place.part(name)]

    def kill(self, *names: str) -> None:
        for name in names:
            self.running(name).kill()

    def hang(self, *names: str) -> None:
        for name in names:
            self.running(name).hang()

    @contextlib.asynccontextmanager
    async def purging(self) -> AsyncIterator[None]:
        """Empty the edge's cache over and over."""

        async def loop() -> None:
            while True:
                await self.purge_edge(everything=True)

        task = asyncio.create_task(loop())
        try:
            yield
        finally:
            task.cancel()

    async def heal(self) -> None:
        """Resume what hangs, restart what is dead, wait until rehydration works again."""
        for running in self.system.running.values():
            running.resume()
            if not running.alive:
                running.start()
            await running.wait_ready()
        probe = self._paths[0]
        deadline = time.monotonic() + _HEAL_SECONDS
        while time.monotonic() < deadline:
            await self.purge_edge(tags=[self.key(probe).hex()])
            with contextlib.suppress(httpx2.HTTPError):
                answer = await self.get(probe)
                if "detail=rehydrated" in answer.headers.get("cache-status", ""):
                    return
            await asyncio.sleep(0.2)
        raise Difference(f"the system had not recovered {_HEAL_SECONDS:.0f} s after repair")


@contextlib.asynccontextmanager
async def opened(system: System) -> AsyncIterator[World]:
    """The first region's world of a system that is up."""
    async with contextlib.AsyncExitStack() as stack:
        here, *others = [
            await stack.enter_async_context(_opened(system, place)) for place in system.places
        ]
        here.elsewhere = tuple(others)
        yield here


@contextlib.asynccontextmanager
async def _opened(system: System, place: Place) -> AsyncIterator[World]:
    store = ValkeyStore(redis_url(place.ports.valkey), timeout_s=2.0)
    limits = httpx2.Limits(max_connections=100, max_keepalive_connections=100)
    url = System.url(place.ports.edge)
    async with httpx2.AsyncClient(base_url=url, timeout=30, limits=limits) as client:
        try:
            yield World(system, place, client, store)
        finally:
            await store.close()


def with_wrong_fingerprint(body: RecordBody) -> RecordBody:
    """The record of a picture that looks otherwise: every byte of its fingerprint inverted."""
    check = body.checks[0]
    inverted = bytes(byte ^ 0xFF for byte in check.digest)
    return replace(body, checks=(replace(check, digest=inverted),))


def with_unknown_check(body: RecordBody) -> RecordBody:
    return replace(body, checks=(replace(body.checks[0], algorithm="made-up"),))
