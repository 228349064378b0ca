"""Request to response: from the cache, from a fill that others share, or past the cache.
:mod:`edge.decide` says what follows what; here and in :mod:`edge.fill` it is waited for."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from edge.access_log import AccessLog
from edge.ask import Ask
from edge.decide import (
    SHED,
    AskStore,
    Fail,
    Stream,
    after_cache,
    after_origin,
    for_others,
    may_be_shared,
)
from edge.fill import Filled, Laps, Parts, fill, from_origin
from edge.forward import to_fill, to_pass
from edge.passing import Passing
from edge.respond import Answer, Travel, respond
from edge.shelf import find, untrue
from kvsync.errors import OriginUnavailable, Overloaded
from kvsync.flights import Flights
from kvsync.wire import Purge

# Connections to each peer before anybody asks; more are opened when they are needed.
_READY = 4

T = TypeVar("T")
FlightName = tuple[bytes, bool, int]


@dataclass
class Edge(Parts):
    """One edge: its parts, and how it answers."""

    coalesce_wait_s: float = 2.0
    max_fills: int = 1_000
    # A cache stands before this one.
    fronted: bool = False
    flights: Flights[FlightName, Filled] = field(default_factory=Flights)
    access_log: AccessLog = field(default_factory=lambda: AccessLog(""))

    async def connect(self, property: str) -> None:
        """Have connections to the store and to regions open before the first misses need them.

        A peer that is not there, or not soon, is no reason not to serve: a miss will find out.
        """
        await asyncio.gather(
            self.records.connect(property, _READY),
            self.regions.connect(_READY, self.store_timeout_s),
        )

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
        return running or self.flights.begin(self._name(ask), fill(self, ask, miss, laps))

    async def _share(self, ask: Ask, miss: AskStore, filled: Filled, laps: Laps) -> Filled:
        """Another request's fill, or the origin's own answer where that was not for all."""
        if filled.asked is not None and not may_be_shared(filled.step, ask, miss):
            if isinstance(filled.step, Stream):
                return replace(filled, step=replace(filled.step, passing=None))
            mark, family = self.cache.mark(), filled.travel.family
            return await from_origin(self, ask, miss, filled.asked, laps, mark, family)
        self.counters.coalesced(ask.site.id)
        return Filled(for_others(filled.step), replace(filled.travel, collapsed=True, stored=False))

    @asynccontextmanager
    async def passing(
        self, ask: Ask, step: Stream, content: AsyncIterable[bytes] | None
    ) -> AsyncIterator[Passing]:
        """The origin's answer as it comes, kept nowhere; what it makes untrue is dropped."""
        passing = step.passing
        if passing is None:
            haul = self.counters.haul(ask, "", step.reason)
            passing = await self.origin.pass_on(to_pass(ask, self.node), haul.carried, content)
            haul.answered()
        async with passing:
            for key in untrue(ask, passing.status, passing.fields):
                self.cache.drop(key)
            yield passing

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

    def _patience_s(self, ask: Ask) -> float:
        """A fill's own deadlines in a row, and a little for what lies between them."""
        site = ask.site
        # The region may be asked a second time, for as long as the origin; before both there may
        # be a replica, or a first short try of the origin.
        peers_ms = 2 * (site.region_deadline_ms + site.origin_deadline_ms)
        return self.store_timeout_s + peers_ms / 1000 + 1


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
