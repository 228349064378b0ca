"""What a batch of the log, a snapshot or a repair comes to in a region's store: pure functions."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

from kvsync.claims import Claims, claims_of, seq_of
from kvsync.errors import (
    ExpiredRecord,
    KeyNotAllowed,
    MalformedRecord,
    Unsupported,
    WrongAsset,
)
from kvsync.log import Announce, Bury, Canary, Configure, Entry, Put, Skipped
from kvsync.ranges import RangeSums, entry_hash
from kvsync.record import KeptPayload
from kvsync.store import Changes, StoredEntry


@dataclass(frozen=True, slots=True)
class Lacking:
    """What records wait for: by model those that need it, by asset key; and payloads."""

    models: Mapping[bytes, Mapping[bytes, bytes]] = field(default_factory=dict)
    payloads: tuple[KeptPayload, ...] = ()


@dataclass(slots=True)
class Plan:
    """What to do about entries: ``changes`` for the store, ``announced`` models to bring in, the
    property's last ``settings``, what records that wait are ``lacking``, and what was ``counted``
    as not to be used, by reason."""

    changes: Changes
    announced: list[bytes] = field(default_factory=list)
    settings: bytes | None = None
    lacking: Lacking = field(default_factory=Lacking)
    counted: Counter[str] = field(default_factory=Counter)

    def without_records(self) -> Changes:
        """For a store that is full: what took a record's place takes it away all the same."""
        added = (*self.changes.records, *self.changes.waiting)
        return Changes(
            withdrawn=(*self.changes.withdrawn, *added), tombstones=self.changes.tombstones
        )


def plan(
    entries: Iterable[Entry | Skipped],
    *,
    property: str,
    region: str,
    ready: Callable[[Claims], bool],
    trusted: Callable[[bytes], bool],
    now: float,
) -> Plan:
    """Changes of entries of a property's log, in its order; the last one of a key counts.

    A canary is for those regions alone that it names: to ``region``, if it is one of them, a put
    like any other. ``ready`` tells whether what a record needs is at hand, ``trusted`` whether a
    key id is; ``now`` is Unix seconds. A record that nobody could use is written all the same,
    since the region holds what was published, and counted: whoever reads it refuses it.
    """
    made = Plan(Changes())
    records: dict[bytes, bytes] = {}
    waiting: dict[bytes, bytes] = {}
    tombstones: dict[bytes, bytes] = {}
    # Of a few keys at most, and asked of each record.
    trusted = cache(trusted)
    for entry in entries:
        if isinstance(entry, Canary) and region not in entry.regions:
            continue
        if isinstance(entry, (Put, Canary)):
            try:
                claims = claims_of(entry.signed)
            except MalformedRecord as error:
                made.counted[error.reason] += 1
                waiting.pop(entry.key, None)
                records[entry.key] = entry.signed
                continue
            if not trusted(claims.key_id):
                made.counted[KeyNotAllowed.reason] += 1
            elif why := _no_use(claims, entry.key, property, now):
                made.counted[why] += 1
            elif not ready(claims):
                records.pop(entry.key, None)
                waiting[entry.key] = entry.signed
                continue
            waiting.pop(entry.key, None)
            records[entry.key] = entry.signed
        elif isinstance(entry, Bury):
            records.pop(entry.key, None)
            waiting.pop(entry.key, None)
            tombstones[entry.key] = entry.signed
        elif isinstance(entry, Announce):
            made.announced.append(entry.announcement)
        elif isinstance(entry, Configure):
            made.settings = entry.toml
        else:
            made.counted[entry.why] += 1
    made.changes = Changes(tombstones=tombstones, waiting=waiting, records=records)
    made.lacking = lacking(waiting)
    return made


def _no_use(claims: Claims, key: bytes, property: str, now: float) -> str:
    """Why nobody could use a record of that asset, empty where somebody could."""
    if claims.property != property or claims.key != key:
        return WrongAsset.reason
    if now >= claims.not_after:
        return ExpiredRecord.reason
    return Unsupported.reason if claims.model is None else ""


def lacking(waiting: Mapping[bytes, bytes]) -> Lacking:
    """What records that wait may wait for."""
    models: dict[bytes, dict[bytes, bytes]] = {}
    payloads: dict[bytes, KeptPayload] = {}
    for key, signed in waiting.items():
        claims = claims_of(signed)
        models.setdefault(claims.model or b"", {})[key] = signed
        if claims.payload is not None:
            payloads[claims.payload.digest] = claims.payload
    return Lacking(models, tuple(payloads.values()))


def newest(entry: StoredEntry, waiting: bytes | None) -> tuple[bytes, bool] | None:
    """What counts of a key that is held: signed bytes, and whether they bury it."""
    record = waiting if waiting is not None else entry.record
    if record is not None:
        return record, False
    return None if entry.tombstone is None else (entry.tombstone, True)


def add_up(
    sums: RangeSums, held: Mapping[bytes, StoredEntry], waiting: Mapping[bytes, bytes]
) -> None:
    """Add what a range holds to its digest."""
    for key, entry in held.items():
        found = newest(entry, waiting.get(key))
        if found is not None:
            signed, buried = found
            sums.add(key, entry_hash(key, signed, buried=buried))


@dataclass(frozen=True, slots=True)
class Difference:
    """What a range lacks (``entries``) and has too much of (keys to be ``forgotten``)."""

    entries: tuple[Put | Bury, ...]
    forgotten: tuple[bytes, ...]

    @property
    def keys(self) -> tuple[bytes, ...]:
        return tuple(dict.fromkeys((*(one.key for one in self.entries), *self.forgotten)))


def difference(
    held: Mapping[bytes, StoredEntry],
    waiting: Mapping[bytes, bytes],
    wanted: Iterable[Put | Bury],
    *,
    taken_at: int,
    applied: int,
) -> Difference:
    """How a range has to change to hold what the origin had in it at sequence ``taken_at``.

    ``waiting`` are those of the range. What is later than ``applied`` will come by the log, and
    what is held and later than ``taken_at`` came by it: both are left alone.
    """
    entries: list[Put | Bury] = []
    forgotten: list[bytes] = []
    published: set[bytes] = set()
    for entry in wanted:
        published.add(entry.key)
        buried = isinstance(entry, Bury)
        stored = held.get(entry.key, _NOTHING)
        found = newest(stored, waiting.get(entry.key))
        if found == (entry.signed, buried) or entry.seq > applied:
            continue
        if found is not None and taken_at < _seq(*found) <= applied:
            continue
        entries.append(entry)
        if not buried and stored.tombstone is not None:
            if _seq(stored.tombstone, True) >= entry.seq:
                forgotten.append(entry.key)
    for key in held.keys() | waiting.keys():
        found = newest(held.get(key, _NOTHING), waiting.get(key))
        if key not in published and found is not None and not taken_at < _seq(*found) <= applied:
            forgotten.append(key)
    return Difference(tuple(entries), tuple(forgotten))


_NOTHING = StoredEntry()


def _seq(signed: bytes, buried: bool) -> int:
    try:
        return seq_of(signed, buried=buried)
    except MalformedRecord:
        return 0
