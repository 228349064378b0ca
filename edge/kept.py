"""Ask one server over kept HTTP/1.1 connections, and the whole answer to it.

A region is asked for every miss, by one method, at one path, for an answer of announced length. A
general HTTP client spends ten times what that takes (``docs/benchmarks.md``, `miss`), so the edge
does it itself: one parser, no queue, no redirects, no proxies, no content codings.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

from kvsync.errors import InputError

_MAX_HEAD_BYTES = 64 << 10
# Routers forget connections that say nothing for longer.
_KEPT_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """A whole answer. ``fields`` by lower-case name, of several with one name the last."""

    status: int
    fields: Mapping[str, str]
    body: bytes


class _Unheard(ConnectionError):
    """The connection ended before the first byte of an answer."""


class KeptConnections:
    """Connections to the server of ``url``, as many as are needed at once, used again while both
    sides keep them.

    Raises :class:`InputError` for a URL with a name and password in it.
    """

    def __init__(self, url: str, trusted: ssl.SSLContext, *, body_limit_bytes: int) -> None:
        parts = urlsplit(url)
        if parts.username is not None or parts.hostname is None:
            raise InputError(f"{parts.hostname}: give scheme, host and port only in its URL")
        self._host, self._tls = parts.hostname, trusted if parts.scheme == "https" else None
        self._port = parts.port or (443 if self._tls else 80)
        self._authority = parts.netloc.encode()
        self._limit = body_limit_bytes + _MAX_HEAD_BYTES
        self._idle: list[_Connection] = []

    async def post(
        self,
        path: str,
        content: bytes,
        fields: Iterable[tuple[str, str]],
        *,
        within_s: float,
        connect_within_s: float,
    ) -> Told:
        """The answer; asked again, once, where a kept connection was being closed just then.

        Raises :class:`OSError` for what the network or the server does, :class:`TimeoutError`
        past ``within_s`` included.
        """
        sized = (*fields, ("content-length", str(len(content))))
        request = self._head("POST", path, sized) + content
        return await self._ask(request, within_s, connect_within_s)

    async def get(
        self,
        path: str,
        fields: Iterable[tuple[str, str]],
        *,
        within_s: float,
        connect_within_s: float,
    ) -> Told:
        """As :meth:`post`."""
        return await self._ask(self._head("GET", path, fields), within_s, connect_within_s)

    def _head(self, method: str, path: str, fields: Iterable[tuple[str, str]]) -> bytes:
        lines = b"".join(b"%b: %b\r\n" % (n.encode(), v.encode("latin-1")) for n, v in fields)
        head = b"%b %b HTTP/1.1\r\nhost: %b\r\n%b\r\n"
        return head % (method.encode(), path.encode(), self._authority, lines)

    async def _ask(self, request: bytes, within_s: float, connect_within_s: float) -> Told:
        async with asyncio.timeout(within_s):
            kept = self._take()
            if kept is not None:
                with contextlib.suppress(_Unheard):
                    return await self._exchange(kept, request)
            async with asyncio.timeout(connect_within_s):
                new = await self._connect()
            return await self._exchange(new, request)

    async def open(self, count: int) -> None:
        """Have ``count`` connections ready; raises :class:`OSError` for one that there cannot be,
        once the others are."""
        missing = count - len(self._idle)
        opening = [asyncio.ensure_future(self._connect()) for _ in range(missing)]
        if opening:
            await asyncio.wait(opening)
        made = [one.result() for one in opening if one.exception() is None]
        # The first may be lost again before the last is there.
        self._idle += [one for one in made if not one.transport.is_closing()]
        for one in opening:
            one.result()

    def close(self) -> None:
        """Close those that are not in use; whoever uses one closes it with its call."""
        while self._idle:
            self._idle.pop().transport.abort()

    async def _exchange(self, connection: "_Connection", request: bytes) -> Told:
        try:
            return await connection.ask(request)
        finally:
            if connection.reusable:
                self._idle.append(connection)
            else:
                connection.transport.abort()

    def _take(self) -> "_Connection | None":
        """The one used last: those that are not needed grow old and go."""
        oldest = asyncio.get_running_loop().time() - _KEPT_S
        while self._idle:
            kept = self._idle.pop()
            if kept.idle_since >= oldest:
                return kept
            kept.transport.abort()
        return None

    async def _connect(self) -> "_Connection":
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self._limit, self._lost), self._host, self._port, ssl=self._tls
        )
        return made

    def _lost(self, connection: "_Connection") -> None:
        if connection in self._idle:
            self._idle.remove(connection)


@dataclass
class _Parts:
    """An answer as it comes."""

    fields: dict[str, str] = field(default_factory=dict)
    body: list[bytes] = field(default_factory=list)
    size: int = 0
    headed: bool = False
    whole: bool = False


class _Connection(asyncio.Protocol):
    """One request at a time. What comes unasked, or past an answer's end, is nobody's answer and
    ends the connection (RFC 9112 section 6.3)."""

    transport: asyncio.Transport

    def __init__(self, limit: int, lost: Callable[["_Connection"], None]) -> None:
        self._limit = limit
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[Told] | None = None
        self._keeps = False
        self.reusable = False
        self.idle_since = self._loop.time()

    def ask(self, request: bytes) -> "asyncio.Future[Told]":
        """Raises :class:`_Unheard` where the connection has ended already."""
        self.reusable = False
        if self.transport.is_closing():
            raise _Unheard("the connection was closed")
        self._parser = httptools.HttpResponseParser(self)
        self._parts = _Parts()
        self._waiter = self._loop.create_future()
        self.transport.write(request)
        return self._waiter

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self._waiter is None:
            self.transport.abort()
            return
        self._parts.size += len(data)
        if self._parts.size > self._limit:
            self._fail(ConnectionError(f"the answer is longer than {self._limit} bytes"))
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._keeps = False
            if not self._parts.whole:
                self._fail(ConnectionError(f"this is no HTTP/1.1 answer: {error!r}"))
                return
        if self._parts.whole:
            self._complete(self._waiter)

    def connection_lost(self, error: Exception | None) -> None:
        self.reusable = False
        self._lost(self)
        if self._waiter is not None:
            kind = ConnectionError if self._parts.size else _Unheard
            self._fail(kind(str(error or "the connection was closed")))

    def on_message_begin(self) -> None:
        if self._parts.whole:
            raise ConnectionError("more came than was announced")

    def on_headers_complete(self) -> None:
        self._parts.headed = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._parts.headed:  # else it is a trailer
            self._parts.fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, piece: bytes) -> None:
        self._parts.body.append(piece)

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() < 200:  # an interim one
            self._parts = _Parts(size=self._parts.size)
            return
        self._keeps = self._parser.should_keep_alive()
        self._parts.whole = True

    def _complete(self, waiter: "asyncio.Future[Told]") -> None:
        parts, self._waiter = self._parts, None
        body = parts.body[0] if len(parts.body) == 1 else b"".join(parts.body)
        self.reusable = self._keeps and not self.transport.is_closing()
        self.idle_since = self._loop.time()
        if not waiter.done():
            waiter.set_result(Told(self._parser.get_status_code(), parts.fields, body))

    def _fail(self, error: ConnectionError) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(error)
