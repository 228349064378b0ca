"""What a miss comes to: record → region → origin, whatever comes first.

:mod:`edge.decide` says what follows what; here it is waited for.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from edge.ask import Ask
from edge.cache import ResponseCache
from edge.counters import Counters
from edge.decide import (
    LATE,
    PASSED_THROUGH,
    AskOrigin,
    AskRegion,
    AskReplica,
    AskStore,
    Fail,
    Serve,
    Stream,
    after_origin,
    after_region,
    after_replica,
    after_store,
    instead_of_origin,
    may_keep,
    may_stand_in,
    of_family,
)
from edge.forward import to_fill
from edge.haul import Haul
from edge.origin_client import Origin
from edge.race import overtaken
from edge.records import Records
from edge.regions import Regions
from edge.replica import Replica
from edge.reply import Fetched, Generated
from edge.respond import Travel
from edge.shelf import keep
from kvsync.errors import Busy, RehydrationError, Unavailable
from kvsync.record import Record
from kvsync.rendition import Still

T = TypeVar("T")


@dataclass
class Parts:
    """What an edge asks and keeps answers in. ``clock`` gives Unix seconds."""

    node: str
    cache: ResponseCache
    records: Records
    regions: Regions
    replica: Replica
    origin: Origin
    counters: Counters
    store_timeout_s: float
    stale_if_error_s: float
    clock: Callable[[], float] = time.time


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


async def fill(parts: Parts, ask: Ask, miss: AskStore, laps: Laps) -> Filled:
    """What the record's family is to be answered by, or the next best; kept for the next one."""
    mark = parts.cache.mark()
    if ask.choice is None:
        return await from_origin(parts, ask, miss, PASSED_THROUGH, laps, mark)
    with laps.lap("record"):
        found = await settle(parts.records.find(ask.site, ask.asset.key, now=parts.clock()))
    step: AskRegion | AskReplica | AskOrigin | Filled = after_store(found, ask.site)
    if isinstance(step, AskReplica):
        step = await _from_replica(parts, ask, miss, step.record, laps, mark)
    if isinstance(step, AskOrigin):
        family = found.body.family if isinstance(found, Record) else ""
        hauled = await from_origin(parts, ask, miss, step, laps, mark, family)
        instead = instead_of_origin(hauled.step, step)
        if instead is None:
            return hauled
        if not step.briefly:
            wanted = instead.record, ask.choice.rendition
            return await _at_last(parts, ask, miss, wanted, laps, mark) or hauled
        step = instead
    if isinstance(step, Filled):
        return step
    return await _from_region(parts, ask, miss, (step.record, ask.choice.rendition), laps, mark)


async def _from_replica(
    parts: Parts, ask: Ask, miss: AskStore, record: Record, laps: Laps, mark: int
) -> Filled | AskOrigin:
    with laps.lap("replica"):
        outcome = await settle(parts.replica.fetch(ask.site, record))
    step = after_replica(
        outcome, ask, record, now=parts.clock(), stale_if_error_s=parts.stale_if_error_s
    )
    if isinstance(step, AskOrigin):
        return step
    return _by_record(parts, ask, miss, record, step, laps, mark)


async def _at_last(
    parts: Parts, ask: Ask, miss: AskStore, wanted: tuple[Record, Still], laps: Laps, mark: int
) -> Filled | None:
    """Rehydrated, where the origin was asked for as long as it gets; None where that fails too."""
    with laps.lap("region"):
        made = await settle(parts.regions.rehydrate(ask.site, *wanted, late=lambda: None))
    filled = _rehydrated(parts, ask, miss, wanted, made, laps, mark)
    return filled if isinstance(filled, Filled) else None


async def _from_region(
    parts: Parts, ask: Ask, miss: AskStore, wanted: tuple[Record, Still], laps: Laps, mark: int
) -> Filled:
    """Region, the origin beside it when it is late, the origin after it when it cannot, and the
    region again, with more time, when nobody else can either."""
    late = asyncio.get_running_loop().create_future()
    family = wanted[0].body.family

    def is_late() -> None:
        if not late.done():
            late.set_result(None)

    with laps.lap("region"):
        region = asyncio.create_task(
            settle(parts.regions.rehydrate(ask.site, *wanted, late=is_late))
        )
        hauled = await overtaken(
            region,
            late,
            lambda: from_origin(parts, ask, miss, LATE, laps, mark, family),
            first_good=lambda made: isinstance(made, Generated),
            second_good=lambda filled: isinstance(filled.step, Serve),
        )
    if hauled is not None:
        return hauled
    made = region.result()
    filled = _rehydrated(parts, ask, miss, wanted, made, laps, mark)
    if isinstance(filled, Filled):
        return filled
    hauled = await from_origin(parts, ask, miss, filled, laps, mark, family)
    if not isinstance(hauled.step, Fail) or not isinstance(made, Unavailable):
        return hauled
    with laps.lap("again"):
        site = ask.site
        more_ms = site.origin_deadline_ms if isinstance(made, Busy) else site.region_deadline_ms
        made = await settle(
            parts.regions.rehydrate(site, *wanted, late=is_late, deadline_s=more_ms / 1000)
        )
    filled = _rehydrated(parts, ask, miss, wanted, made, laps, mark)
    return filled if isinstance(filled, Filled) else hauled


def _rehydrated(
    parts: Parts,
    ask: Ask,
    miss: AskStore,
    wanted: tuple[Record, Still],
    made: Generated | RehydrationError,
    laps: Laps,
    mark: int,
) -> Filled | AskOrigin:
    """What a region's answer comes to; an image is kept."""
    step = after_region(
        made, ask, wanted, now=parts.clock(), stale_if_error_s=parts.stale_if_error_s
    )
    if isinstance(step, AskOrigin):
        return step
    if isinstance(made, Generated):
        laps.timings.extend(made.timings)
    generated = made if isinstance(made, Generated) else None
    return _by_record(parts, ask, miss, wanted[0], step, laps, mark, generated)


def _by_record(
    parts: Parts,
    ask: Ask,
    miss: AskStore,
    record: Record,
    step: Serve,
    laps: Laps,
    mark: int,
    made: Generated | None = None,
) -> Filled:
    """What was had in the region, so that nothing was hauled for it."""
    stored, body = _keep(parts, ask, step, mark), record.body
    parts.counters.had_in_region(ask.site, body, step.outcome, made)
    timings = tuple(laps.timings)
    travel = Travel(miss.forward, 0, False, stored, timings, body.original.size, family=body.family)
    return Filled(step, travel)


async def from_origin(
    parts: Parts,
    ask: Ask,
    miss: AskStore,
    asked: AskOrigin,
    laps: Laps,
    mark: int,
    family: str = "",
) -> Filled:
    """The origin's answer, or what stands in for it; ``mark`` is the cache's at the beginning, and
    ``family`` that of the asset's record, where it has one."""
    kept = miss.stand_in.stored if miss.stand_in is not None else None
    if asked.withdrawn and kept is not None and kept.by_record:
        parts.cache.drop(ask.cache_key)
    sent = to_fill(ask, parts.node, kept)
    of_use = partial(may_keep, ask, stale_if_error_s=parts.stale_if_error_s)
    with laps.lap("origin"):
        hurry_s = _hurry_s(ask, miss, asked, parts.clock())
        haul = parts.counters.haul(ask, family, asked.reason)
        fetched = await settle(parts.origin.fetch(sent, of_use, haul.carried, hurry_s))
    status = 0 if isinstance(fetched, RehydrationError) else fetched.status
    if isinstance(fetched, Fetched):
        _count_body(parts, ask, fetched, haul)
    step = after_origin(
        fetched,
        ask,
        asked,
        miss,
        sent,
        now=parts.clock(),
        stale_if_error_s=parts.stale_if_error_s,
        jitter=random.random(),
    )
    if not isinstance(fetched, RehydrationError):
        haul.answered()
    step = of_family(step, family)
    stored = not isinstance(step, Fail) and _keep(parts, ask, step, mark)
    travel = Travel(miss.forward, status, False, stored, tuple(laps.timings), family=family)
    return Filled(step, travel, asked)


def _count_body(parts: Parts, ask: Ask, fetched: Fetched, haul: Haul) -> None:
    parts.counters.hauled(ask.site.id, len(fetched.body))
    if fetched.status == 200 and ask.choice is not None:
        parts.counters.origin_heads.note(ask.site.id, haul.answer_bytes - len(fetched.body))


def _keep(parts: Parts, ask: Ask, step: Serve | Stream, mark: int) -> bool:
    """Keep or drop as decided; what was begun before a purge may be what was purged."""
    if step.drop:
        parts.cache.drop(ask.cache_key)
    if isinstance(step, Stream) or step.keep is None:
        return False
    return keep(parts.cache, ask, step.keep, mark)


def _hurry_s(ask: Ask, miss: AskStore, asked: AskOrigin, now: float) -> float | None:
    """With something to show at hand, or to be had elsewhere, no longer than for a region."""
    stand_in = miss.stand_in
    if asked.briefly or (stand_in is not None and may_stand_in(stand_in, asked, now)):
        return ask.site.region_deadline_ms / 1000
    return None


async def settle(work: Awaitable[T]) -> T | RehydrationError:
    """What came of ``work``, an error of ours as a value: deciding is for the core."""
    try:
        return await work
    except RehydrationError as error:
        return error
