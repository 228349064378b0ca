"""The record: everything needed to regenerate one asset and to check it.

Wire form: a signed envelope (:mod:`kvsync.signing`) around an array-encoded msgpack body. Readers
ignore added trailing fields; a kind, recipe or check they do not know means :class:`Unsupported`,
which callers count and answer from the origin. The format is written out in docs/record-format.md.
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import (
    ExpiredRecord,
    MalformedRecord,
    RevokedRecord,
    Unsupported,
    WrongAsset,
)
from kvsync.signing import Keyring, SigningKey

MAX_SIGNED_BYTES = 4_096
MAX_PAYLOAD_BYTES = 2_048
"""Of a payload that lies inside its record; a larger one is named there and kept elsewhere."""
MAX_KEPT_PAYLOAD_BYTES = 4 << 20
KNOWN_CHECKS = frozenset({"grid1"})

AssetKey = Annotated[bytes, Meta(min_length=16, max_length=16)]
Digest = Annotated[bytes, Meta(min_length=32, max_length=32)]
# Names end up in header values and in key names of the store.
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,40}\Z")]
# What every database and language holds without loss.
Natural = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Side = Annotated[int, Meta(ge=1, le=16_384)]


class KeptPayload(msgspec.Struct, frozen=True, array_like=True, tag="kept"):
    """A payload that is too large for a record: BLAKE2b-256 of its bytes, and how many they are."""

    digest: Digest
    size: Annotated[int, Meta(gt=MAX_PAYLOAD_BYTES, le=MAX_KEPT_PAYLOAD_BYTES)]

    @classmethod
    def of(cls, payload: bytes) -> Self:
        return cls(hashlib.blake2b(payload, digest_size=32).digest(), len(payload))


Payload = Annotated[bytes, Meta(min_length=1)] | KeptPayload
"""What is inside, or what names it: a tagged union."""


class PromptRecipe(msgspec.Struct, frozen=True, array_like=True, tag="prompt"):
    """Text and seed for one model; ``model`` is its 32-byte digest, sizes in pixels."""

    model: Digest
    prompt: str
    seed: Natural
    width: Side
    height: Side
    steps: Annotated[int, Meta(ge=1, le=1_000)] = 1
    sampler: Annotated[str, Meta(max_length=40)] = "Euler"
    guidance: Annotated[float, Meta(ge=0, le=100)] = 1.0

    def one_line(self) -> str:
        """The community's one-line form, model hash shortened as is the custom."""
        return (
            f"{self.prompt}, Steps: {self.steps}, Sampler: {self.sampler}, "
            f"CFG scale: {self.guidance:g}, Seed: {self.seed}, "
            f"Size: {self.width}x{self.height}, Model hash: {self.model.hex()[:8]}"
        )

    def with_payload(self, payload: bytes | KeptPayload) -> "FittedRecipe":
        """The same, fitted: see `FittedRecipe`."""
        return FittedRecipe(**(msgspec.structs.asdict(self) | {"payload": payload}))

    def as_signed(self) -> "PromptRecipe":
        """The same as a record has it: a payload that is too large for one is named."""
        return self

    @property
    def kept(self) -> KeptPayload | None:
        """The payload that has to be fetched before this can be generated."""
        return None

    @property
    def carried(self) -> bytes:
        """The payload that lies inside, empty for none; :class:`MalformedRecord` for one that is
        only named, which has to be put in its place first."""
        return b""


class FittedRecipe(PromptRecipe, frozen=True, array_like=True, tag="fitted", kw_only=True):
    """A prompt recipe with what was fitted for one asset beside it.

    ``payload`` is the model's own: for a posed family, how one shot was taken
    (docs/record-format.md). It takes the place of what the seed would have drawn. Inside a record
    it has at most :data:`MAX_PAYLOAD_BYTES`.
    """

    payload: Payload

    def one_line(self) -> str:
        digest = self.kept.digest if self.kept else KeptPayload.of(self.carried).digest
        return f"{super().one_line()}, Payload hash: {digest.hex()[:8]}"

    def as_signed(self) -> "FittedRecipe":
        """:class:`MalformedRecord` for a payload that is too large for anything."""
        if self.kept is not None or len(self.carried) <= MAX_PAYLOAD_BYTES:
            return self
        if len(self.carried) > MAX_KEPT_PAYLOAD_BYTES:
            raise MalformedRecord(
                f"a payload of {len(self.carried)} bytes, more than {MAX_KEPT_PAYLOAD_BYTES}"
            )
        return self.with_payload(KeptPayload.of(self.carried))

    @property
    def kept(self) -> KeptPayload | None:
        return self.payload if isinstance(self.payload, KeptPayload) else None

    @property
    def carried(self) -> bytes:
        if isinstance(self.payload, KeptPayload):
            raise MalformedRecord(f"payload {self.payload.digest.hex()[:8]} is named, and not here")
        return self.payload


Recipe = PromptRecipe | FittedRecipe
"""A tagged union; ``codebook`` will join."""

KNOWN_METHODS = frozenset({"prompt", "fitted"})
KNOWN_PAYLOADS = frozenset({"kept"})
_PAYLOAD_AT = 9


class Check(msgspec.Struct, frozen=True, array_like=True):
    """How to tell that a generated unit is the approved one; a still has the one unit 0."""

    unit: Natural
    algorithm: Annotated[str, Meta(min_length=1, max_length=16)]
    digest: Annotated[bytes, Meta(min_length=1, max_length=1_024)]


class Original(msgspec.Struct, frozen=True, array_like=True):
    """The asset that the record stands for: validator (its ETag), BLAKE2b-256, type, bytes."""

    validator: Annotated[str, Meta(pattern=r"\A[\x20-\x7e]{0,128}\Z")]
    digest: Digest
    media_type: Annotated[str, Meta(pattern=r"\A[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,40}\Z")]
    size: Natural


class Approval(msgspec.Struct, frozen=True, array_like=True):
    """Who approved (random 8-byte id), when (Unix seconds), and the scores that were seen."""

    approver: Annotated[bytes, Meta(min_length=8, max_length=8)]
    approved_at: Natural
    ssimulacra2: Annotated[float, Meta(ge=-10_000, le=101)]
    delta_e: Annotated[float, Meta(ge=0, le=1_000)]


class RecordBody(msgspec.Struct, frozen=True, array_like=True):
    """The signed fields, in wire order; ``seq`` counts up per property."""

    kind: str
    key: AssetKey
    property: Name
    family: Name
    seq: Natural
    recipe: Recipe
    checks: tuple[Check, ...]
    original: Original
    approval: Approval
    not_after: Natural

    def sign(self, key: SigningKey) -> bytes:
        """The signed record; :class:`RecordError` beyond 4 KB or if no reader would accept it."""
        raw = msgspec.msgpack.encode(self)
        _parse_body(raw)
        signed = key.sign(raw)
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
    key: AssetKey
    property: Name
    seq: Natural

    def sign(self, key: SigningKey) -> bytes:
        return key.sign(msgspec.msgpack.encode(self))

    @classmethod
    def from_signed(cls, signed: bytes, keys: Keyring, *, key: bytes, property: str) -> Self:
        """Verify, then parse, then trust; raises a :class:`kvsync.errors.RecordError`."""
        if len(signed) > MAX_SIGNED_BYTES:
            raise MalformedRecord(f"tombstone of {len(signed)} bytes, over {MAX_SIGNED_BYTES}")
        raw = keys.open(signed, property)
        try:
            found = msgspec.msgpack.decode(raw, type=cls)
        except UNREADABLE as error:
            raise MalformedRecord(f"not a tombstone: {error}") from error
        if found.kind != "tombstone":
            raise MalformedRecord(f"a {found.kind!r} was stored as a tombstone")
        if found.key != key or found.property != property:
            raise WrongAsset("the tombstone is of another asset")
        return found


def _parse_body(raw: bytes) -> RecordBody:
    """Refuse the unknown before the damaged, so that the new is not called broken."""
    try:
        _refuse_unknown(msgspec.msgpack.decode(raw, type=list[msgspec.Raw]))
        body = msgspec.msgpack.decode(raw, type=RecordBody)
    except (*UNREADABLE, IndexError) as error:
        raise MalformedRecord(f"not a record: {error}") from error
    if not body.checks:
        raise MalformedRecord("a record without a check cannot be told from a forgery")
    if any(check.unit != 0 for check in body.checks):
        raise MalformedRecord("a still has one unit, numbered 0")
    if body.recipe.kept is None and len(body.recipe.carried) > MAX_PAYLOAD_BYTES:
        raise MalformedRecord(f"a payload above {MAX_PAYLOAD_BYTES} bytes is named, not put inside")
    return body


def _refuse_unknown(fields: list[msgspec.Raw]) -> None:
    """:class:`Unsupported` unless kind, recipe and checks, the only parts read, are known."""
    kind = msgspec.msgpack.decode(fields[0], type=str)
    if kind != "still":
        raise Unsupported(f"record kind {kind!r} is not known to this version")
    recipe = msgspec.msgpack.decode(fields[5], type=list[msgspec.Raw])
    method = msgspec.msgpack.decode(recipe[0], type=str)
    if method not in KNOWN_METHODS:
        raise Unsupported(f"recipe method {method!r} is not known to this version")
    if method == "fitted":
        _refuse_unknown_payload(recipe[_PAYLOAD_AT])
    checks = msgspec.msgpack.decode(fields[6], type=list[list[msgspec.Raw]])
    algorithms = {msgspec.msgpack.decode(check[1], type=str) for check in checks}
    if unknown := algorithms - KNOWN_CHECKS:
        raise Unsupported(f"check {', '.join(sorted(unknown))} is not known to this version")


def _refuse_unknown_payload(raw: msgspec.Raw) -> None:
    payload = msgspec.msgpack.decode(raw, type=bytes | list[msgspec.Raw])
    if isinstance(payload, bytes):
        return
    form = msgspec.msgpack.decode(payload[0], type=str)
    if form not in KNOWN_PAYLOADS:
        raise Unsupported(f"payload {form[:20]!r} is not known to this version")
