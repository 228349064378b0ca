"""What an edge and a region say to one another over HTTP."""

from collections.abc import AsyncIterable
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from kvsync.encoding import UNREADABLE
from kvsync.errors import BadRequest, RegionUnavailable, RehydrationError
from kvsync.record import Digest, KeptPayload
from kvsync.rendition import Rendition, parse_rendition

REHYDRATE_PATH = "/v1/rehydrate"
PURGE_PATH = "/v1/purge"
MODELS_PATH = "/v1/models"
PAYLOADS_PATH = "/v1/payloads"
MSGPACK = "application/msgpack"
BYTES = "application/octet-stream"
MAX_PURGE_BYTES = 1 << 20
MAX_HOLD_BYTES = 256 << 10
MAX_PAYLOADS_AT_ONCE = 1_000


class RehydrateRequest(msgspec.Struct, frozen=True, array_like=True):
    """Body of ``POST /v1/rehydrate``.

    The region verifies ``signed`` again, for this key and property; ``deadline_ms`` is how long
    the caller will wait from now.
    """

    property: str
    key: Annotated[bytes, Meta(min_length=16, max_length=16)]
    signed: bytes
    rendition: msgspec.Raw
    deadline_ms: Annotated[int, Meta(ge=0, le=3_600_000)]

    @classmethod
    def make(
        cls, property: str, key: bytes, signed: bytes, rendition: Rendition, deadline_ms: int
    ) -> Self:
        raw = msgspec.Raw(msgspec.msgpack.encode(rendition))
        return cls(property, key, signed, raw, deadline_ms)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except UNREADABLE as error:
            raise BadRequest(f"not a rehydrate request: {error}") from error

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)

    def parse_rendition(self) -> Rendition:
        return parse_rendition(self.rendition)


class Hold(msgspec.Struct, frozen=True, array_like=True):
    """Body of ``POST /v1/models/{property}/{digest}``: approved records to calibrate the model by.

    Pairs of asset key (16 bytes) and signed record, all of that model; an empty body is none.
    """

    sample: tuple[tuple[Annotated[bytes, Meta(min_length=16, max_length=16)], bytes], ...] = ()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        try:
            return msgspec.msgpack.decode(data, type=cls) if data else cls()
        except UNREADABLE as error:
            raise BadRequest(f"not a sample of records: {error}") from error

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class PayloadList(msgspec.Struct, frozen=True, array_like=True):
    """Body of ``POST /v1/payloads/{property}``: payloads to fetch, and digests of those to drop.

    ``GET`` answers with the same: ``hold`` is what is held. At most :data:`MAX_PAYLOADS_AT_ONCE`
    of each when posted.
    """

    hold: tuple[KeptPayload, ...] = ()
    drop: tuple[Digest, ...] = ()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except UNREADABLE as error:
            raise BadRequest(f"not a list of payloads: {error}") from error

    def encode(self) -> bytes:
        return msgspec.msgpack.encode(self)


class PayloadsHeld(msgspec.Struct, frozen=True):
    """JSON answer: by digest in hex, why those of ``hold`` that are not held now are not."""

    missing: dict[str, str] = {}

    @classmethod
    def decode(cls, data: bytes) -> Self:
        try:
            return msgspec.json.decode(data, type=cls)
        except UNREADABLE as error:
            raise RegionUnavailable(f"not an answer about payloads: {error}") from error

    def encode(self) -> bytes:
        return msgspec.json.encode(self)


class Purge(msgspec.Struct, frozen=True):
    """JSON body of ``POST /v1/purge``: drop what carries one of the tags, or everything.

    Tags are asset keys in hex, family names and property ids. The answer is ``{"purged": N}``.
    """

    tags: tuple[str, ...] = ()
    everything: bool = False

    @classmethod
    def decode(cls, data: bytes) -> Self:
        try:
            return msgspec.json.decode(data, type=cls)
        except UNREADABLE as error:
            raise BadRequest(f"not a purge: {error}") from error


async def read_body(pieces: AsyncIterable[bytes], max_bytes: int) -> bytes:
    """A request's whole body; :class:`BadRequest` as soon as it is longer than ``max_bytes``."""
    body = bytearray()
    async for piece in pieces:
        body += piece
        if len(body) > max_bytes:
            raise BadRequest(f"the body is longer than {max_bytes} bytes")
    return bytes(body)


class ErrorBody(msgspec.Struct, frozen=True):
    """JSON body of every error answer of every service."""

    error: str
    detail: str

    @classmethod
    def of(cls, error: RehydrationError) -> Self:
        return cls(error.reason, str(error))
