"""What follows each step of a request: pure functions of what came of it. Time is passed in.

::

    cache ──> store ──> region ──> serve
      │ │       └────────┴──────> origin ──> serve, stream, fail
      │ └──> pass
      └──> serve

What follows the store is its family's to say (:class:`kvsync.property.Ways`)::

    rehydrate    region ──> origin
    replica      replica ──> origin ──> region
    haul         origin ──> region
    resilience   origin, briefly ──> region ──> origin
"""

from dataclasses import dataclass, replace
from typing import Literal

from msgspec import Struct, structs

from edge.ask import SENT_FOR_IMAGES, Ask
from edge.forward import Outgoing
from edge.passing import Passing
from edge.reply import (
    Fetched,
    Generated,
    confirmed,
    custom_of,
    exchange,
    for_all,
    from_origin,
    rehydrated,
    replicated,
)
from edge.rules.keeping import Custom, Exchange, terms
from edge.rules.stored import Body, Cached, Fields
from edge.rules.vary import fits, selecting_names
from kvsync.errors import NotCached, OriginUnavailable, RehydrationError
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Still

Outcome = Literal["hit", "rehydrated", "replica", "origin", "stale", "error"]
# RFC 9211 section 2.2.
Forward = Literal["uri-miss", "vary-miss", "stale", "method", "request"]

# The origin says that it is in trouble (RFC 5861 section 4).
_TROUBLE = frozenset({500, 502, 503, 504})
_GONE = frozenset({404, 410})
_WITHDRAWN = frozenset({"revoked", "expired", "unrenewed"})
# Here the origin is the asset's proper source, not a way out for now.
_PROPER = frozenset({"no-record", "revoked"})


class Serve(Struct, frozen=True, gc=False):
    """Answer with ``cached``. ``keep`` is what others may get of it, ``drop`` says that what was
    kept before is wrong, ``refresh`` that it is to be fetched again behind the answer."""

    cached: Cached
    outcome: Outcome
    reason: str
    keep: Cached | None = None
    drop: bool = False
    refresh: bool = False


@dataclass(frozen=True, slots=True)
class AskStore:
    """Look for a record. ``stand_in`` is what may be served if all else is gone."""

    forward: Forward
    stand_in: Cached | None = None


@dataclass(frozen=True, slots=True)
class AskRegion:
    record: Record


@dataclass(frozen=True, slots=True)
class AskReplica:
    record: Record


@dataclass(frozen=True, slots=True)
class AskOrigin:
    """``fallback``: only for now. ``withdrawn``: what is kept by a record is no longer right.

    ``instead`` is the record to rehydrate where the origin cannot, ``briefly`` that it does not get
    long to begin with.
    """

    reason: str
    fallback: bool
    withdrawn: bool
    instead: Record | None = None
    briefly: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """Pass the origin's answer through: it is too large to be held, or not for the cache.
    ``passing`` is it where it is on its way already; ``drop`` as in :class:`Serve`."""

    reason: str
    forward: Forward
    passing: Passing | None = None
    drop: bool = False


@dataclass(frozen=True, slots=True)
class Fail:
    error: RehydrationError


# A property that passes everything through has the origin for its proper source.
PASSED_THROUGH = AskOrigin("pass-through", fallback=False, withdrawn=False)
# Asked beside a region that is later than it usually is.
LATE = AskOrigin("late", fallback=True, withdrawn=False)
SHED = AskOrigin("overloaded", fallback=True, withdrawn=False)


def after_cache(
    cached: Cached | None, ask: Ask, now: float, *, others: bool = False
) -> Serve | AskStore | Stream | Fail:
    """``others``: the URL has stored responses, but none that this request selects."""
    if ask.past_the_cache:
        known = ask.method in ("GET", "HEAD")
        return Stream(PASSED_THROUGH.reason, "request" if known else "method")
    if cached is not None:
        stored = cached.stored
        if now < stored.fresh_until:
            return Serve(cached, "hit", stored.reason)
        if now < stored.revalidating_until:
            return Serve(cached, "stale", "revalidating", refresh=True)
    if ask.forbids("only-if-cached"):
        return Fail(NotCached("only-if-cached was asked for, and it is not"))
    if cached is None:
        forward: Forward = "vary-miss" if others else "uri-miss"
        # The whole is asked for where it is kept; a HEAD of what is not need not haul it.
        if ask.head and ask.choice is None:
            return Stream(PASSED_THROUGH.reason, forward)
        return AskStore(forward)
    return AskStore("stale", cached)


def after_store(
    found: Record | RehydrationError | None, site: Property
) -> AskRegion | AskReplica | AskOrigin:
    if not isinstance(found, Record):
        return _to_origin("no-record" if found is None else found.reason)
    ways = site.ways_of(found.body.family)
    if ways.policy == "resilience":
        return _rather_origin("resilience", found, briefly=True)
    if ways.way == "replica":
        return AskReplica(found)
    return AskRegion(found) if ways.way == "rehydrate" else _rather_origin("haul", found)


def after_replica(
    outcome: bytes | RehydrationError,
    ask: Ask,
    record: Record,
    *,
    now: float,
    stale_if_error_s: float,
) -> Serve | AskOrigin:
    if isinstance(outcome, RehydrationError):
        return _rather_origin(outcome.reason, record)
    image = replicated(ask.site, record, outcome, now=now, stale_if_error_s=stale_if_error_s)
    return Serve(image, "replica", "", keep=None if ask.forbids("no-store") else image)


def after_region(
    outcome: Generated | RehydrationError,
    ask: Ask,
    asked: tuple[Record, Still],
    *,
    now: float,
    stale_if_error_s: float,
) -> Serve | AskOrigin:
    if isinstance(outcome, RehydrationError):
        return _to_origin(outcome.reason)
    record, rendition = asked
    image = rehydrated(
        ask.site, record, rendition, outcome, now=now, stale_if_error_s=stale_if_error_s
    )
    return Serve(image, "rehydrated", "", keep=None if ask.forbids("no-store") else image)


def after_origin(
    outcome: Fetched | Passing | RehydrationError,
    ask: Ask,
    asked: AskOrigin,
    miss: AskStore,
    sent: Outgoing,
    *,
    now: float,
    stale_if_error_s: float,
    jitter: float,
) -> Serve | Stream | Fail:
    """The stand-in is served when the origin is gone or in trouble, if it still may be."""
    stand_in = miss.stand_in
    in_trouble = isinstance(outcome, RehydrationError) or outcome.status in _TROUBLE
    if in_trouble and stand_in is not None and may_stand_in(stand_in, asked, now):
        return Serve(stand_in, "stale", asked.reason)
    if isinstance(outcome, RehydrationError):
        return Fail(outcome)
    if isinstance(outcome, Passing):
        return Stream(asked.reason, miss.forward, outcome, drop=_undone(ask, miss, outcome.status))
    custom = custom_of(ask.site, stale_if_error_s)
    told = exchange(ask, outcome)
    if outcome.status == 304:
        if stand_in is None or not sent.validates:
            return Fail(OriginUnavailable("the origin answered 304 to what was no condition"))
        return _settled(confirmed(stand_in, told), stand_in.body, ask, asked, miss, custom, jitter)
    return _settled(told, outcome.body, ask, asked, miss, custom, jitter)


def instead_of_origin(step: Serve | Stream | Fail, asked: AskOrigin) -> AskRegion | None:
    """Where the origin was to answer an asset with a record, and could not."""
    failed = isinstance(step, Fail) or (isinstance(step, Serve) and step.outcome != "origin")
    return AskRegion(asked.instead) if failed and asked.instead is not None else None


def _settled(
    told: Exchange,
    body: Body,
    ask: Ask,
    asked: AskOrigin,
    miss: AskStore,
    custom: Custom,
    jitter: float,
) -> Serve:
    """Serve what the origin said; keep it where the rules let us, and what it replaces no more."""
    in_trouble = told.status in _TROUBLE
    kept = terms(told, custom, jitter)
    if ask.choice is not None and (ask.credentialed or in_trouble or _varies_unsent(told)):
        kept = None
    if kept is not None and asked.fallback:
        briefly = told.received_at + ask.site.fallback_freshness_s
        kept = replace(kept, fresh_until=min(kept.fresh_until, briefly))
    cached = from_origin(told, body, asked.reason, ask, kept)
    keep = for_all(cached, kept.left_out) if kept is not None and kept.left_out else cached
    if in_trouble:
        return Serve(cached, "error", "origin-status", keep if kept is not None else None)
    if kept is not None:
        return Serve(cached, "origin", asked.reason, keep)
    return Serve(cached, "origin", asked.reason, drop=_undone(ask, miss, told.status))


def _undone(ask: Ask, miss: AskStore, status: int) -> bool:
    """Whether an answer that is not kept says that what was kept is no longer right."""
    replaced = miss.stand_in is not None and miss.stand_in.stored.source == "origin"
    # What one client has for itself says nothing of what others were given.
    own = ask.credentialed or ask.forbids("no-store")
    return not own and (replaced or status in _GONE)


def may_keep(ask: Ask, status: int, fields: Fields, stale_if_error_s: float) -> bool:
    """Whether the whole of an answer with this head is of use: to keep it, or to renew what is
    kept. An image is judged when it is whole."""
    if ask.choice is not None or status == 304:
        return True
    told = exchange(ask, Fetched(status, fields, b"", asked_at=0.0, received_at=0.0))
    return terms(told, custom_of(ask.site, stale_if_error_s)) is not None


def _varies_unsent(told: Exchange) -> bool:
    """Whether an image varies on what the origin was not told: it was meant for someone."""
    return not SENT_FOR_IMAGES.issuperset(selecting_names(told.fields))


def may_stand_in(stale: Cached, asked: AskOrigin, now: float) -> bool:
    """A stale answer may help out, an image whose approval was withdrawn never."""
    stored = stale.stored
    return now < stored.on_error_until and not (asked.withdrawn and stored.by_record)


def may_be_shared(step: Serve | Stream | Fail, ask: Ask, miss: AskStore) -> bool:
    """Whether an answer made for another client's request answers this one as well.

    What may not be kept was meant for the one who asked, and what is stale for those who select
    it. Who has something stale at hand need not fail with the others.
    """
    if isinstance(step, Stream):
        return False
    if isinstance(step, Fail):
        return miss.stand_in is None
    shared = step.cached if step.outcome == "stale" else step.keep
    return shared is not None and fits(shared.stored, ask.sends)


def of_family(step: Serve | Stream | Fail, family: str) -> Serve | Stream | Fail:
    """A step that says of which family the asset is, for whoever counts its answers."""
    if not family or not isinstance(step, Serve):
        return step

    def named(cached: Cached) -> Cached:
        return replace(cached, stored=structs.replace(cached.stored, family=family))

    cached = named(step.cached)
    if step.keep is None or step.keep is step.cached:
        return structs.replace(step, cached=cached, keep=step.keep and cached)
    return structs.replace(step, cached=cached, keep=named(step.keep))


def for_others(step: Serve | Stream | Fail) -> Serve | Stream | Fail:
    """A step as those get it whose request did not cause it."""
    if isinstance(step, Serve) and step.keep is not None:
        return structs.replace(step, cached=step.keep)
    return step


def _rather_origin(reason: str, record: Record, *, briefly: bool = False) -> AskOrigin:
    """The origin has the very same asset: what it says may be kept for as long as it says."""
    return AskOrigin(reason, fallback=False, withdrawn=False, instead=record, briefly=briefly)


def _to_origin(reason: str) -> AskOrigin:
    return AskOrigin(reason, fallback=reason not in _PROPER, withdrawn=reason in _WITHDRAWN)
