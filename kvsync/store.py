"""Where records are looked up: a port, and its versions in memory and on Valkey or Redis.

A tombstone is kept under a name of its own, so that writing a revoked record back does not undo
the revocation. Both are read in one round trip.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError

from kvsync.errors import InputError, StoreUnavailable

_MAX_CONNECTIONS = 64
# uvloop raises RuntimeError when it is to write to a connection that has just been closed.
_BROKEN = (RedisError, OSError, TimeoutError, RuntimeError)
_WORTH_ANOTHER: tuple[Any, ...] = (Disconnected, RuntimeError)


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What a store holds under an asset key, unverified: signed record, signed tombstone."""

    record: bytes | None = None
    tombstone: bytes | None = None


class RecordStore(Protocol):
    """Signed records by property and asset key (16 bytes). Each method may raise
    :class:`StoreUnavailable`."""

    async def get(self, property: str, key: bytes) -> StoredEntry: ...

    async def put(self, property: str, records: Mapping[bytes, bytes]) -> None:
        """Write signed records, all or none."""

    async def bury(self, property: str, tombstones: Mapping[bytes, bytes]) -> None:
        """Write signed tombstones and drop the records under them, all or none."""

    async def count(self, property: str) -> int:
        """How many records the property has."""

    async def close(self) -> None: ...


class MemoryStore:
    """A :class:`RecordStore` that lives and dies with its process."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, bytes], bytes] = {}
        self._tombstones: dict[tuple[str, bytes], bytes] = {}

    async def get(self, property: str, key: bytes) -> StoredEntry:
        name = (property, key)
        return StoredEntry(self._records.get(name), self._tombstones.get(name))

    async def put(self, property: str, records: Mapping[bytes, bytes]) -> None:
        self._records.update({(property, key): signed for key, signed in records.items()})

    async def bury(self, property: str, tombstones: Mapping[bytes, bytes]) -> None:
        for key, signed in tombstones.items():
            self._tombstones[property, key] = signed
            self._records.pop((property, key), None)

    async def count(self, property: str) -> int:
        return sum(1 for owner, _ in self._records if owner == property)

    async def close(self) -> None:
        pass


class ValkeyStore:
    """A :class:`RecordStore` on one Valkey or Redis server.

    Keys are ``r:{property}:`` or ``t:{property}:`` and the 16 raw bytes of the asset key; the
    braces keep a property in one slot of a cluster. The members of ``n:{property}`` are its keys.

    ``timeout_s`` bounds each wait: for a free connection, to connect, for the answer. A connection
    that broke while it lay idle is replaced once, without delay. Raises :class:`InputError` for a
    URL that is none.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.25) -> None:
        where = url.rpartition("@")[2]
        try:
            pool = BlockingConnectionPool.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=timeout_s,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 1, supported_errors=_WORTH_ANOTHER),
            )
        except ValueError as error:
            raise InputError(f"{where}: not a redis:// or rediss:// URL: {error}") from error
        self._redis = Redis.from_pool(pool)
        self._where = where

    async def get(self, property: str, key: bytes) -> StoredEntry:
        try:
            record, tombstone = await self._redis.mget(
                _name(b"r", property, key), _name(b"t", property, key)
            )
        except _BROKEN as error:
            raise self._unavailable(error) from error
        return StoredEntry(_bytes(record), _bytes(tombstone))

    async def put(self, property: str, records: Mapping[bytes, bytes]) -> None:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for key, signed in records.items():
                    pipe.set(_name(b"r", property, key), signed)
                if records:
                    pipe.sadd(_index(property), *records)
                await pipe.execute()
        except _BROKEN as error:
            raise self._unavailable(error) from error

    async def bury(self, property: str, tombstones: Mapping[bytes, bytes]) -> None:
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for key, signed in tombstones.items():
                    pipe.set(_name(b"t", property, key), signed)
                    pipe.delete(_name(b"r", property, key))
                if tombstones:
                    pipe.srem(_index(property), *tombstones)
                await pipe.execute()
        except _BROKEN as error:
            raise self._unavailable(error) from error

    async def count(self, property: str) -> int:
        try:
            return int(await self._redis.scard(_index(property)))
        except _BROKEN as error:
            raise self._unavailable(error) from error

    async def close(self) -> None:
        await self._redis.aclose()

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"key-value store {self._where}: {error or type(error).__name__}")


def _name(kind: bytes, property: str, key: bytes) -> bytes:
    return b"%b:{%b}:%b" % (kind, property.encode(), key)


def _index(property: str) -> bytes:
    return b"n:{%b}" % property.encode()


def _bytes(value: bytes | str | None) -> bytes | None:
    """The client's types allow text, which it returns only when asked to decode."""
    return value.encode() if isinstance(value, str) else value
