"""A hit, answered at once: what the first step of :mod:`edge.flow` says, without waiting for it.

There are no rules here. Whatever is not a plain hit is left to the application, which asks the
same functions from the start.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Self

from msgspec import Struct

from edge.access_log import Line
from edge.ask import Ask, RawHeaders, read_ask
from edge.decide import Serve, after_cache
from edge.flow import Edge
from edge.respond import Answer, Travel, respond
from edge.rules.stored import Cached, Stored
from edge.shelf import find
from kvsync.errors import RequestError
from kvsync.property import Property

_NOWHERE = Travel()
# Requests that differ in no field: those of one page's images, of one browser.
_READ_BEFORE = 4_096


class Hit(Struct, frozen=True, gc=False):
    ask: Ask
    answer: Answer


class Said(Struct, frozen=True, gc=False):
    """What was answered to a request with a stored response: the same to the byte for as long as
    that is what is stored and neither Age nor the time to live, in whole seconds, has moved on."""

    stored: Stored
    status: int
    head: bytes
    since: float
    until: float

    @classmethod
    def of(cls, answer: Answer, stored: Stored, now: float) -> Self:
        age_ends = stored.born_at + max(0, int(now - stored.born_at)) + 1
        ttl_ends = stored.fresh_until - int(stored.fresh_until - now)
        return cls(stored, answer.status, answer.head, now, min(age_ends, ttl_ends))

    def again(self, cached: Cached, now: float) -> bool:
        return cached.stored is self.stored and self.since <= now < self.until


class Known:
    """A request read before, and what was said to it last. It holds on to no body."""

    __slots__ = ("ask", "said")

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.said: Said | None = None


Reader = Callable[[str, bytes, tuple[tuple[bytes, bytes], ...]], Known | None]


class Hits:
    """Answers from the cache, where a request is one for it and it is fresh there."""

    def __init__(self, edge: Edge, by_host: Mapping[str, Property]) -> None:
        self._edge = edge
        self._by_host = by_host
        self._read = reader(by_host)

    def forget(self) -> None:
        """Read requests anew: other properties are in force."""
        self._read = reader(self._by_host)

    def find(self, method: str, target: bytes, headers: RawHeaders) -> Hit | None:
        known = self._read(method, target, tuple(headers))
        if known is None:
            return None
        now, ask, said = self._edge.clock(), known.ask, known.said
        cached, others = find(self._edge.cache, ask)
        if said is not None and cached is not None and said.again(cached, now):
            return Hit(ask, Answer(said.status, said.head, cached.body, "hit", said.stored.reason))
        step = after_cache(cached, ask, now, others=others)
        if not isinstance(step, Serve) or step.outcome != "hit":
            return None
        edge = self._edge
        answer = respond(step, ask, _NOWHERE, node=edge.node, now=now, fronted=edge.fronted)
        if answer.body is step.cached.body:
            known.said = Said.of(answer, step.cached.stored, now)
        return Hit(ask, answer)

    def told(self, hit: Hit, target: bytes, client: str, seconds: float) -> None:
        """Count one that was sent, and write it down."""
        ask, answer = hit.ask, hit.answer
        self._edge.counters.answered(
            ask.site.id, answer.outcome, answer.reason, len(answer.body), seconds
        )
        log = self._edge.access_log
        if not log.on:
            return
        # Nothing is asked of peers, so that there is a trace only where the client began one.
        named = ask.fields
        log.note(
            Line(
                time=self._edge.clock(),
                client=client,
                method=ask.method,
                host=ask.host,
                target=target.decode("latin-1"),
                status=answer.status,
                bytes=len(answer.body),
                ms=round(seconds * 1000, 3),
                property=ask.site.id,
                outcome=answer.outcome,
                reason=answer.reason,
                agent=named.get("user-agent", ""),
                request_id=named.get("x-request-id", "")[:128],
                trace_id=named.get("traceparent", "")[3:35],
            )
        )


def reader(by_host: Mapping[str, Property]) -> Reader:
    """:func:`read_ask` with a memory; None for requests that are wrong."""

    @lru_cache(maxsize=_READ_BEFORE)
    def read(method: str, target: bytes, headers: tuple[tuple[bytes, bytes], ...]) -> Known | None:
        try:
            ask = read_ask(method, target, list(headers), by_host)
        except RequestError:
            return None
        # Who waits for a 100 is answered by who can send one.
        return None if "expect" in ask.fields else Known(ask)

    return read
