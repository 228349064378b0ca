"""One property as its region holds it: how batches, snapshots and repairs change the store."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Protocol

import msgspec

from kvsync.agent.changes import Difference, Lacking, Plan, add_up, difference, lacking, plan
from kvsync.agent.metrics import SETTINGS, SyncMetrics
from kvsync.agent.models import Models
from kvsync.agent.payloads import Payloads
from kvsync.agent.replica import Replica
from kvsync.claims import Claims, claims_of, same_picture
from kvsync.encoding import UNREADABLE
from kvsync.errors import InputError, MalformedRecord, StoreFull
from kvsync.files import write_file
from kvsync.log import Cursor, Entry, Skipped
from kvsync.model import ModelAnnouncement
from kvsync.property import parse_property
from kvsync.ranges import RANGES, RangeDigests, RangeEntries, RangeSums, range_of
from kvsync.signing import Envelope, Keyring
from kvsync.store import Changes, Move, RecordStore, StoredEntry

_log = logging.getLogger("sync")

LOADING = b"loading"
"""The cursor while a snapshot is being written: what is there is not to be trusted as whole."""
_AT_ONCE = 256


class CursorMoved(Exception):
    """Somebody else applies to this store: what is known of it here is wrong."""


class Drop(Protocol):
    def __call__(self, tags: Iterable[str], seq: int) -> None: ...


class HeldProperty:
    """The store's side of one property; ``cursor`` is None before a first snapshot or batch.

    ``drop`` is told, after every change, what caches must no longer show. Methods that change
    something wait for one another. Each may raise :class:`kvsync.errors.StoreUnavailable`.
    """

    def __init__(
        self,
        property: str,
        region: str,
        store: RecordStore,
        keys: Keyring,
        models: Models,
        payloads: Payloads,
        metrics: SyncMetrics,
        drop: Drop,
        settings_dir: Path | None,
        replica: Replica | None = None,
    ) -> None:
        self.property = property
        self._region = region
        self._store, self._keys, self._models, self._metrics = store, keys, models, metrics
        self._payloads = payloads
        self._drop = drop
        self._settings_dir, self._replica = settings_dir, replica
        self._turn = asyncio.Lock()
        self._raw_cursor = b""
        self._waiting: set[bytes] = set()
        self.cursor = Cursor()
        self.readable_seq = self.purged_seq = 0

    async def resume(self) -> bool:
        """Take over what the store says; False where only a snapshot can be begun with."""
        async with self._turn:
            state = await self._store.state(self.property)
            self._raw_cursor = state.cursor
            self.cursor, self.purged_seq = _decode(state.cursor), state.purged
            waiting = await self._store.waiting(self.property)
            self._waits(waiting)
            self._bring(lacking(waiting))
        whole = state.cursor not in (b"", LOADING)
        if whole and self._replica is not None:
            self._replica.look_again()
        return whole

    async def apply(self, entries: Iterable[Entry | Skipped], after: Cursor) -> None:
        """Make a batch's changes together with the step to ``after``.

        Raises :class:`CursorMoved`. Where the store is full, revocations are applied and records
        are left out, counted, until a repair finds room for them.
        """
        async with self._turn:
            made = self._plan(entries)
            move = Move(self._raw_cursor, _encode(after))
            try:
                replaced = await self._store.apply(self.property, made.changes, move)
            except StoreFull as error:
                _log.error("%s: %s", self.property, error)
                left_out = len(made.changes.records) + len(made.changes.waiting)
                self._metrics.refuse(self.property, error.reason, left_out)
                replaced = await self._store.apply(self.property, made.without_records(), move)
            if replaced is None:
                raise CursorMoved
            self._raw_cursor, self.cursor = move.after, after
            self._follow_up(made, replaced)

    async def begin_loading(self) -> None:
        """Mark what is held as not whole until :meth:`end_loading`; raises :class:`CursorMoved`."""
        async with self._turn:
            await self._move(LOADING)

    async def load(self, entries: Iterable[Entry | Skipped]) -> None:
        """Write a piece of a snapshot."""
        async with self._turn:
            made = self._plan(entries)
            for some in _slices(made.changes):
                await self._store.apply(self.property, some)
            self._follow_up(made, {}, quietly=True)

    async def end_loading(self, cursor: Cursor) -> None:
        """All of the snapshot is there; caches drop all they have of the property."""
        async with self._turn:
            await self._move(_encode(cursor))
            self.cursor = cursor
            self._waits(self._waiting)
            self._drop((self.property,), cursor.seq)
            if self._replica is not None:
                self._replica.look_again()

    async def let_read(self) -> None:
        """Let the records be read that have all that they waited for."""
        async with self._turn:
            waiting = await self._store.waiting(self.property)
            free = {key: one for key, one in waiting.items() if self._ready(claims_of(one))}
            for some in _slices(Changes(records=free)):
                replaced = await self._store.apply(self.property, some)
                self._drop(_changed(replaced or {}, some.records), self.cursor.seq)
            left = {key: one for key, one in waiting.items() if key not in free}
            self._waits(left)
            self._bring(lacking(left), no_others=True)

    async def digests(self) -> RangeDigests:
        """What all ranges hold, as read from the store."""
        sums = RangeSums()
        waiting = _by_range(await self._store.waiting(self.property))
        async for number, held in self._store.ranges(self.property, range(RANGES)):
            mine = waiting.get(number, {})
            add_up(sums, {**dict.fromkeys(mine, StoredEntry()), **held}, mine)
            await asyncio.sleep(0)
        return RangeDigests.make(self.property, self.cursor.seq, sums)

    async def repair(self, published: RangeEntries) -> tuple[bytes, ...]:
        """Make a range hold what the origin has in it; the keys that differed."""
        async with self._turn:
            waiting = _by_range(await self._store.waiting(self.property)).get(published.number, {})
            async for _, held in self._store.ranges(self.property, [published.number]):
                found = difference(
                    held,
                    waiting,
                    published.read(),
                    taken_at=published.seq,
                    applied=self.cursor.seq,
                )
            if found.keys:
                await self._repair(found)
            return found.keys

    async def _repair(self, found: Difference) -> None:
        made = self._plan(found.entries)
        await self._store.apply(self.property, Changes(forgotten=found.forgotten))
        for some in _slices(made.changes):
            await self._store.apply(self.property, some)
        self._follow_up(made, {}, quietly=True)
        if self._replica is not None:
            self._replica.look_again()
        self._drop((key.hex() for key in found.keys), self.cursor.seq)

    async def drop_unused_payloads(self) -> int:
        """Have the region let go of payloads that no record here names; how many.

        Raises :class:`kvsync.errors.RegionUnavailable`.
        """
        unused = await self._payloads.held(self.property)
        if not unused:
            return 0
        unused -= _payloads_of((await self._store.waiting(self.property)).values())
        async for _, held in self._store.ranges(self.property, range(RANGES)):
            unused -= _payloads_of(one.record for one in held.values() if one.record)
            await asyncio.sleep(0)
        # What is applied from here on has to wait for its payload, be it one of these.
        async with self._turn:
            return await self._payloads.drop(self.property, unused)

    def _ready(self, claims: Claims) -> bool:
        has_model = claims.model is None or self._models.ready(claims.model)
        if claims.payload is None:
            return has_model
        # Also without its model: asked about, it is not dropped as one that nothing names.
        return self._payloads.ready(self.property, claims.payload) and has_model

    def _bring(self, missing: Lacking, *, no_others: bool = False) -> None:
        for model, records in missing.models.items():
            self._models.want(self.property, model, records)
        self._payloads.want(self.property, missing.payloads, no_others=no_others)

    def _plan(self, entries: Iterable[Entry | Skipped]) -> Plan:
        made = plan(
            entries,
            property=self.property,
            region=self._region,
            ready=self._ready,
            trusted=lambda key_id: self._keys.trusts(key_id, self.property),
            now=time.time(),
        )
        for reason, count in made.counted.items():
            _log.warning("%s: %d entries are of no use here: %s", self.property, count, reason)
            self._metrics.refuse(self.property, reason, count)
        return made

    def _follow_up(
        self, made: Plan, replaced: Mapping[bytes, bytes], *, quietly: bool = False
    ) -> None:
        """What a change entails beside the store; ``quietly``: caches are told of it otherwise."""
        changes = made.changes
        waiting = self._waiting.difference(changes.records, changes.tombstones)
        self._waits(waiting.union(changes.waiting))
        for announcement in made.announced:
            self._announced(announcement)
        self._bring(made.lacking)
        if made.settings is not None:
            self._configure(made.settings)
        if not quietly:
            buried = (key.hex() for key in made.changes.tombstones)
            changed = _changed(replaced, made.changes.records)
            self._drop((*buried, *changed), self.cursor.seq)
            if self._replica is not None:
                self._replica.note({**changes.waiting, **changes.records}, changes.tombstones)

    def _announced(self, signed: bytes) -> None:
        try:
            body = Envelope.parse(signed).body
            model = msgspec.msgpack.decode(body, type=ModelAnnouncement).manifest.digest
        except (MalformedRecord, *UNREADABLE) as error:
            _log.warning("%s: a model's announcement cannot be read: %s", self.property, error)
            self._metrics.refuse(self.property, MalformedRecord.reason)
            return
        self._models.announce(self.property, model)

    def _configure(self, toml: bytes) -> None:
        if self._settings_dir is None:
            return
        path = self._settings_dir / f"{self.property}.toml"
        try:
            found = parse_property(toml, path)
            if found.id != self.property:
                raise InputError(f"{path}: the log carries another property's settings")
            write_file(path, toml)
            if self._replica is not None:
                self._replica.configure(found.ways)
        except InputError as error:
            _log.error("settings as they were stay in force: %s", error)
            self._metrics.refuse(self.property, SETTINGS)

    def _waits(self, keys: Iterable[bytes]) -> None:
        self._waiting = set(keys)
        if not self._waiting:
            self.readable_seq = self.cursor.seq

    async def _move(self, after: bytes) -> None:
        move = Move(self._raw_cursor, after)
        if await self._store.apply(self.property, Changes(), move) is None:
            raise CursorMoved
        self._raw_cursor = after


def _changed(replaced: Mapping[bytes, bytes], records: Mapping[bytes, bytes]) -> Iterable[str]:
    """Tags of the assets whose approved picture is another one now."""
    return (key.hex() for key, old in replaced.items() if not same_picture(old, records[key]))


def _payloads_of(signed: Iterable[bytes]) -> set[bytes]:
    """Digests of the payloads that records name."""
    found: set[bytes] = set()
    for one in signed:
        try:
            payload = claims_of(one).payload
        except MalformedRecord:
            continue  # It is answered from the origin.
        if payload is not None:
            found.add(payload.digest)
    return found


def _slices(changes: Changes) -> Iterable[Changes]:
    """The same in steps that keep readers waiting for a millisecond at most."""
    for tombstones in _some(changes.tombstones):
        yield Changes(tombstones=tombstones)
    for waiting in _some(changes.waiting):
        yield Changes(waiting=waiting)
    for records in _some(changes.records):
        yield Changes(records=records)


def _some(signed: Mapping[bytes, bytes]) -> Iterable[dict[bytes, bytes]]:
    pairs = iter(signed.items())
    while some := dict(islice(pairs, _AT_ONCE)):
        yield some


def _by_range(records: Mapping[bytes, bytes]) -> dict[int, dict[bytes, bytes]]:
    found: dict[int, dict[bytes, bytes]] = {}
    for key, signed in records.items():
        found.setdefault(range_of(key), {})[key] = signed
    return found


def _encode(cursor: Cursor) -> bytes:
    return cursor.seq.to_bytes(8, "big") + cursor.digest


def _decode(raw: bytes) -> Cursor:
    return Cursor() if raw in (b"", LOADING) else Cursor(int.from_bytes(raw[:8], "big"), raw[8:])
