"""What follows each step of a request: pure functions of what came of it. Time is passed in.

::

    cache ──> store ──> region ──> serve
      │         └────────┴──────> origin ──> serve, stream, fail
      └──> serve
"""

from dataclasses import dataclass
from typing import Literal

from edge.ask import Ask
from edge.reply import (
    Fetched,
    Generated,
    Reply,
    origin_freshness,
    origin_reply,
    rehydrated_reply,
)
from kvsync.errors import RehydrationError
from kvsync.record import Record

Outcome = Literal["hit", "rehydrated", "origin", "stale", "error"]
Forward = Literal["uri-miss", "vary-miss", "stale"]

# The origin says that it is in trouble (RFC 5861 section 4).
_TROUBLE = frozenset({500, 502, 503, 504})
_GONE = frozenset({404, 410})
_WITHDRAWN = frozenset({"revoked", "expired"})
# Here the origin is the asset's proper source, not a way out for now.
_PROPER = frozenset({"no-record", "revoked"})


@dataclass(frozen=True, slots=True)
class Serve:
    """Answer with ``reply``; ``keep`` it if so said, ``drop`` what was kept before if so said."""

    reply: Reply
    outcome: Outcome
    reason: str
    keep: bool = False
    drop: bool = False


@dataclass(frozen=True, slots=True)
class AskStore:
    """Look for a record. ``stand_in`` is what may be served if all else is gone."""

    forward: Forward
    stand_in: Reply | None = None


@dataclass(frozen=True, slots=True)
class AskRegion:
    record: Record


@dataclass(frozen=True, slots=True)
class AskOrigin:
    """``fallback``: only for now. ``withdrawn``: a kept rehydration is no longer approved."""

    reason: str
    fallback: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """The origin's answer is too large to be held: pass it through."""

    reason: str


@dataclass(frozen=True, slots=True)
class Fail:
    error: RehydrationError


def after_cache(cached: Reply | None, accept: str, now: float) -> Serve | AskStore:
    if cached is None:
        return AskStore("uri-miss")
    if not fits(cached, accept):
        return AskStore("vary-miss")
    if now < cached.fresh_until:
        return Serve(cached, "hit", cached.reason)
    return AskStore("stale", cached)


def after_store(found: Record | RehydrationError | None) -> AskRegion | AskOrigin:
    if isinstance(found, Record):
        return AskRegion(found)
    return _to_origin("no-record" if found is None else found.reason)


def after_region(
    outcome: Generated | RehydrationError,
    ask: Ask,
    record: Record,
    *,
    now: float,
    stale_if_error_s: float,
) -> Serve | AskOrigin:
    if isinstance(outcome, RehydrationError):
        return _to_origin(outcome.reason)
    reply = rehydrated_reply(
        ask.site,
        record,
        ask.choice.rendition,
        outcome,
        now=now,
        stale_if_error_s=stale_if_error_s,
    )
    return Serve(reply, "rehydrated", "", keep=True)


def after_origin(
    outcome: Fetched | RehydrationError,
    ask: Ask,
    asked: AskOrigin,
    stand_in: Reply | None,
    *,
    now: float,
    stale_if_error_s: float,
) -> Serve | Stream | Fail:
    """``stand_in`` is served when the origin is gone or in trouble, if it still may be."""
    in_trouble = isinstance(outcome, RehydrationError) or outcome.status in _TROUBLE
    if in_trouble and stand_in is not None and may_stand_in(stand_in, asked, now):
        return Serve(stand_in, "stale", asked.reason)
    if isinstance(outcome, RehydrationError):
        return Fail(outcome)
    if outcome.body is None:
        return Stream(asked.reason)
    kept = origin_freshness(
        outcome,
        stale_if_error_s=stale_if_error_s,
        at_most_s=ask.site.fallback_freshness_s if asked.fallback else None,
    )
    reply = origin_reply(outcome, outcome.body, asked.reason, accept=ask.accept, kept=kept)
    if in_trouble:
        return Serve(reply, "error", "origin-status")
    storable = now < kept.fresh_until
    replaced = stand_in is not None and stand_in.source == "origin" and not storable
    return Serve(
        reply,
        "origin",
        asked.reason,
        keep=storable and not ask.credentialed,
        drop=outcome.status in _GONE or (replaced and not ask.credentialed),
    )


def fits(reply: Reply, accept: str) -> bool:
    return reply.accept is None or reply.accept == accept


def may_stand_in(stale: Reply, asked: AskOrigin, now: float) -> bool:
    """A stale answer may help out, an image whose approval was withdrawn never."""
    return now < stale.usable_until and not (asked.withdrawn and stale.source == "rehydrated")


def may_be_shared(step: Serve | Stream | Fail, ask: Ask) -> bool:
    """Whether an answer made for another client's request answers this one as well.

    What may not be kept was meant for the one who asked.
    """
    if isinstance(step, Stream):
        return False
    return (
        isinstance(step, Fail)
        or step.outcome == "stale"
        or step.keep
        and fits(step.reply, ask.accept)
    )


def _to_origin(reason: str) -> AskOrigin:
    return AskOrigin(reason, fallback=reason not in _PROPER, withdrawn=reason in _WITHDRAWN)
