"""The public application: raw ASGI, one handler for every error."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from edge.access_log import About
from edge.ask import Ask, announces_content, read_ask
from edge.decide import Outcome, Stream
from edge.flow import Edge
from edge.respond import Answer, Travel, respond_error, streamed_headers
from edge.trace import REQUEST_ID, TRACE_FIELDS, Trace, follow, read_trace
from kvsync.errors import BadRequest, RehydrationError
from kvsync.property import Property

_log = logging.getLogger(__name__)
_NO_PROPERTY = "-"
_LOGGED = frozenset({"host", "user-agent"})
_FIELD_BYTES = len(b": \r\n")


class PublicApp:
    """GET and HEAD of images and of whatever else the origin has."""

    def __init__(self, edge: Edge, by_host: Mapping[str, Property]) -> None:
        self._edge = edge
        self._by_host = by_host

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        begun = time.perf_counter()
        if scope["type"] != "http":
            raise RuntimeError(f"the edge serves HTTP, not {scope['type']}")
        head = scope["method"] == "HEAD"
        site = _NO_PROPERTY
        trace = read_trace(_named(scope, TRACE_FIELDS))
        follow(trace)
        try:
            ask = read_ask(scope["method"], _target(scope), list(scope["headers"]), self._by_host)
            site = ask.site.id
            answer = await self._edge.answer(ask)
            if not isinstance(answer, Answer):
                length = ask.fields.get("content-length")
                content = _content(receive, length) if ask.has_content else None
                await self._stream(ask, *answer, content, send, _Seen(scope, trace, begun))
                return
        except Exception as raised:
            answer = respond_error(
                _told(raised),
                head=head,
                # What follows is not read, so nothing after it can be told from it.
                closing=announces_content(list(scope["headers"])),
                node=self._edge.node,
                now=self._edge.clock(),
            )
        headers = answer.headers
        if answer.outcome == "error":  # all others are the same for everybody
            headers = [*headers, (REQUEST_ID.encode(), trace.request_id.encode())]
        head_bytes = await _start(send, answer.status, headers)
        body: Any = answer.body
        await send({"type": "http.response.body", "body": body, "more_body": False})
        name = (site, answer.family, answer.outcome, answer.reason)
        seen = _Seen(scope, trace, begun)
        self._told(seen, answer.status, name, head_bytes, len(answer.body))

    async def _stream(
        self,
        ask: Ask,
        step: Stream,
        travel: Travel,
        content: AsyncIterator[bytes] | None,
        send: ASGISendCallable,
        seen: "_Seen",
    ) -> None:
        """Pass an answer on piece by piece, kept nowhere."""
        sent = 0
        async with self._edge.passing(ask, step, content) as passing:
            headers = streamed_headers(
                passing.fields, self._edge.node, travel, passing.status, step.reason
            )
            head_bytes = await _start(send, passing.status, headers)
            try:
                if not ask.head:
                    async for piece in passing.pieces:
                        sent += len(piece)
                        await send({"type": "http.response.body", "body": piece, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            except httpx2.HTTPError as error:
                # The head is out: a connection cut short is all that can still be said.
                _log.warning("the origin broke off after %d bytes: %r", sent, error)
            finally:
                self._edge.counters.hauled(ask.site.id, sent)
                outcome: Outcome = "origin"
                name = (ask.site.id, travel.family, outcome, step.reason)
                self._told(seen, passing.status, name, head_bytes, sent)

    def _told(
        self,
        seen: "_Seen",
        status: int,
        name: tuple[str, str, Outcome, str],
        head_bytes: int,
        body_bytes: int,
    ) -> None:
        """Count an answer that was sent, by property, family, outcome and reason, and write it
        down."""
        seconds = time.perf_counter() - seen.begun
        self._edge.counters.tally(*name).add(head_bytes, body_bytes, seconds)
        log = self._edge.access_log
        if not log.on:
            return
        site, _, outcome, reason = name
        named = _named(seen.scope, _LOGGED)
        client = seen.scope["client"]
        about = About(
            method=seen.scope["method"],
            host=named.get("host", ""),
            target=_target(seen.scope).decode("latin-1"),
            status=status,
            body_bytes=body_bytes,
            property=site,
            outcome=outcome,
            reason=reason,
            agent=named.get("user-agent", ""),
            request_id=seen.trace.request_id,
            trace_id=seen.trace.trace_id,
        )
        address = client[0].encode() if client else b""
        log.note(self._edge.clock(), address, seconds * 1000, about.encoded())


@dataclass(frozen=True, slots=True)
class _Seen:
    """A request for as long as it is answered; ``begun`` is on the performance counter."""

    scope: Any
    trace: Trace
    begun: float


def _named(scope: Any, names: frozenset[str]) -> dict[str, str]:
    """Fields of a request by lower-case name; the last of several."""
    pairs = ((name.decode("latin-1"), value) for name, value in scope["headers"])
    return {name: value.decode("latin-1") for name, value in pairs if name in names}


def _target(scope: Any) -> bytes:
    """The request target as sent, which only :class:`edge.protocol.EdgeProtocol` passes on."""
    sent: bytes | None = scope.get("extensions", {}).get("edge.target", {}).get("raw")
    if sent is None:
        raise BadRequest("the server did not pass the request target on")
    return sent


async def _content(receive: ASGIReceiveCallable, length: str | None) -> AsyncIterator[bytes]:
    """A request's content as it comes; :class:`BadRequest` when the client leaves before its
    end: what it has sent is not what it meant to send. So it is when another protocol is asked for
    in one breath: the parser takes nothing that follows for content."""
    more, received = True, 0
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise BadRequest("the client left before its content ended")
        more, piece = event.get("more_body", False), event.get("body", b"")
        received += len(piece)
        yield piece
    if length is not None and length.isdecimal() and received != int(length):
        raise BadRequest(f"{received} bytes of content came, and {length} were announced")


def _told(raised: Exception) -> RehydrationError:
    if isinstance(raised, RehydrationError):
        return raised
    _log.error("a request failed within the edge", exc_info=raised)
    return RehydrationError("the edge failed; it has been logged")


async def _start(send: ASGISendCallable, status: int, headers: list[tuple[bytes, bytes]]) -> int:
    """Send an answer's head; the bytes that it takes, without what the server may add to it."""
    await send(
        {"type": "http.response.start", "status": status, "headers": headers, "trailers": False}
    )
    fields = sum(len(name) + len(value) for name, value in headers)
    return len(STATUS_LINE[status]) + fields + _FIELD_BYTES * len(headers) + len(b"\r\n")
