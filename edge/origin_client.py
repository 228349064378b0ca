"""The way out: fetch from the origin over pooled connections, within a deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from edge.ask import Ask
from edge.reply import Fetched, Headers, end_to_end
from kvsync.errors import OriginUnavailable

Clock = Callable[[], float]


@dataclass(frozen=True)
class Passing:
    """An answer on its way through: its end-to-end headers and the pieces of its body."""

    status: int
    headers: Headers
    pieces: AsyncIterator[bytes]


class Origin:
    """Only ever the configured URL: redirects are answers, not instructions."""

    def __init__(
        self, url: str, client: httpx2.AsyncClient, *, body_limit_bytes: int, clock: Clock
    ) -> None:
        self._base = httpx2.URL(url)
        self._client = client
        self._limit = body_limit_bytes
        self._clock = clock

    async def fetch(self, ask: Ask) -> Fetched:
        """The whole answer to a GET; :class:`OriginUnavailable` past the property's deadline."""
        asked_at = self._clock()
        try:
            async with asyncio.timeout(ask.site.origin_deadline_ms / 1000):
                answer = await self._open(ask)
                try:
                    received_at = self._clock()
                    body, hauled_bytes = await self._read(answer)
                finally:
                    await answer.aclose()
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _unavailable(error) from error
        headers = _headers(answer)
        return Fetched(answer.status_code, headers, body, hauled_bytes, asked_at, received_at)

    @asynccontextmanager
    async def passing(self, ask: Ask) -> AsyncIterator[Passing]:
        """An answer that is too large to be held; the deadline is for its head."""
        try:
            async with asyncio.timeout(ask.site.origin_deadline_ms / 1000):
                answer = await self._open(ask)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise _unavailable(error) from error
        try:
            headers = end_to_end(_headers(answer))
            length = tuple(pair for pair in _headers(answer) if pair[0] == "content-length")
            yield Passing(answer.status_code, headers + length, answer.aiter_raw())
        finally:
            await answer.aclose()

    async def _open(self, ask: Ask) -> httpx2.Response:
        headers = {
            "accept-encoding": "identity",
            "x-forwarded-host": ask.host_name,
            # The client library would otherwise add an Accept of its own.
            "accept": ask.accept or "*/*",
            "accept-language": ask.accept_language,
        }
        # Field values may have bytes beyond ASCII (RFC 9110 section 5.5); they pass as they came.
        sent = {name.encode(): value.encode("latin-1") for name, value in headers.items() if value}
        url = self._base.copy_with(raw_path=ask.origin_target.encode("ascii"))
        timeout = httpx2.Timeout(ask.site.origin_deadline_ms / 1000)
        request = self._client.build_request("GET", url, headers=sent, timeout=timeout)
        try:
            return await self._client.send(request, stream=True)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            # A kept connection that the origin was closing just then; a GET may be repeated.
            return await self._client.send(request, stream=True)

    async def _read(self, answer: httpx2.Response) -> tuple[bytes | None, int]:
        """The body, None when it is over the limit, and how much of it was read."""
        length = answer.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._limit:
            return None, 0
        body = bytearray()
        async for piece in answer.aiter_raw():
            body += piece
            if len(body) > self._limit:
                return None, len(body)
        return bytes(body), len(body)


def _headers(answer: httpx2.Response) -> Headers:
    """Names in lower case; repeated fields as one, except Set-Cookie, which cannot be joined."""
    joined: dict[str, str] = {}
    cookies: list[tuple[str, str]] = []
    for raw_name, raw_value in answer.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append((name, value))
        else:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return (*joined.items(), *cookies)


def _unavailable(error: Exception) -> OriginUnavailable:
    why = str(error) or type(error).__name__
    return OriginUnavailable(f"the origin did not answer ({why}); try again")
