"""Request to response: cache, record, region, origin. :mod:`edge.decide` says what follows what;
here it is waited for."""

import asyncio
import random
import time
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from edge.access_log import AccessLog
from edge.ask import Ask
from edge.cache import ResponseCache
from edge.counters import Counters
from edge.decide import (
    LATE,
    PASSED_THROUGH,
    SHED,
    AskOrigin,
    AskStore,
    Fail,
    Serve,
    Stream,
    after_cache,
    after_origin,
    after_region,
    after_store,
    for_others,
    may_be_shared,
    may_keep,
    may_stand_in,
)
from edge.forward import to_fill, to_pass
from edge.origin_client import Origin
from edge.passing import Passing
from edge.race import overtaken
from edge.records import Records
from edge.regions import Regions
from edge.reply import Fetched, Generated
from edge.respond import Answer, Travel, respond
from edge.shelf import find, keep, untrue
from kvsync.errors import Busy, OriginUnavailable, Overloaded, RehydrationError, Unavailable
from kvsync.flights import Flights
from kvsync.record import Record
from kvsync.rendition import Still
from kvsync.wire import Purge

T = TypeVar("T")
FlightName = tuple[bytes, bool, int]


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
    cache: ResponseCache
    records: Records
    regions: Regions
    origin: Origin
    counters: Counters
    store_timeout_s: float
    stale_if_error_s: float
    clock: Callable[[], float] = time.time
    coalesce_wait_s: float = 2.0
    max_fills: int = 1_000
    # A cache stands before this one.
    fronted: bool = False
    flights: Flights[FlightName, Filled] = field(default_factory=Flights)
    access_log: AccessLog = field(default_factory=lambda: AccessLog(""))

    async def answer(self, ask: Ask) -> Answer | tuple[Stream, Travel]:
        """Answer from the cache, or from a fill that concurrent misses share.

        Raises the :class:`RehydrationError` to be told when there is nothing to serve.
        """
        laps = Laps()
        with laps.lap("cache"):
            cached, others = find(self.cache, ask)
            step = after_cache(cached, ask, self.clock(), others=others)
        if isinstance(step, AskStore):
            filled = await self._filled(ask, step, laps)
        else:
            forward = step.forward if isinstance(step, Stream) else None
            filled = Filled(step, Travel(forward, timings=tuple(laps.timings)))
        if isinstance(filled.step, Fail):
            raise filled.step.error
        if isinstance(filled.step, Stream):
            return filled.step, filled.travel
        if filled.step.refresh and cached is not None and len(self.flights) < self.max_fills:
            self._begin(ask, AskStore("stale", cached), Laps())
        return respond(
            filled.step,
            ask,
            filled.travel,
            node=self.node,
            now=self.clock(),
            fronted=self.fronted,
        )

    async def _filled(self, ask: Ask, miss: AskStore, laps: Laps) -> Filled:
        """What comes of a miss, together with others that ask for the same.

        Nobody waits long for a fill that others began: past that, the next one is begun.
        """
        joined = self.flights.get(self._name(ask))
        if joined is not None:
            shared = await unless_slow(joined, self.coalesce_wait_s)
            if shared is not None:
                return await self._share(ask, miss, shared, laps)
        if len(self.flights) >= self.max_fills:
            return self._shed(ask, miss, laps)
        return await in_time(self._begin(ask, miss, laps), self._patience_s(ask))

    def _shed(self, ask: Ask, miss: AskStore, laps: Laps) -> Filled:
        """Too much is under way: something stale now, or a 503, but no queue that only grows."""
        step = after_origin(
            Overloaded("the edge has too much to fetch; try again shortly"),
            ask,
            SHED,
            miss,
            to_fill(ask, self.node, None),
            now=self.clock(),
            stale_if_error_s=self.stale_if_error_s,
            jitter=0.0,
        )
        return Filled(step, Travel(miss.forward, timings=tuple(laps.timings)), SHED)

    def _begin(self, ask: Ask, miss: AskStore, laps: Laps) -> asyncio.Task[Filled]:
        """Start a fill, or join the one that runs."""
        running = self.flights.get(self._name(ask))
        return running or self.flights.begin(self._name(ask), self._fill(ask, miss, laps))

    async def _fill(self, ask: Ask, miss: AskStore, laps: Laps) -> Filled:
        """Record → region → origin, whatever comes first; kept for the next request."""
        mark = self.cache.mark()
        if ask.choice is None:
            return await self._from_origin(ask, miss, PASSED_THROUGH, laps, mark)
        with laps.lap("record"):
            step = after_store(
                await settle(self.records.find(ask.site, ask.asset.key, now=self.clock()))
            )
        if isinstance(step, AskOrigin):
            return await self._from_origin(ask, miss, step, laps, mark)
        return await self._from_region(ask, miss, (step.record, ask.choice.rendition), laps, mark)

    async def _from_region(
        self, ask: Ask, miss: AskStore, wanted: tuple[Record, Still], laps: Laps, mark: int
    ) -> Filled:
        """Region, the origin beside it when it is late, the origin after it when it cannot, and the
        region again, with more time, when nobody else can either."""
        late = asyncio.Event()
        with laps.lap("region"):
            region = asyncio.create_task(
                settle(self.regions.rehydrate(ask.site, *wanted, late=late.set))
            )
            hauled = await overtaken(
                region,
                late,
                lambda: self._from_origin(ask, miss, LATE, laps, mark),
                first_good=lambda made: isinstance(made, Generated),
                second_good=lambda filled: isinstance(filled.step, Serve),
            )
        if hauled is not None:
            return hauled
        made = region.result()
        filled = self._rehydrated(ask, miss, wanted, made, laps, mark)
        if isinstance(filled, Filled):
            return filled
        hauled = await self._from_origin(ask, miss, filled, laps, mark)
        if not isinstance(hauled.step, Fail) or not isinstance(made, Unavailable):
            return hauled
        with laps.lap("again"):
            site = ask.site
            more_ms = site.origin_deadline_ms if isinstance(made, Busy) else site.region_deadline_ms
            made = await settle(
                self.regions.rehydrate(site, *wanted, late=late.set, deadline_s=more_ms / 1000)
            )
        filled = self._rehydrated(ask, miss, wanted, made, laps, mark)
        return filled if isinstance(filled, Filled) else hauled

    def _rehydrated(
        self,
        ask: Ask,
        miss: AskStore,
        wanted: tuple[Record, Still],
        made: Generated | RehydrationError,
        laps: Laps,
        mark: int,
    ) -> Filled | AskOrigin:
        """What a region's answer comes to; an image is kept."""
        step = after_region(
            made, ask, wanted, now=self.clock(), stale_if_error_s=self.stale_if_error_s
        )
        if isinstance(step, AskOrigin):
            return step
        if isinstance(made, Generated):
            laps.timings.extend(made.timings)
        stored = self._keep(ask, step, mark)
        avoided = wanted[0].body.original.size
        self.counters.avoided(ask.site.id, avoided)
        timings = tuple(laps.timings)
        return Filled(step, Travel(miss.forward, 0, False, stored, timings, avoided))

    async def _from_origin(
        self, ask: Ask, miss: AskStore, asked: AskOrigin, laps: Laps, mark: int
    ) -> Filled:
        kept = miss.stand_in.stored if miss.stand_in is not None else None
        if asked.withdrawn and kept is not None and kept.source == "rehydrated":
            self.cache.drop(ask.cache_key)
        sent = to_fill(ask, self.node, kept)
        of_use = partial(may_keep, ask, stale_if_error_s=self.stale_if_error_s)
        with laps.lap("origin"):
            hurry_s = self._hurry_s(ask, miss, asked)
            fetched = await settle(self.origin.fetch(sent, of_use, hurry_s))
        status = 0 if isinstance(fetched, RehydrationError) else fetched.status
        if isinstance(fetched, Fetched):
            self.counters.hauled(ask.site.id, len(fetched.body))
        step = after_origin(
            fetched,
            ask,
            asked,
            miss,
            sent,
            now=self.clock(),
            stale_if_error_s=self.stale_if_error_s,
            jitter=random.random(),
        )
        stored = not isinstance(step, Fail) and self._keep(ask, step, mark)
        travel = Travel(miss.forward, status, False, stored, tuple(laps.timings))
        return Filled(step, travel, asked)

    async def _share(self, ask: Ask, miss: AskStore, filled: Filled, laps: Laps) -> Filled:
        """Another request's fill, or the origin's own answer where that was not for all."""
        if filled.asked is not None and not may_be_shared(filled.step, ask):
            if isinstance(filled.step, Stream):
                return replace(filled, step=replace(filled.step, passing=None))
            return await self._from_origin(ask, miss, filled.asked, laps, self.cache.mark())
        self.counters.coalesced(ask.site.id)
        return Filled(for_others(filled.step), replace(filled.travel, collapsed=True, stored=False))

    @asynccontextmanager
    async def passing(
        self, ask: Ask, step: Stream, content: AsyncIterable[bytes] | None
    ) -> AsyncIterator[Passing]:
        """The origin's answer as it comes, kept nowhere; what it makes untrue is dropped."""
        passing = step.passing or await self.origin.pass_on(to_pass(ask, self.node), content)
        async with passing:
            for key in untrue(ask, passing.status, passing.fields):
                self.cache.drop(key)
            yield passing

    def _keep(self, ask: Ask, step: Serve | Stream, mark: int) -> bool:
        """Keep or drop as decided; what was begun before a purge may be what was purged."""
        if step.drop:
            self.cache.drop(ask.cache_key)
        if isinstance(step, Stream) or step.keep is None:
            return False
        return keep(self.cache, ask, step.keep, mark)

    def purge(self, wanted: Purge, soft_at: float | None = None) -> int:
        """Drop what carries one of the tags, or everything, or have it stale from ``soft_at`` on
        (Unix seconds); how many answers that were. May be called in a thread of its own."""
        self.records.purge(wanted)
        cache = self.cache
        entries = cache.clear(soft_at) if wanted.everything else cache.purge(wanted.tags, soft_at)
        self.counters.purged(entries)
        return entries

    def _name(self, ask: Ask) -> FlightName:
        """Whoever asks after a purge, by whichever worker, starts anew."""
        return ask.cache_key, ask.credentialed, self.cache.mark()

    def _hurry_s(self, ask: Ask, miss: AskStore, asked: AskOrigin) -> float | None:
        """With something to show at hand, no longer than for a region."""
        stand_in = miss.stand_in
        if stand_in is None or not may_stand_in(stand_in, asked, self.clock()):
            return None
        return ask.site.region_deadline_ms / 1000

    def _patience_s(self, ask: Ask) -> float:
        """A fill's own deadlines in a row, and a little for what lies between them."""
        site = ask.site
        # The region may be asked a second time, for as long as the origin.
        peers_ms = site.region_deadline_ms + 2 * site.origin_deadline_ms
        return self.store_timeout_s + peers_ms / 1000 + 1


async def settle(work: Awaitable[T]) -> T | RehydrationError:
    """What came of ``work``, an error of ours as a value: deciding is for the core."""
    try:
        return await work
    except RehydrationError as error:
        return error


async def unless_slow(work: asyncio.Task[T], seconds: float) -> T | None:
    """What ``work`` comes to within ``seconds``; None past that, while it goes on."""
    done, _ = await asyncio.wait({work}, timeout=seconds)
    return work.result() if done else None


async def in_time(work: asyncio.Task[T], patience_s: float) -> T:
    """What ``work`` comes to; :class:`OriginUnavailable` past ``patience_s``, while it goes on."""
    try:
        async with asyncio.timeout(patience_s):
            return await asyncio.shield(work)
    except TimeoutError as error:
        raise OriginUnavailable(f"no answer within {patience_s:.1f} s; try again") from error
