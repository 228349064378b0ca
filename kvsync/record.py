"""The record: everything needed to regenerate one asset and to check it.

Wire form: a signed envelope (:mod:`kvsync.signing`) around an array-encoded msgpack body. Readers
ignore added trailing fields; a kind, recipe or check they do not know means :class:`Unsupported`,
which callers count and answer from the origin. The format is written out in docs/record-format.md.
"""

import hashlib
from dataclasses import dataclass
from typing import Self

import msgspec

from kvsync.errors import (
    ExpiredRecord,
    MalformedRecord,
    RevokedRecord,
    Unsupported,
    WrongAsset,
)
from kvsync.signing import Keyring, SigningKey

MAX_SIGNED_BYTES = 4_096
KNOWN_CHECKS = frozenset({"grid1"})


class PromptRecipe(msgspec.Struct, frozen=True, array_like=True, tag="prompt"):
    """Text and seed for one model; ``model`` is its 32-byte digest, sizes in pixels."""

    model: bytes
    prompt: str
    seed: int
    width: int
    height: int
    steps: int = 1
    sampler: str = "Euler"
    guidance: float = 1.0

    def one_line(self) -> str:
        """The community's one-line form, model hash shortened as is the custom."""
        return (
            f"{self.prompt}, Steps: {self.steps}, Sampler: {self.sampler}, "
            f"CFG scale: {self.guidance:g}, Seed: {self.seed}, "
            f"Size: {self.width}x{self.height}, Model hash: {self.model.hex()[:8]}"
        )


Recipe = PromptRecipe
"""A tagged union with one member for now; ``fitted`` and ``codebook`` will join."""


class Check(msgspec.Struct, frozen=True, array_like=True):
    """How to tell that a generated unit is the approved one; a still has the one unit 0."""

    unit: int
    algorithm: str
    digest: bytes


class Original(msgspec.Struct, frozen=True, array_like=True):
    """The asset that the record stands for: validator (its ETag), BLAKE2b-256, type, bytes."""

    validator: str
    digest: bytes
    media_type: str
    size: int


class Approval(msgspec.Struct, frozen=True, array_like=True):
    """Who approved (random 8-byte id), when (Unix seconds), and the scores that were seen."""

    approver: bytes
    approved_at: int
    ssimulacra2: float
    delta_e: float


class RecordBody(msgspec.Struct, frozen=True, array_like=True):
    """The signed fields, in wire order; ``seq`` counts up per property."""

    kind: str
    key: bytes
    property: str
    family: str
    seq: int
    recipe: Recipe
    checks: tuple[Check, ...]
    original: Original
    approval: Approval
    not_after: int

    def sign(self, key: SigningKey) -> bytes:
        """The signed record; :class:`MalformedRecord` beyond 4 KB."""
        signed = key.sign(msgspec.msgpack.encode(self))
        if len(signed) > MAX_SIGNED_BYTES:
            raise MalformedRecord(
                f"record of {self.recipe.prompt[:40]!r}… is {len(signed)} bytes, "
                f"more than {MAX_SIGNED_BYTES}; shorten the prompt"
            )
        return signed


@dataclass(frozen=True, slots=True)
class Record:
    """A record that was verified: in hand, it is to be trusted."""

    body: RecordBody
    signed: bytes
    digest: bytes

    @classmethod
    def from_signed(
        cls,
        signed: bytes,
        keys: Keyring,
        *,
        key: bytes,
        property: str,
        now: float,
        buried_seq: int = -1,
    ) -> Self:
        """Verify, then parse, then trust.

        ``now`` is Unix seconds, ``buried_seq`` the sequence of the key's last tombstone.
        Raises a :class:`kvsync.errors.RecordError`, never returns a half-checked record.
        """
        if len(signed) > MAX_SIGNED_BYTES:
            raise MalformedRecord(f"record of {len(signed)} bytes, more than {MAX_SIGNED_BYTES}")
        raw = keys.open(signed, property)
        body = _parse_body(raw)
        if body.key != key or body.property != property:
            raise WrongAsset(f"the record is of another asset ({body.property}/{body.key.hex()})")
        if body.seq <= buried_seq:
            raise RevokedRecord(f"record {body.seq} was revoked by tombstone {buried_seq}")
        if now >= body.not_after:
            raise ExpiredRecord(f"the record was valid until {body.not_after}")
        return cls(body, signed, hashlib.blake2b(raw, digest_size=16).digest())


class Tombstone(msgspec.Struct, frozen=True, array_like=True):
    """A signed revocation of every record of ``key`` up to ``seq``."""

    kind: str
    key: bytes
    property: str
    seq: int

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, key: bytes, property: str) -> Self:
        raw = keys.open(signed, property)
        try:
            found = msgspec.msgpack.decode(raw, type=cls)
        except msgspec.MsgspecError as error:
            raise MalformedRecord(f"not a tombstone: {error}") from error
        if found.kind != "tombstone":
            raise MalformedRecord(f"a {found.kind!r} was stored as a tombstone")
        if found.key != key or found.property != property:
            raise WrongAsset("the tombstone is of another asset")
        return found


def _parse_body(raw: bytes) -> RecordBody:
    """Look at kind, recipe and checks before the whole, so that the new is not called broken."""
    try:
        fields = msgspec.msgpack.decode(raw, type=list[msgspec.Raw])
        kind = msgspec.msgpack.decode(fields[0], type=str)
        if kind != "still":
            raise Unsupported(f"record kind {kind!r} is not known to this version")
        method = msgspec.msgpack.decode(
            msgspec.msgpack.decode(fields[5], type=list[msgspec.Raw])[0], type=str
        )
        if method != "prompt":
            raise Unsupported(f"recipe method {method!r} is not known to this version")
        body = msgspec.msgpack.decode(raw, type=RecordBody)
    except (msgspec.MsgspecError, IndexError) as error:
        raise MalformedRecord(f"not a record: {error}") from error
    if unknown := {check.algorithm for check in body.checks} - KNOWN_CHECKS:
        raise Unsupported(f"check {', '.join(sorted(unknown))} is not known to this version")
    if not body.checks:
        raise MalformedRecord("a record without a check cannot be told from a forgery")
    return body
