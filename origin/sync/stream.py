"""The log where regions' questions are answered from: one Valkey or Redis Stream per property, on
a server, by ``rediss://`` over TLS, or by ``redis+cluster://`` on a cluster.

It stays inside the origin. Everything in it can be made again from the database, so it may be
trimmed, flushed or lost. ``log:{property}`` has one element per batch, ``{last}-0``;
``head:{property}`` says where it ends and ``beat:{property}`` holds the last signed heartbeat.
"""

from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from redis.asyncio import Redis, RedisCluster
from redis.exceptions import RedisClusterException, RedisError

from kvsync.errors import InputError, StoreUnavailable, Trimmed
from kvsync.log import Batch
from kvsync.log_answer import LogAnswer

BROKEN = (RedisError, RedisClusterException, OSError, TimeoutError, RuntimeError)
_CLUSTER = "+cluster://"
_TIMEOUT_S = 5.0
_ANSWER_BYTES = _TAIL_BYTES = 4 << 20
_MOST_BATCHES = 512

# Head and batch move together, so a stream that lost its end is never written on.
_APPEND = """
local head = redis.call('GET', KEYS[2]) or '0'
if head == ARGV[1] then
    redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'first', ARGV[3], 'batch', ARGV[4])
    redis.call('SET', KEYS[2], ARGV[2])
    head = ARGV[2]
end
return head
"""


@dataclass(frozen=True, slots=True)
class _Read:
    """``first`` is the first sequence of the first batch that was found, ``last`` the last one."""

    heartbeat: bytes | None
    first: int
    last: int
    batches: tuple[bytes, ...]


class _Added(NamedTuple):
    first: int
    last: int
    signed: bytes


class _Tail:
    """The last batches that this process added itself: every region asks for the same ones."""

    def __init__(self) -> None:
        self._batches: deque[_Added] = deque()
        self._bytes = 0

    def add(self, batch: Batch) -> None:
        if self._batches and self._batches[-1].last + 1 != batch.first:
            self.trim(batch.first)
        self._batches.append(_Added(batch.first, batch.last, batch.signed))
        self._bytes += len(batch.signed)
        while self._bytes > _TAIL_BYTES:
            self._forget()

    def trim(self, first: int) -> None:
        while self._batches and self._batches[0].first < first:
            self._forget()

    def after(self, seq: int) -> list[_Added]:
        """Those that follow, together no more than an answer holds; none where one is missing."""
        found = [one for one in self._batches if one.first > seq]
        return found if found and found[0].first == seq + 1 else []

    def _forget(self) -> None:
        self._bytes -= len(self._batches.popleft().signed)


class LogStream:
    """The streams of all properties; :class:`StoreUnavailable` when their server is gone."""

    def __init__(self, url: str) -> None:
        self.where = url.rpartition("@")[2]
        try:
            self.redis = _open(url, _TIMEOUT_S)
            # A reader that waits holds its connection, and no answer comes until there is one.
            self._waiting = _open(url, None)
        except (ValueError, RedisClusterException) as error:
            raise InputError(f"ORIGIN_LOG_URL: {self.where}: {error}") from error
        self._append = self.redis.register_script(_APPEND)
        self._tails: defaultdict[str, _Tail] = defaultdict(_Tail)

    async def close(self) -> None:
        await self.redis.aclose()
        await self._waiting.aclose()

    async def head(self, property: str) -> int | None:
        """The last sequence in the stream; None when there is no stream."""
        try:
            found = await self.redis.get(_name("head", property))
        except BROKEN as error:
            raise self.unavailable(error) from error
        return None if found is None else int(found)

    async def first(self, property: str) -> int | None:
        """The first sequence that the stream still has; None when it has nothing."""
        try:
            found = await self.redis.xrange(_name("log", property), count=1)
        except BROKEN as error:
            raise self.unavailable(error) from error
        return int(found[0][1][b"first"]) if found else None

    async def append(self, batch: Batch) -> bool:
        """Add the batch that follows; False if the stream ends elsewhere than it should."""
        try:
            head = await self._append(
                keys=[_name("log", batch.property), _name("head", batch.property)],
                args=[batch.first - 1, batch.last, batch.first, batch.signed],
            )
        except BROKEN as error:
            raise self.unavailable(error) from error
        if int(head) != batch.last:
            self._tails.pop(batch.property, None)
            return False
        self._tails[batch.property].add(batch)
        return True

    async def begin(self, property: str, seq: int) -> None:
        """Throw the stream away and begin anew after ``seq``."""
        self._tails.pop(property, None)
        try:
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.delete(_name("log", property), _name("beat", property))
                pipe.set(_name("head", property), seq)
                await pipe.execute()
        except BROKEN as error:
            raise self.unavailable(error) from error

    async def trim(self, property: str, first: int) -> None:
        """Forget the batches that end before ``first``."""
        self._tails[property].trim(first)
        try:
            await self.redis.xtrim(_name("log", property), minid=f"{first}-0", approximate=False)
        except BROKEN as error:
            raise self.unavailable(error) from error

    async def beat(self, property: str, heartbeat: bytes) -> None:
        """Keep the newest signed heartbeat; its batch is in the stream already."""
        try:
            await self.redis.set(_name("beat", property), heartbeat)
        except BROKEN as error:
            raise self.unavailable(error) from error

    async def read(self, property: str, after: int, wait_ms: int) -> LogAnswer:
        """What follows ``after``, at most 4 MiB; waits for it up to ``wait_ms`` if nothing does.

        Every batch up to the heartbeat's sequence is there, unless they are too many for one
        answer. Raises :class:`Trimmed` when the next one is not kept any more.
        """
        try:
            found = await self._read(property, after)
            if wait_ms and not found.batches:
                name = _name("log", property)
                await self._waiting.xread({name: f"{after}-0"}, count=1, block=wait_ms)
                found = await self._read(property, after)
        except BROKEN as error:
            raise self.unavailable(error) from error
        if found.heartbeat is None:
            raise StoreUnavailable(f"{property}: the log is not ready; ask again in a second")
        if found.batches and found.first > after + 1:
            raise Trimmed(f"{property}: the log begins at {found.first}; take the snapshot")
        return LogAnswer(found.heartbeat, found.batches)

    async def _read(self, property: str, after: int) -> _Read:
        """Heartbeat and batches as they were at one moment, while they fit into one answer."""
        if self._tails[property].after(after):
            beat = await self.redis.get(_name("beat", property))
            # Looked for after the heartbeat, so that none is missing that it knows of.
            if added := self._tails[property].after(after):
                found = tuple(one.signed for one in added)
                return _Read(beat, added[0].first, added[-1].last, found)
        heartbeat, size, first, batches = None, 0, 0, list[bytes]()
        count = 8
        while size < _ANSWER_BYTES:
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.get(_name("beat", property))
                pipe.xrange(_name("log", property), min=f"({after}-0", count=count)
                beat, found = await pipe.execute()
            heartbeat = beat if heartbeat is None else heartbeat
            for name, fields in found:
                if size and size + len(fields[b"batch"]) > _ANSWER_BYTES:
                    return _Read(heartbeat, first, after, tuple(batches))
                first = first or int(fields[b"first"])
                after = int(name.partition(b"-")[0])
                size += len(fields[b"batch"])
                batches.append(fields[b"batch"])
            if len(found) < count:
                break
            count = min(2 * count, _MOST_BATCHES)
        return _Read(heartbeat, first, after, tuple(batches))

    def unavailable(self, error: Exception) -> StoreUnavailable:
        return StoreUnavailable(f"the log's server {self.where}: {error or type(error).__name__}")


def _open(url: str, timeout_s: float | None) -> Any:
    limits: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": _TIMEOUT_S,
    }
    if _CLUSTER in url:
        return RedisCluster.from_url(url.replace(_CLUSTER, "://"), **limits)
    return Redis.from_url(url, **limits)


def _name(kind: str, property: str) -> str:
    # The braces keep a property in one slot of a cluster.
    return f"{kind}:{{{property}}}"
