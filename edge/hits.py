"""A hit, answered at once: what the first step of :mod:`edge.flow` says, without waiting for it.

There are no rules here. Whatever is not a plain hit is left to the application, which asks the
same functions from the start.
"""

from collections.abc import Mapping

from msgspec import Struct

from edge.ask import RawHeaders, read_ask
from edge.decide import Serve, after_cache
from edge.flow import Edge
from edge.known import Known, KnownRequests, Said, said
from edge.respond import Travel, respond
from edge.rules.stored import Body
from edge.shelf import find
from kvsync.errors import RequestError
from kvsync.property import Property

_NOWHERE = Travel()
# Requests that differ in no byte: those of one page's images, of one browser's version.
_KNOWN_BYTES = 32 << 20


class Hit(Struct, frozen=True, gc=False):
    """``body`` is what is sent of it."""

    known: Known
    said: Said
    body: Body


class Hits:
    """Answers from the cache, where a request is one for it and it is fresh there."""

    def __init__(self, edge: Edge, by_host: Mapping[str, Property]) -> None:
        self._edge = edge
        self._by_host = by_host
        self._known = KnownRequests(_KNOWN_BYTES)

    def forget(self) -> None:
        """Read requests anew: other properties are in force."""
        self._known.clear()

    def again(self, raw: bytes) -> Hit | None:
        """The answer to a request that came before, to the byte."""
        known = self._known.get(raw)
        return None if known is None else self._answer(known)

    def find(self, method: str, target: bytes, headers: RawHeaders) -> Hit | None:
        try:
            ask = read_ask(method, target, headers, self._by_host)
        except RequestError:
            return None
        # Who waits for a 100 is answered by who can send one.
        return None if "expect" in ask.fields else self._answer(Known(ask, target))

    def remember(self, raw: bytes, hit: Hit) -> None:
        """Know the request that was answered so when it comes again; ``raw`` is all of it."""
        self._known.put(raw, hit.known)

    def _answer(self, known: Known) -> Hit | None:
        edge, ask, last = self._edge, known.ask, known.said
        now = edge.clock()
        cached, others = find(edge.cache, ask)
        if last is not None and cached is not None and last.holds(cached, now):
            return Hit(known, last, cached.body if last.length else b"")
        step = after_cache(cached, ask, now, others=others)
        if not isinstance(step, Serve) or step.outcome != "hit":
            return None
        answer = respond(step, ask, _NOWHERE, node=edge.node, now=now, fronted=edge.fronted)
        tally = edge.counters.tally(ask.site.id, answer.family, answer.outcome, answer.reason)
        told = said(known, answer, step.cached.stored, now, tally)
        if not answer.body or answer.body is step.cached.body:
            known.keep(told)
        return Hit(known, told, answer.body)

    def told(self, hit: Hit, client: bytes, seconds: float) -> None:
        """Count one that was sent to an address, and write it down."""
        hit.said.tally.add(len(hit.said.head), hit.said.length, seconds)
        log = self._edge.access_log
        if log.on:
            log.note(self._edge.clock(), client, seconds * 1000, hit.said.about)
