"""What a signed record or tombstone says of itself, read without looking at its signature.

Enough to sort by, at a microsecond each; whoever uses a record verifies it
(:meth:`kvsync.record.Record.from_signed`).
"""

from typing import Any, Generic, TypeVar

import msgspec

from kvsync.encoding import UNREADABLE
from kvsync.errors import MalformedRecord
from kvsync.record import KNOWN_METHODS, FittedRecipe, KeptPayload
from kvsync.signing import Envelope

R = TypeVar("R")


class _Recipe(msgspec.Struct, frozen=True, array_like=True):
    method: str
    model: bytes


class _Record(msgspec.Struct, Generic[R], frozen=True, array_like=True):
    kind: str
    key: bytes
    property: str
    family: str
    seq: int
    recipe: R
    checks: msgspec.Raw
    original: msgspec.Raw
    approval: msgspec.Raw
    not_after: int


class _Tombstone(msgspec.Struct, frozen=True, array_like=True):
    kind: str
    key: bytes
    property: str
    seq: int


class _Approval(msgspec.Struct, frozen=True, array_like=True):
    approver: bytes
    approved_at: int


_ENVELOPE = msgspec.msgpack.Decoder(Envelope)
_KNOWN = msgspec.msgpack.Decoder(_Record[_Recipe])
_FITTED = msgspec.msgpack.Decoder(_Record[FittedRecipe])
# Of a method to come, whose recipe may be anything.
_ANY = msgspec.msgpack.Decoder(_Record[msgspec.Raw])
_TOMBSTONE = msgspec.msgpack.Decoder(_Tombstone)


class Claims(msgspec.Struct, frozen=True, gc=False):
    """``model`` and, where it is not inside, ``payload`` are what a region must hold before the
    record is of use; ``model`` is None where this version cannot tell: such a record is answered
    from the origin. ``picture`` is the same for two records of one original and one approval."""

    key_id: bytes
    property: str
    family: str
    key: bytes
    seq: int
    not_after: int
    model: bytes | None
    payload: KeptPayload | None
    picture: Any


def claims_of(signed: bytes) -> Claims:
    """What a record says; :class:`MalformedRecord` for what has not even a record's outline."""
    try:
        envelope = _ENVELOPE.decode(signed)
        record = _outline(envelope.body)
    except UNREADABLE as error:
        raise MalformedRecord(f"not a record: {error}") from error
    recipe, model, payload = record.recipe, None, None
    if record.kind == "still" and isinstance(recipe, _Recipe) and recipe.method in KNOWN_METHODS:
        model = recipe.model
        if recipe.method == "fitted":
            model, payload = _fitted(envelope.body)
    picture = (record.original, record.approval)
    return Claims(
        envelope.key_id,
        record.property,
        record.family,
        record.key,
        record.seq,
        record.not_after,
        model,
        payload,
        picture,
    )


def _outline(body: bytes) -> _Record[_Recipe] | _Record[msgspec.Raw]:
    try:
        return _KNOWN.decode(body)
    except UNREADABLE:
        return _ANY.decode(body)


def _fitted(body: bytes) -> tuple[bytes | None, KeptPayload | None]:
    """The model and what is named beside it; neither where the payload is of an unknown form."""
    try:
        recipe = _FITTED.decode(body).recipe
    except UNREADABLE:
        return None, None
    return recipe.model, recipe.kept


def seq_of(signed: bytes, *, buried: bool) -> int:
    """A record's or tombstone's sequence; :class:`MalformedRecord` where it has none."""
    try:
        body = _ENVELOPE.decode(signed).body
        return _TOMBSTONE.decode(body).seq if buried else _ANY.decode(body).seq
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
