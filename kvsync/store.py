"""Where a region keeps its records: the port, and its version on Valkey or Redis.

Of each asset there is at most one record and one tombstone. A tombstone does not take the record's
place, so that writing a revoked record back does not undo the revocation; both are read at once.
How it lies in the server: docs/record-format.md#valkey.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, fields
from itertools import chain
from typing import Any, Protocol, TypeVar

from hiredis import pack_command
from redis.asyncio import BlockingConnectionPool, Connection, Redis, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import OutOfMemoryError, RedisClusterException, RedisError

from kvsync.ending import cancellable
from kvsync.errors import InputError, StoreFull, StoreUnavailable
from kvsync.ranges import RANGES, range_of
from kvsync.store_scripts import APPLY, NOTE, REMOVE

T = TypeVar("T")

TOMBSTONE = b"t"
"""What follows the asset key in the name of its tombstone's field."""
_MAX_CONNECTIONS = 64
_RANGES_AT_ONCE = 64
_NAMES_AT_ONCE = 1_000
# Of a hash's fields, for what all of them take: records are of one size.
_SAMPLES = 5
# uvloop raises RuntimeError when it is to write to a connection that has just been closed.
_BROKEN = (RedisError, RedisClusterException, OSError, TimeoutError, RuntimeError)
_WORTH_ANOTHER: tuple[Any, ...] = (Disconnected, RuntimeError)
_CLUSTER = "+cluster://"


class _Connection(Connection):
    """Commands of thousands of arguments are packed by hiredis, in a third of the time."""

    def pack_command(self, *args: Any) -> list[bytes]:
        # Names of two words are packed as two.
        if b" " in args[0] if isinstance(args[0], bytes) else " " in args[0]:
            packed: list[bytes] = super().pack_command(*args)
            return packed
        return [pack_command(args)]


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """What a store holds under an asset key, unverified: signed record, signed tombstone."""

    record: bytes | None = None
    tombstone: bytes | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What becomes of assets, by asset key and in this order.

    ``withdrawn`` lose their record, ``forgotten`` their tombstone as well. A tombstone drops the
    record under it. ``waiting`` are records that nobody is to read yet; each that is read from now
    on (``records``), or buried, waits no longer.
    """

    withdrawn: tuple[bytes, ...] = ()
    forgotten: tuple[bytes, ...] = ()
    tombstones: Mapping[bytes, bytes] = field(default_factory=dict)
    waiting: Mapping[bytes, bytes] = field(default_factory=dict)
    records: Mapping[bytes, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """From which cursor (empty: none yet) to which a change takes a property."""

    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class StoreState:
    """Of one property: how far its log is applied, and up to which sequence its caches confirmed
    to have dropped what it changed; the newest signed heartbeat; how many are held."""

    cursor: bytes = b""
    heartbeat: bytes = b""
    purged: int = 0
    records: int = 0
    tombstones: int = 0
    waiting: int = 0


class RecordStore(Protocol):
    """Signed records by property and asset key (16 bytes). Each method may raise
    :class:`StoreUnavailable`."""

    async def get(self, property: str, key: bytes) -> StoredEntry: ...

    async def apply(
        self, property: str, changes: Changes, move: Move | None = None
    ) -> dict[bytes, bytes] | None:
        """Make all changes; the records that others took the place of, by asset key.

        None, and no change, where the cursor is not ``move.before``. Raises :class:`StoreFull`;
        changes that add neither records nor waiting ones never do.
        """

    async def state(self, property: str) -> StoreState: ...

    async def note(self, property: str, *, heartbeat: bytes = b"", purged: int = 0) -> None:
        """Keep a signed heartbeat, or how far the caches are; also where the memory is full."""

    async def waiting(self, property: str) -> dict[bytes, bytes]:
        """The records that nobody is to read yet."""

    def ranges(
        self, property: str, numbers: Iterable[int]
    ) -> AsyncIterator[tuple[int, dict[bytes, StoredEntry]]]:
        """What lies in ranges (0 to 4095) of asset keys, those that wait left out."""

    async def bytes_held(self, property: str) -> int:
        """The memory that its records and tombstones take."""

    async def properties(self) -> list[str]:
        """The ids of all properties that something is kept of."""

    async def remove(self, property: str) -> None:
        """Forget the property and all that is kept of it."""

    async def close(self) -> None: ...


class ValkeyStore:
    """A :class:`RecordStore` on a Valkey or Redis server, or, by ``redis+cluster://``, a cluster.

    ``timeout_s`` bounds each wait: for a free connection, to connect, for the answer. A connection
    that broke while it lay idle is replaced once, without delay. Raises :class:`InputError` for a
    URL that is none.
    """

    def __init__(self, url: str, *, timeout_s: float = 0.25) -> None:
        self._where = url.rpartition("@")[2]
        self._turns: AbstractAsyncContextManager[Any] = nullcontext()
        try:
            self._redis = self._open(url, timeout_s)
        except (ValueError, RedisClusterException) as error:
            raise InputError(f"{self._where}: not a redis:// or rediss:// URL: {error}") from error
        self._apply = self._redis.register_script(APPLY)
        self._note = self._redis.register_script(NOTE)
        self._remove = self._redis.register_script(REMOVE)

    def _open(self, url: str, timeout_s: float) -> Any:
        limits: dict[str, Any] = {
            "socket_timeout": timeout_s,
            "socket_connect_timeout": timeout_s,
            "retry": Retry(NoBackoff(), 1, supported_errors=_WORTH_ANOTHER),
        }
        if _CLUSTER in url:
            # Its own pools refuse where another's would wait.
            self._turns = asyncio.Semaphore(_MAX_CONNECTIONS)
            return RedisCluster.from_url(
                url.replace(_CLUSTER, "://"), max_connections=2 * _MAX_CONNECTIONS, **limits
            )
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_MAX_CONNECTIONS,
            timeout=timeout_s,
            connection_class=_Connection,
            **limits,
        )
        return Redis.from_pool(pool)

    async def get(self, property: str, key: bytes) -> StoredEntry:
        record, tombstone = await self._ask(
            self._redis.hmget, _entries(property, range_of(key)), [key, key + TOMBSTONE]
        )
        return StoredEntry(record, tombstone)

    async def apply(
        self, property: str, changes: Changes, move: Move | None = None
    ) -> dict[bytes, bytes] | None:
        args: list[bytes | int] = [0, b"", b""] if move is None else [1, move.before, move.after]
        args.append(b"+" if changes.records or changes.waiting else b"-")
        for keys in (changes.withdrawn, changes.forgotten):
            args.append(len(keys))
            args += keys
        for signed in (changes.tombstones, changes.waiting, changes.records):
            args.append(len(signed))
            args += chain.from_iterable(signed.items())
        replaced = await self._ask(self._apply, _names(property), args)
        return None if replaced is None else dict(zip(replaced[::2], replaced[1::2], strict=True))

    async def put(self, property: str, records: Mapping[bytes, bytes]) -> None:
        await self.apply(property, Changes(records=records))

    async def bury(self, property: str, tombstones: Mapping[bytes, bytes]) -> None:
        await self.apply(property, Changes(tombstones=tombstones))

    async def count(self, property: str) -> int:
        return (await self.state(property)).records

    async def state(self, property: str) -> StoreState:
        names = [field.name for field in fields(StoreState)]
        cursor, heartbeat, *counts = await self._ask(self._redis.hmget, _state(property), names)
        return StoreState(cursor or b"", heartbeat or b"", *(int(one or 0) for one in counts))

    async def note(self, property: str, *, heartbeat: bytes = b"", purged: int = 0) -> None:
        args = [*((b"heartbeat", heartbeat) if heartbeat else ())]
        args += [b"purged", b"%d" % purged] if purged else []
        await self._ask(self._note, _names(property), args)

    async def waiting(self, property: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = await self._ask(self._redis.hgetall, _waiting(property))
        return found

    async def ranges(
        self, property: str, numbers: Iterable[int]
    ) -> AsyncIterator[tuple[int, dict[bytes, StoredEntry]]]:
        left = list(numbers)
        while left:
            some, left = left[:_RANGES_AT_ONCE], left[_RANGES_AT_ONCE:]
            async with self._redis.pipeline(transaction=False) as pipe:
                for number in some:
                    pipe.hgetall(_entries(property, number))
                found = await self._ask(pipe.execute)
            for number, held in zip(some, found, strict=True):
                yield number, _by_key(held)

    async def bytes_held(self, property: str) -> int:
        names = [_waiting(property), *(_entries(property, number) for number in range(RANGES))]
        held = 0
        while names:
            some, names = names[:_RANGES_AT_ONCE], names[_RANGES_AT_ONCE:]
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in some:
                    pipe.memory_usage(name, samples=_SAMPLES)
                held += sum(size or 0 for size in await self._ask(pipe.execute))
        return held

    async def properties(self) -> list[str]:
        async def names() -> list[bytes]:
            scanned = self._redis.scan_iter(match=_state("*"), count=_NAMES_AT_ONCE)
            return [name async for name in scanned]

        before, after = _state("*").split(b"*")
        found = {name.removeprefix(before).removesuffix(after) for name in await self._ask(names)}
        return sorted(name.decode() for name in found)

    async def remove(self, property: str) -> None:
        await self._ask(self._remove, _names(property), [RANGES])

    async def close(self) -> None:
        await self._redis.aclose()

    async def _ask(self, call: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        try:
            async with self._turns:
                return await cancellable(call(*arguments))
        except OutOfMemoryError as error:
            raise StoreFull(
                f"key-value store {self._where} is full; raise its maxmemory"
            ) from error
        except _BROKEN as error:
            raise StoreUnavailable(
                f"key-value store {self._where}: {error or type(error).__name__}"
            ) from error


def _entries(property: str, number: int) -> bytes:
    return b"e:{%b}:%d" % (property.encode(), number)


def _state(property: str) -> bytes:
    return b"s:{%b}" % property.encode()


def _waiting(property: str) -> bytes:
    return b"w:{%b}" % property.encode()


def _names(property: str) -> list[bytes]:
    """What scripts are told: state, waiting records, what names of ranges begin with."""
    return [_state(property), _waiting(property), b"e:{%b}:" % property.encode()]


def _by_key(held: Mapping[bytes, bytes]) -> dict[bytes, StoredEntry]:
    keys = {name[:16] for name in held}
    return {key: StoredEntry(held.get(key), held.get(key + TOMBSTONE)) for key in keys}
