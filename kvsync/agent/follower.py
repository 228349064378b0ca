"""One property of a region: its log followed from where the region is, whatever happens to it."""

import asyncio
import builtins
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from kvsync.agent.held import CursorMoved, HeldProperty
from kvsync.agent.metrics import ANOTHER_AGENT, SyncMetrics
from kvsync.agent.news import News
from kvsync.agent.renewal import Renewal
from kvsync.agent.source import Origin
from kvsync.errors import (
    Forbidden,
    LogAhead,
    RecordError,
    RehydrationError,
    Trimmed,
)
from kvsync.log import Batch
from kvsync.log_answer import LogAnswer
from kvsync.ranges import RangeDigests, RangeEntries
from kvsync.signing import Keyring
from kvsync.snapshot import SnapshotManifest, unpack_piece

_log = logging.getLogger("sync")

T = TypeVar("T")

_MUCH_BYTES = 1 << 20
_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass
class Compared:
    """What the last comparison of ranges came to; times in Unix milliseconds."""

    at_ms: int = 0
    request: int = 0
    differing: tuple[bytes, ...] = ()
    repaired_at_ms: int = 0


class Follower:
    """Tails, loads, compares and renews one property; :meth:`run` goes on for ever.

    What does not follow, or was not signed, is counted and never applied; it is asked for again.
    """

    def __init__(
        self,
        held: HeldProperty,
        origin: Origin,
        keys: Keyring,
        renewal: Renewal,
        metrics: SyncMetrics,
        news: News,
        *,
        poll_s: float,
    ) -> None:
        self.held, self.renewal = held, renewal
        self._origin, self._keys, self._metrics = origin, keys, metrics
        self._news = news
        self._poll_s = poll_s
        self._pending: deque[Batch] = deque()
        self._resumed = self._whole = False
        self._next: asyncio.Task[LogAnswer] | None = None
        self._heartbeat = b""
        self.heard_at = 0.0
        self.compared = Compared()
        self.behind = asyncio.Event()

    @builtins.property
    def property(self) -> str:
        return self.held.property

    @builtins.property
    def ready(self) -> bool:
        """Everything published when the log was last heard of can be read here."""
        head = self.renewal.head_seq
        return self._whole and bool(self.renewal.signed) and self.held.readable_seq >= head

    async def resume(self) -> None:
        """Take over where the store says that the region is."""
        self._whole = await self.held.resume()
        await self.renewal.resume()
        self._resumed = True

    async def run(self) -> None:
        while True:
            await self.patiently(self.step)

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """What ``work`` comes to, tried again until nothing is in its way."""
        pause_s = _PAUSE_S
        while True:
            try:
                return await work()
            except RehydrationError as error:
                await self._refused(error)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def close(self) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    async def step(self) -> None:
        """Come one answer of the log further; raises what is in the way."""
        try:
            if not self._resumed:
                await self.resume()
            if not self._whole:
                await self._load()
            if not self._pending:
                await self._hear()
            await self._apply()
        except CursorMoved:
            _log.warning("%s: another agent applies to this store", self.property)
            self._metrics.refuse(self.property, ANOTHER_AGENT)
            self._pending.clear()
            self._resumed = False

    async def compare(self, request: int = 0) -> int:
        """Compare all ranges with the origin and repair those that differ; how many keys did."""
        mine = await self.held.digests()
        signed = await self._origin.digests(self.property, mine.seq)
        theirs = RangeDigests.from_signed(signed, self._keys, property=self.property)
        differing: list[bytes] = []
        for number in theirs.differing(mine):
            raw = await self._origin.range(self.property, number, mine.seq)
            published = RangeEntries.from_signed(
                raw, self._keys, property=self.property, number=number
            )
            differing += await self.held.repair(published)
        now_ms = int(time.time() * 1_000)
        repaired_at_ms = now_ms if differing else self.compared.repaired_at_ms
        self.compared = Compared(now_ms, request, tuple(differing), repaired_at_ms)
        self._metrics.compared.labels(self.property).inc()
        if differing:
            _log.error("%s: %d keys differed and were repaired", self.property, len(differing))
            self._metrics.repaired.labels(self.property).inc(len(differing))
        self._news.of(self.property)
        return len(differing)

    async def _load(self) -> None:
        """From a snapshot, or from the log's beginning where the origin has made none."""
        not_before = max(self.held.cursor.seq, self.renewal.seq)
        signed = await self._origin.snapshot(self.property)
        if signed is None:
            self._whole = True
            return
        manifest = SnapshotManifest.from_signed(
            signed, self._keys, property=self.property, not_before=not_before
        )
        await self.held.begin_loading()
        for piece in manifest.pieces:
            packed = await self._origin.piece(self.property, piece)
            await self.held.load(unpack_piece(packed, piece))
        await self.held.end_loading(manifest.cursor)
        self._metrics.snapshots.labels(self.property).inc()
        self._whole = True
        self.behind.set()

    async def _hear(self) -> None:
        """Take the next answer; of a large one more is likely to follow, and is asked for at once.

        Otherwise what comes while this is applied comes in one answer after it: asking costs as
        much as applying a hundred records.
        """
        asked = self._next or self._ask(self.held.cursor.seq)
        self._next = None
        try:
            answer = await asked
        except Trimmed:
            _log.warning("%s: the log begins after %d", self.property, self.held.cursor.seq)
            self._whole = False
            return
        self.heard_at = time.monotonic()
        after = self.held.cursor
        try:
            for signed in answer.batches:
                batch = Batch.from_signed(signed, self._keys, property=self.property, after=after)
                self._pending.append(batch)
                after = batch.cursor
        except RecordError as error:
            # What came before it is good; the rest is asked for again.
            await self._refused(error)
        else:
            self._heartbeat = answer.heartbeat
            if sum(map(len, answer.batches)) > _MUCH_BYTES:
                self._next = self._ask(after.seq)

    async def _apply(self) -> None:
        while self._pending:
            batch = self._pending[0]
            await self.held.apply(batch.entries, batch.cursor)
            self._pending.popleft()
            self._metrics.entries.labels(self.property).inc(len(batch.entries))
            self._metrics.bytes.labels(self.property).inc(len(batch.signed))
            self._metrics.cursor.labels(self.property).set(batch.last)
            self._news.of(self.property)
        if self._heartbeat:
            signed, self._heartbeat = self._heartbeat, b""
            await self.renew(signed)

    async def renew(self, heartbeat: bytes) -> bool:
        """Keep a newer heartbeat, whoever passed it on; whether it was. Raises what
        :meth:`Renewal.take` does."""
        return await self.renewal.take(heartbeat, self.held.cursor)

    def _ask(self, after: int) -> asyncio.Task[LogAnswer]:
        return asyncio.create_task(self._origin.log(self.property, after, self._poll_s))

    async def _refused(self, error: RehydrationError) -> None:
        self._metrics.refuse(self.property, error.reason)
        wrong = isinstance(error, RecordError | LogAhead | Forbidden)
        _log.log(logging.ERROR if wrong else logging.WARNING, "%s: %s", self.property, error)
        await self.close()
        self._next = None
