"""What an asset may look like: its original, and the renditions that its region makes of it."""

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import PurePosixPath
from typing import Literal, Self

import httpx2
from msgspec.structs import replace

from bench._faulty_system import FaultySystem
from bench._shoppers import Seen, Shot
from deploy.layout import HOST, SAMPLE
from deploy.parts import PROPERTY
from kvsync.key import read_request
from kvsync.record import Record, Tombstone
from kvsync.rendition import Still
from kvsync.signing import Keyring, SigningKey
from kvsync.store import ValkeyStore
from kvsync.wire import MSGPACK, REHYDRATE_PATH, RehydrateRequest

_FORMATS: tuple[Literal["jpeg", "webp"], ...] = ("jpeg", "webp")
Verdict = Literal["original", "rehydrated", "unapproved", "unknown"]


@dataclass
class ApprovedImages:
    """The assets of a system, their records, and the digests of what may be shown for them.

    ``withdrawn`` are those of which a region's picture may no longer be shown, and since when
    (monotonic seconds).
    """

    system: FaultySystem
    records: dict[str, Record]
    withdrawn: dict[str, float] = field(default_factory=dict)
    _withdrawing: dict[str, float] = field(default_factory=dict)
    _known: dict[tuple[str, Still], bytes] = field(default_factory=dict)
    _originals: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        gallery = SAMPLE / "gallery"
        self._originals = {
            path: hashlib.sha256((gallery / PurePosixPath(path).name).read_bytes()).digest()
            for path in self.records
        }

    @classmethod
    async def of(cls, system: FaultySystem) -> Self:
        keys = Keyring.read(system.state.trusted_keys)
        store = ValkeyStore(system.store_url, timeout_s=5.0)
        records = {}
        for line in system.approved:
            path = json.loads(line)["path"]
            key = read_request(system.site, path.encode()).key
            entry = await store.get(PROPERTY, key)
            if entry.record is not None:
                records[path] = Record.from_signed(
                    entry.record, keys, key=key, property=PROPERTY, now=time.time()
                )
        await store.close()
        return cls(system, records)

    @property
    def paths(self) -> list[str]:
        return list(self.records)

    async def spoil(self, paths: Sequence[str]) -> None:
        """Revoke half of ``paths`` and sign another picture's fingerprint into the rest: of none
        of them may a region's picture be shown any more."""
        signer = SigningKey.load_or_create(self.system.state.signing_key)
        store = ValkeyStore(self.system.store_url, timeout_s=5.0)
        for path in paths[1::2]:
            await self.revoke(path)
        for path in paths[::2]:
            body = self.records[path].body
            check = body.checks[0]
            other = replace(check, digest=bytes(byte ^ 0xFF for byte in check.digest))
            spoiled = replace(body, checks=(other,), seq=body.seq + 1)
            await store.put(PROPERTY, {body.key: spoiled.sign(signer)})
            self.withdrawn[path] = time.monotonic()
        await store.close()

    async def revoke(self, path: str) -> bool:
        """Revoke as the origin does: bury the record, then purge region and edge. Whether the edge
        confirmed; a region that is gone is purged when it is back, which is not awaited here."""
        signer = SigningKey.load_or_create(self.system.state.signing_key)
        body = self.records[path].body
        buried = Tombstone("tombstone", body.key, PROPERTY, body.seq + 1_000)
        self._withdrawing[path] = time.monotonic()
        store = ValkeyStore(self.system.store_url, timeout_s=5.0)
        await store.bury(PROPERTY, {body.key: buried.sign(signer)})
        await store.close()
        tag = body.key.hex()
        await self._purge(self.system.ports.region, tag, patience_s=0.5)
        confirmed = await self._purge(self.system.ports.edge_admin, tag, patience_s=5.0)
        if confirmed:
            self.withdrawn[path] = time.monotonic()
        return confirmed

    async def _purge(self, port: int, tag: str, patience_s: float) -> bool:
        url = f"http://{HOST}:{port}/v1/purge"
        try:
            async with httpx2.AsyncClient(timeout=patience_s, trust_env=False) as client:
                return (await client.post(url, json={"tags": [tag]})).status_code == 200
        except httpx2.HTTPError:
            return False

    def shots(self) -> Iterator[Shot]:
        """Every rendition of every asset, cheap formats only."""
        rules = self.system.site.renditions
        for path, width, quality, form in product(
            self.records, rules.widths, rules.qualities, _FORMATS
        ):
            query = f"w={width}&q={quality}&fm={form}"
            yield Shot(path, query, Still(form, width, quality))

    def was_withdrawn(self, seen: Seen) -> bool:
        """Whether the asset was withdrawn before it was asked for."""
        return seen.begun > self.withdrawn.get(seen.shot.path, math.inf)

    def was_being_withdrawn(self, seen: Seen) -> bool:
        """Whether that had begun, or was done, before it was answered."""
        begun = self._withdrawing.get(seen.shot.path, math.inf)
        return self.was_withdrawn(seen) or seen.ended > begun

    async def verdict(
        self, shot: Shot, digest: bytes, withdrawn: bool, client: httpx2.AsyncClient
    ) -> Verdict:
        """What a body with this SHA-256 is to the asset asked for; ``client`` asks the region."""
        if digest == self._originals[shot.path]:
            return "original"
        if digest in self._originals.values():
            return "unapproved"
        if digest == await self._rehydrated(shot, client):
            return "unapproved" if withdrawn else "rehydrated"
        return "unknown"

    async def _rehydrated(self, shot: Shot, client: httpx2.AsyncClient) -> bytes:
        """SHA-256 of what the region itself says this rendition is."""
        record, still = self.records[shot.path], shot.still
        if (shot.path, still) not in self._known:
            wanted = RehydrateRequest.make(
                PROPERTY, record.body.key, record.signed, still, deadline_ms=60_000
            )
            url = f"http://{HOST}:{self.system.ports.region}{REHYDRATE_PATH}"
            answer = await client.post(
                url, content=wanted.encode(), headers={"content-type": MSGPACK}
            )
            answer.raise_for_status()
            self._known[shot.path, still] = hashlib.sha256(answer.content).digest()
        return self._known[shot.path, still]
