"""A property, a key and a record as they are in life."""

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from redis import Redis

from kvsync.property import Property, QueryRules
from kvsync.record import Record, RecordBody
from kvsync.rendition import FormatRule, RenditionRules
from kvsync.signing import Keyring, SigningKey
from tests.kvsync.blob_world import blobs, folder
from tests.kvsync.golden import NOW, example_body, example_key
from tests.kvsync.sync_world import SyncWorld, sync_world

__all__ = ["blobs", "folder"]


@pytest.fixture(scope="session")
def site() -> Property:
    return Property(
        id="shop",
        hosts=("shop.example", "[::1]"),
        renditions=RenditionRules(
            widths=(384, 768),
            qualities=(85, 92),
            encode_budget_ms=100.0,
            formats=(FormatRule("jpeg", 92, 88.6, 1.5, 85.0),),
        ),
        query=QueryRules(
            significant=("v", "view"),
            refused=("token",),
            rendition={"w": "width", "width": "width", "fm": "format", "q": "quality"},
        ),
    )


@pytest.fixture(scope="session")
def body() -> RecordBody:
    return example_body()


@dataclass(frozen=True)
class Trust:
    """A signing key and what trusts it."""

    key: SigningKey
    ring: Keyring


def read(signed: bytes, trust: Trust, body: RecordBody, *, buried_seq: int = -1) -> Record:
    return Record.from_signed(
        signed, trust.ring, key=body.key, property="shop", now=NOW, buried_seq=buried_seq
    )


def fields(body: RecordBody) -> list[object]:
    decoded: list[object] = msgspec.msgpack.decode(msgspec.msgpack.encode(body))
    return decoded


@pytest.fixture(scope="session")
def trust() -> Trust:
    key = example_key()
    return Trust(key, Keyring((key.trusted_for(["shop"]),)))


@pytest.fixture
def world(tmp_path: Path) -> SyncWorld:
    return sync_world(tmp_path)


@pytest.fixture
def url(valkey_url: str) -> str:
    with Redis.from_url(valkey_url) as client:
        client.flushall()
    return valkey_url
