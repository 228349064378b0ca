"""The sealer: from the database's outbox into the stream, batch by batch.

It may be stopped at any point and begun anew anywhere: what is sealed is decided by the database,
and the stream only ever gets the batch that follows its last one. A heartbeat says that at its time
nothing was published that the log did not have, so while the sealer cannot reach the database or
the stream there are none.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from kvsync.errors import InputError, RehydrationError
from kvsync.log import Cursor, Heartbeat
from kvsync.signing import SigningKey
from origin.database import Database
from origin.sync import chain
from origin.sync.stream import LogStream

_log = logging.getLogger(__name__)
_POLL_S = 0.02
_BEAT_S = 0.5
_REST_S = 0.5


@dataclass
class _Tail:
    """What is known of one property's stream: where it ends, and the batches it still has."""

    head: Cursor
    kept: deque[tuple[int, int]] = field(default_factory=deque)  # first sequence, bytes
    bytes: int = 0
    beat_at_ms: int = 0
    beat_seq: int = -1


@dataclass
class Sealer:
    """Seals every property's log into streams of at most ``max_bytes`` each.

    ``sealed`` is the last sequence by property, ``faults`` why a property's log stands still.
    """

    database: Database
    stream: LogStream
    key: SigningKey
    max_bytes: int
    now_ms: Callable[[], int] = lambda: int(time.time() * 1_000)
    sealed: dict[str, int] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._tails: dict[str, _Tail] = {}
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something was published by this very process."""
        self._woken.set()

    async def run(self) -> None:
        """Go on for ever; what stands still is tried again."""
        while True:
            await self.step()
            with suppress(TimeoutError):
                # Not wait_for: before Python 3.12 it may lose a cancellation at its time's end.
                async with asyncio.timeout(_REST_S if self.faults else _POLL_S):
                    await self._woken.wait()
            self._woken.clear()

    async def step(self) -> None:
        """Seal everything there is and say so; a property that cannot be does not stop others."""
        at_ms = self.now_ms()
        try:
            heads = await asyncio.to_thread(chain.heads, self.database)
        except SQLAlchemyError as error:
            self._stands_still("", error)
            return
        self.faults.pop("", None)
        for property, (given, sealed) in heads.items():
            try:
                await self._bring_up(property, given, sealed, at_ms)
                self.faults.pop(property, None)
            except (RehydrationError, SQLAlchemyError) as error:
                self._stands_still(property, error)

    async def _bring_up(self, property: str, given: int, sealed: int, at_ms: int) -> None:
        tail = self._tails.get(property)
        if tail is None or tail.head.seq != sealed:
            tail = self._tails[property] = await self._caught_up(property)
        while tail.head.seq < given and await self._seal(property, tail):
            pass
        if tail.head.seq >= given:
            await self._beat(property, tail, at_ms)

    def _stands_still(self, property: str, error: Exception) -> None:
        self._tails.pop(property, None)
        if self.faults.get(property) != str(error):
            _log.error("the log of %s stands still: %s", property or "every property", error)
        self.faults[property] = str(error)

    async def _seal(self, property: str, tail: _Tail) -> bool:
        """Seal some batches; False if another process did, whose tail is then read anew."""
        batches = await asyncio.to_thread(
            chain.seal_next, self.database, self.key, property, self.now_ms()
        )
        for batch in batches:
            if not await self.stream.append(batch):
                break
            tail.head = batch.cursor
            tail.kept.append((batch.first, len(batch.signed)))
            tail.bytes += len(batch.signed)
            self.sealed[property] = batch.last
            await self._trim(property, tail)
        if not batches or tail.head != batches[-1].cursor:
            self._tails.pop(property, None)
            return False
        return True

    async def _beat(self, property: str, tail: _Tail, at_ms: int) -> None:
        if tail.beat_seq == tail.head.seq and at_ms < tail.beat_at_ms + _BEAT_S * 1_000:
            return
        if await self.stream.head(property) != tail.head.seq:
            self._tails.pop(property, None)  # It lost something: the next step makes it whole.
            return
        beat = Heartbeat.make(property, tail.head, at_ms)
        await self.stream.beat(property, beat.sign(self.key))
        tail.beat_at_ms, tail.beat_seq = at_ms, tail.head.seq

    async def _caught_up(self, property: str) -> _Tail:
        """Bring the stream to where the database is, from whatever it holds."""
        head = await asyncio.to_thread(chain.head, self.database, property)
        there = await self.stream.head(property)
        if there is not None and there > head.seq:
            raise InputError(
                f"{property}: the log's stream ends at {there}, the database at {head.seq}: "
                "it is an older one; restore the newest (docs/operations.md#sync)"
            )
        begin = await asyncio.to_thread(chain.is_batch_end, self.database, property, there or 0)
        missing = chain.sealed_after(
            self.database,
            self.key,
            property,
            there if there is not None and begin else 0,
            max_bytes=self.max_bytes,
        )
        first = True
        while (batch := await asyncio.to_thread(next, missing, None)) is not None:
            if first and batch.first - 1 != there:
                await self.stream.begin(property, batch.first - 1)
            first = False
            await self.stream.append(batch)
        return await self._tail(property, head)

    async def _tail(self, property: str, head: Cursor) -> _Tail:
        first = await self.stream.first(property)
        kept = await asyncio.to_thread(chain.sizes, self.database, property, first or head.seq + 1)
        tail = _Tail(head, deque(kept), sum(size for _, size in kept))
        self.sealed[property] = head.seq
        await self._trim(property, tail)
        return tail

    async def _trim(self, property: str, tail: _Tail) -> None:
        forgotten = False
        while tail.bytes > self.max_bytes and len(tail.kept) > 1:
            tail.bytes -= tail.kept.popleft()[1]
            forgotten = True
        if forgotten:
            await self.stream.trim(property, tail.kept[0][0])
