"""The public application: raw ASGI, one handler for every error."""

import logging
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx2
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from edge.ask import Ask, announces_content, read_ask
from edge.decide import Stream
from edge.flow import Edge
from edge.respond import Answer, Travel, respond_error, streamed_headers
from kvsync.errors import BadRequest, RehydrationError
from kvsync.property import Property

_log = logging.getLogger(__name__)
_NO_PROPERTY = "-"


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
        try:
            ask = read_ask(scope["method"], _target(scope), list(scope["headers"]), self._by_host)
            site = ask.site.id
            answer = await self._edge.answer(ask)
            if not isinstance(answer, Answer):
                content = _content(receive) if ask.has_content else None
                await self._stream(ask, *answer, content, send, begun)
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
        await _start(send, answer.status, answer.headers)
        body: Any = answer.body
        await send({"type": "http.response.body", "body": body, "more_body": False})
        self._edge.counters.answered(
            site, answer.outcome, answer.reason, len(answer.body), time.perf_counter() - begun
        )

    async def _stream(
        self,
        ask: Ask,
        step: Stream,
        travel: Travel,
        content: AsyncIterator[bytes] | None,
        send: ASGISendCallable,
        begun: float,
    ) -> None:
        """Pass an answer on piece by piece, kept nowhere."""
        sent = 0
        async with self._edge.passing(ask, content) as passing:
            headers = streamed_headers(
                passing.fields, self._edge.node, travel, passing.status, step.reason
            )
            await _start(send, passing.status, headers)
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
                self._edge.counters.answered(
                    ask.site.id, "origin", step.reason, sent, time.perf_counter() - begun
                )


def _target(scope: Any) -> bytes:
    """The request target as sent, which only :class:`edge.protocol.EdgeProtocol` passes on."""
    sent: bytes | None = scope.get("extensions", {}).get("edge.target", {}).get("raw")
    if sent is None:
        raise BadRequest("the server did not pass the request target on")
    return sent


async def _content(receive: ASGIReceiveCallable) -> AsyncIterator[bytes]:
    """A request's content as it comes; :class:`BadRequest` when the client leaves before its
    end: what it has sent is not what it meant to send."""
    more = True
    while more:
        event = await receive()
        if event["type"] != "http.request":
            raise BadRequest("the client left before its content ended")
        more = event.get("more_body", False)
        yield event.get("body", b"")


def _told(raised: Exception) -> RehydrationError:
    if isinstance(raised, RehydrationError):
        return raised
    _log.error("a request failed within the edge", exc_info=raised)
    return RehydrationError("the edge failed; it has been logged")


async def _start(send: ASGISendCallable, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send(
        {"type": "http.response.start", "status": status, "headers": headers, "trailers": False}
    )
