"""The log of a property: signed batches of changes, each bound to the one before by its digest.

The origin writes it and regions read it in order; a relay passes its bytes on unchanged. One
signature covers a batch. Inside it, a record's own signature is checked where it is used, and an
entry that this version cannot read is set apart instead of stopping the log. The format is written
out in docs/record-format.md#log.
"""

import builtins
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import Gap, MalformedRecord, Replayed, WrongChain
from kvsync.record import MAX_SIGNED_BYTES, AssetKey, Digest, Name, Natural
from kvsync.signing import Keyring, SigningKey

LOG_PATH = "/v1/log"
MAX_BATCH_BYTES = 1 << 20
"""Of a signed batch; a sealer ends a batch before it would grow past this."""
MAX_SETTINGS_BYTES = 64 << 10
MAX_ANNOUNCEMENT_BYTES = 256 << 10

Signed = Annotated[bytes, Meta(max_length=MAX_SIGNED_BYTES)]


class Put(msgspec.Struct, frozen=True, array_like=True, tag="put"):
    """A signed record of ``key``, which the region verifies where it is used."""

    seq: Natural
    key: AssetKey
    signed: Signed


class Bury(msgspec.Struct, frozen=True, array_like=True, tag="tombstone"):
    """A signed tombstone of ``key``."""

    seq: Natural
    key: AssetKey
    signed: Signed


class Canary(msgspec.Struct, frozen=True, array_like=True, tag="canary"):
    """A signed record of ``key`` that only ``regions`` use, until the key's next put or tombstone.

    All others go on with what they have (docs/decisions/0013-canary.md).
    """

    seq: Natural
    key: AssetKey
    signed: Signed
    regions: Annotated[tuple[Name, ...], Meta(min_length=1, max_length=100)]


class Configure(msgspec.Struct, frozen=True, array_like=True, tag="property"):
    """The property's settings from now on, as its TOML file says them."""

    seq: Natural
    toml: Annotated[bytes, Meta(max_length=MAX_SETTINGS_BYTES)]


class Announce(msgspec.Struct, frozen=True, array_like=True, tag="model"):
    """A signed :class:`kvsync.model.ModelAnnouncement`; records that need it come later."""

    seq: Natural
    announcement: Annotated[bytes, Meta(max_length=MAX_ANNOUNCEMENT_BYTES)]


Entry = Put | Bury | Canary | Configure | Announce
"""A change, numbered by ``seq``: a tagged union that may grow."""

_KNOWN_TAGS = frozenset({"put", "tombstone", "canary", "property", "model"})


@dataclass(frozen=True, slots=True)
class Skipped:
    """What a signed batch has in the place of an entry that cannot be used: counted, no more."""

    seq: int
    tag: str
    why: Literal["unsupported", "malformed"]


@dataclass(frozen=True, slots=True)
class Cursor:
    """How far a reader is: the last sequence it applied, and the digest of that batch."""

    seq: int = 0
    digest: bytes = bytes(32)


class _Body(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    property: Name
    first: Natural
    last: Natural
    previous: Digest
    made_at_ms: Natural
    entries: msgspec.Raw


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries ``first`` to ``last`` of a property's log: in hand, they follow what was before.

    ``digest`` is BLAKE2b-256 of the signed body; ``made_at_ms`` is by the origin's clock.
    """

    property: str
    first: int
    last: int
    previous: bytes
    made_at_ms: int
    entries: tuple[Entry | Skipped, ...]
    digest: bytes
    signed: bytes

    @builtins.property
    def cursor(self) -> Cursor:
        """Where a reader is once it has applied this."""
        return Cursor(self.last, self.digest)

    @classmethod
    def seal(
        cls,
        key: SigningKey,
        property: str,
        entries: Sequence[Entry],
        *,
        after: Cursor,
        made_at_ms: int,
    ) -> Self:
        """Sign what follows ``after``; :class:`Gap` unless the entries are numbered so."""
        raw = msgspec.msgpack.encode(entries)
        first, last = after.seq + 1, after.seq + len(entries)
        if not entries or any(one.seq != first + at for at, one in enumerate(entries)):
            raise Gap(f"{property}: a batch after {after.seq} must be numbered from {first} on")
        body = msgspec.msgpack.encode(
            _Body("batch", property, first, last, after.digest, made_at_ms, msgspec.Raw(raw))
        )
        return cls(
            property,
            first,
            last,
            after.digest,
            made_at_ms,
            tuple(entries),
            _digest(body),
            key.sign(body),
        )

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, property: str, after: Cursor) -> Self:
        """Verify, then parse, then demand that it is the batch that follows ``after``.

        Raises :class:`Replayed`, :class:`Gap`, :class:`WrongChain` or what
        :meth:`Keyring.open` raises, all :class:`kvsync.errors.RecordError`.
        """
        if len(signed) > MAX_BATCH_BYTES:
            raise MalformedRecord(f"{property}: a batch of {len(signed)} bytes is too large")
        raw = keys.open(signed, property)
        try:
            body = msgspec.msgpack.decode(raw, type=_Body)
        except UNREADABLE as error:
            raise MalformedRecord(f"{property}: not a batch of the log: {error}") from error
        _demand_next(body, property, after)
        return cls(
            property,
            body.first,
            body.last,
            body.previous,
            body.made_at_ms,
            _demand_numbered(decode_entries(body.entries, first=body.first), body),
            _digest(raw),
            signed,
        )


class Heartbeat(msgspec.Struct, frozen=True, array_like=True):
    """The origin's word that at ``at_ms`` the property's log ended at ``seq``.

    Whoever has applied the log that far knew of every revocation up to ``at_ms``, by the origin's
    clock; another region may pass a newer one on.
    """

    kind: str
    property: Name
    seq: Natural
    digest: Digest
    at_ms: Natural

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def make(cls, property: str, head: Cursor, at_ms: int) -> Self:
        return cls("heartbeat", property, head.seq, head.digest, at_ms)

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, property: str) -> Self:
        """Verify, then parse, then trust; raises a :class:`kvsync.errors.RecordError`."""
        try:
            found = msgspec.msgpack.decode(keys.open(signed, property), type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"{property}: not a heartbeat: {error}") from error
        if found.kind != "heartbeat" or found.property != property:
            raise MalformedRecord(f"{property}: the heartbeat is of something else")
        return found


def encode_entries(entries: Iterable[Entry]) -> bytes:
    """A msgpack array of entries, as in batches, ranges and pieces of a snapshot."""
    return msgspec.msgpack.encode(list(entries))


def decode_entries(raw: bytes, *, first: int = 0) -> tuple[Entry | Skipped, ...]:
    """The entries of an array, in order; :class:`MalformedRecord` if it is none.

    ``first`` is the number of the first where each counts on from the one before: it numbers
    those that cannot be read.
    """
    try:
        return _ENTRIES.decode(raw)
    except UNREADABLE:
        pass  # One that is unknown or broken: they are read one by one.
    try:
        raws = msgspec.msgpack.decode(raw, type=list[msgspec.Raw])
    except UNREADABLE as error:
        raise MalformedRecord(f"not a list of entries: {error}") from error
    return tuple(_read_entry(one, first + at) for at, one in enumerate(raws))


_ENTRIES = msgspec.msgpack.Decoder(tuple[Entry, ...])
_ENTRY: msgspec.msgpack.Decoder[Entry] = msgspec.msgpack.Decoder(Entry)


def _read_entry(raw: msgspec.Raw, seq: int) -> Entry | Skipped:
    try:
        return _ENTRY.decode(raw)
    except UNREADABLE:
        pass
    try:
        tag = msgspec.msgpack.decode(
            msgspec.msgpack.decode(raw, type=list[msgspec.Raw])[0], type=str
        )
    except (*UNREADABLE, IndexError):
        return Skipped(seq, "", "malformed")
    return Skipped(seq, tag, "malformed" if tag in _KNOWN_TAGS else "unsupported")


def _demand_next(body: _Body, property: str, after: Cursor) -> None:
    if body.kind != "batch" or body.property != property:
        raise MalformedRecord(
            f"{property}: a {body.kind[:20]!r} of {body.property} came for a batch"
        )
    if body.last <= after.seq:
        raise Replayed(f"{property}: batch {body.first} to {body.last} came again")
    if body.first > after.seq + 1:
        raise Gap(f"{property}: batch {body.first} came after {after.seq}; some are missing")
    if body.first != after.seq + 1 or body.previous != after.digest:
        raise WrongChain(f"{property}: batch {body.first} does not follow what was applied")


def _demand_numbered(
    entries: tuple[Entry | Skipped, ...], body: _Body
) -> tuple[Entry | Skipped, ...]:
    if [one.seq for one in entries] != list(range(body.first, body.last + 1)):
        raise MalformedRecord(f"{body.property}: batch {body.first} has other entries than it says")
    return entries


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=32).digest()
