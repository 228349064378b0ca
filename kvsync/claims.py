"""What a signed record or tombstone says of itself, read without looking at its signature.

Enough to sort by, at a microsecond each; whoever uses a record verifies it
(:meth:`kvsync.record.Record.from_signed`).
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import MalformedRecord
from kvsync.record import KNOWN_METHODS
from kvsync.signing import Envelope


class _Record(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    key: bytes
    property: str
    family: str
    seq: int
    recipe: msgspec.Raw
    checks: msgspec.Raw
    original: msgspec.Raw
    approval: msgspec.Raw
    not_after: int


class _Tombstone(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    key: bytes
    property: str
    seq: int


class _Recipe(msgspec.Struct, frozen=True, array_like=True):
    method: str
    model: bytes


class _Approval(msgspec.Struct, frozen=True, array_like=True):
    approver: bytes
    approved_at: int


_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_RECORD = msgspec.msgpack.Decoder(_Record)
_TOMBSTONE = msgspec.msgpack.Decoder(_Tombstone)
_RECIPE = msgspec.msgpack.Decoder(_Recipe)


@dataclass(frozen=True, slots=True)
class Claims:
    """``model`` is what a region must hold before the record is of use, None where this version
    cannot tell: such a record is answered from the origin. ``picture`` is the same for two
    records of one original and one approval."""

    key_id: bytes
    key: bytes
    seq: int
    not_after: int
    model: bytes | None
    picture: Any


def claims_of(signed: bytes) -> Claims:
    """What a record says; :class:`MalformedRecord` for what has not even a record's outline."""
    try:
        envelope = _ENVELOPE.decode(signed)
        record = _RECORD.decode(envelope.body)
    except UNREADABLE as error:
        raise MalformedRecord(f"not a record: {error}") from error
    model = None
    if record.kind == "still":
        try:
            recipe = _RECIPE.decode(record.recipe)
            model = recipe.model if recipe.method in KNOWN_METHODS else None
        except UNREADABLE:
            pass  # Of a method to come: without a model that this version knows of.
    picture = (record.original, record.approval)
    return Claims(envelope.key_id, record.key, record.seq, record.not_after, model, picture)


def seq_of(signed: bytes, *, buried: bool) -> int:
    """A record's or tombstone's sequence; :class:`MalformedRecord` where it has none."""
    try:
        body = _ENVELOPE.decode(signed).body
        return _TOMBSTONE.decode(body).seq if buried else _RECORD.decode(body).seq
    except UNREADABLE as error:
        raise MalformedRecord(f"without a sequence: {error}") from error


def same_picture(old: bytes, new: bytes) -> bool:
    """Whether both records are of one original and one approval: a carried approval is of the
    picture that was seen, so what caches have of the old one is right."""
    try:
        of_old, of_new = claims_of(old).picture, claims_of(new).picture
        approvals = [msgspec.msgpack.decode(one[1], type=_Approval) for one in (of_old, of_new)]
    except (MalformedRecord, *UNREADABLE):
        return False
    return bytes(of_old[0]) == bytes(of_new[0]) and approvals[0] == approvals[1]
