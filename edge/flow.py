"""Request to response: cache, record, region, origin. :mod:`edge.decide` says what follows what;
here it is waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from edge.ask import Ask
from edge.cache import ReplyCache
from edge.counters import Counters
from edge.decide import (
    AskOrigin,
    AskStore,
    Fail,
    Serve,
    Stream,
    after_cache,
    after_origin,
    after_region,
    after_store,
    may_be_shared,
)
from edge.origin_client import Origin
from edge.records import Records
from edge.regions import Regions
from edge.reply import Generated, tags_of
from edge.respond import Answer, Travel, respond
from kvsync.errors import OriginUnavailable, RehydrationError
from kvsync.flights import Flights
from kvsync.wire import Purge

T = TypeVar("T")


@dataclass
class Laps:
    """Where the time of one request went, in milliseconds."""

    timings: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.timings.append((name, (time.perf_counter() - begun) * 1000))


@dataclass(frozen=True, slots=True)
class Filled:
    """What came of a miss. ``asked`` is set where it went to the origin."""

    step: Serve | Stream | Fail
    travel: Travel
    asked: AskOrigin | None = None


@dataclass
class Edge:
    """The parts of one edge. ``clock`` gives Unix seconds."""

    node: str
    cache: ReplyCache
    records: Records
    regions: Regions
    origin: Origin
    counters: Counters
    store_timeout_s: float
    stale_if_error_s: float
    clock: Callable[[], float] = time.time
    flights: Flights[tuple[bytes, bool], Filled] = field(default_factory=Flights)
    purges: int = 0

    async def answer(self, ask: Ask) -> Answer | tuple[Stream, Travel]:
        """Answer from the cache, or from a fill that concurrent misses share.

        Raises the :class:`RehydrationError` to be told when there is nothing to serve.
        """
        laps = Laps()
        with laps.lap("cache"):
            step = after_cache(self.cache.get(ask.cache_key), ask.accept, self.clock())
        if isinstance(step, Serve):
            travel = Travel(timings=tuple(laps.timings))
            return respond(step, ask, travel, node=self.node, now=self.clock())
        name = (ask.cache_key, ask.credentialed)
        joined = self.flights.get(name)
        fill = joined or self.flights.begin(name, self._fill(ask, step, laps))
        filled = await in_time(fill, self._patience_s(ask))
        if joined:
            filled = await self._share(ask, step, filled, laps)
        if isinstance(filled.step, Fail):
            raise filled.step.error
        if isinstance(filled.step, Stream):
            return filled.step, filled.travel
        return respond(filled.step, ask, filled.travel, node=self.node, now=self.clock())

    async def _fill(self, ask: Ask, miss: AskStore, laps: Laps) -> Filled:
        """Record → region → origin, whatever comes first; kept for the next request."""
        purges = self.purges
        with laps.lap("record"):
            step = after_store(
                await settle(self.records.find(ask.site.id, ask.asset.key, now=self.clock()))
            )
        if isinstance(step, AskOrigin):
            return await self._from_origin(ask, miss, step, laps, purges)
        with laps.lap("region"):
            made = await settle(self.regions.rehydrate(ask.site, step.record, ask.choice.rendition))
        decided = after_region(
            made, ask, step.record, now=self.clock(), stale_if_error_s=self.stale_if_error_s
        )
        if isinstance(decided, AskOrigin):
            return await self._from_origin(ask, miss, decided, laps, purges)
        if isinstance(made, Generated):
            laps.timings.extend(made.timings)
        stored = self._keep(ask, decided, purges)
        avoided = step.record.body.original.size
        self.counters.avoided(ask.site.id, avoided)
        timings = tuple(laps.timings)
        return Filled(decided, Travel(miss.forward, False, stored, timings, avoided))

    async def _from_origin(
        self, ask: Ask, miss: AskStore, asked: AskOrigin, laps: Laps, purges: int
    ) -> Filled:
        stand_in = miss.stand_in
        if asked.withdrawn and stand_in is not None and stand_in.source == "rehydrated":
            self.cache.drop(ask.cache_key)
        with laps.lap("origin"):
            fetched = await settle(self.origin.fetch(ask))
        if not isinstance(fetched, RehydrationError):
            self.counters.hauled(ask.site.id, fetched.hauled_bytes)
        step = after_origin(
            fetched,
            ask,
            asked,
            stand_in,
            now=self.clock(),
            stale_if_error_s=self.stale_if_error_s,
        )
        stored = isinstance(step, Serve) and self._keep(ask, step, purges)
        travel = Travel(miss.forward, False, stored, tuple(laps.timings))
        return Filled(step, travel, asked)

    async def _share(self, ask: Ask, miss: AskStore, filled: Filled, laps: Laps) -> Filled:
        """Another request's fill, or the origin's own answer where that was not for all."""
        if filled.asked is not None and not may_be_shared(filled.step, ask):
            if isinstance(filled.step, Stream):
                return filled
            return await self._from_origin(ask, miss, filled.asked, laps, self.purges)
        self.counters.coalesced(ask.site.id)
        travel = Travel(miss.forward, True, False, filled.travel.timings)
        return Filled(filled.step, travel)

    def _keep(self, ask: Ask, step: Serve, purges: int) -> bool:
        """Keep or drop as decided; what was begun before a purge may be what was purged."""
        if step.drop:
            self.cache.drop(ask.cache_key)
        if not step.keep or purges != self.purges:
            return False
        tags = tags_of(step.reply, ask.site, ask.asset.key)
        return self.cache.put(ask.cache_key, step.reply, tags)

    def purge(self, wanted: Purge) -> int:
        """Drop what carries one of the tags, or everything; how many answers that were."""
        self.purges += 1
        self.flights.forget()
        entries = self.cache.clear() if wanted.everything else self.cache.purge(wanted.tags)
        self.counters.purged(entries)
        return entries

    def _patience_s(self, ask: Ask) -> float:
        """A fill's own deadlines in a row, and a little for what lies between them."""
        site = ask.site
        return self.store_timeout_s + (site.region_deadline_ms + site.origin_deadline_ms) / 1000 + 1


async def settle(work: Awaitable[T]) -> T | RehydrationError:
    """What came of ``work``, an error of ours as a value: deciding is for the core."""
    try:
        return await work
    except RehydrationError as error:
        return error


async def in_time(work: asyncio.Task[T], patience_s: float) -> T:
    """What ``work`` comes to; :class:`OriginUnavailable` past ``patience_s``, while it goes on."""
    try:
        async with asyncio.timeout(patience_s):
            return await asyncio.shield(work)
    except TimeoutError as error:
        raise OriginUnavailable(f"no answer within {patience_s:.1f} s; try again") from error
