"""The way out: fetch from the origin over pooled connections, within a deadline."""

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx2

from edge.breaker import Breaker, Rules, State
from edge.forward import Outgoing
from edge.gate import Gate
from edge.reply import Fetched
from edge.rules.fields import end_to_end
from edge.rules.invalidation import SAFE
from edge.rules.stored import Fields
from edge.trace import TRACE_FIELDS, onward
from kvsync.errors import OriginUnavailable

Clock = Callable[[], float]


@dataclass(frozen=True)
class Passing:
    """An answer on its way through: its end-to-end fields and the pieces of its body."""

    status: int
    fields: Fields
    pieces: AsyncIterator[bytes]


class Origin:
    """Only ever the configured URL: redirects are answers, not instructions."""

    def __init__(
        self,
        url: str,
        client: httpx2.AsyncClient,
        gate: Gate,
        rules: Rules,
        *,
        body_limit_bytes: int,
        clock: Clock,
    ) -> None:
        self.gate = gate
        self._base = httpx2.URL(url)
        self._client = client
        self._breaker = Breaker(rules)
        self._limit = body_limit_bytes
        self._clock = clock

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    async def fetch(self, wanted: Outgoing, hurry_s: float | None = None) -> Fetched:
        """The whole answer; :class:`OriginUnavailable` past the deadline.

        ``hurry_s`` is for who has something else to show: an origin that was silent lately is not
        asked then, and gets this long at most. Without it the origin is the last way out, which no
        breaker closes. Raises :class:`Overloaded` when too much is asked of it already.
        """
        if hurry_s is not None and not self._admit():
            raise OriginUnavailable("the origin did not answer lately; not asked")
        deadline_s = min(wanted.deadline_s, hurry_s or wanted.deadline_s)
        async with self.gate.passage():
            try:
                fetched = await self._fetch(wanted, deadline_s)
            except (httpx2.HTTPError, TimeoutError) as error:
                self._breaker = self._breaker.failed(time.monotonic())
                raise _unavailable(error) from error
        self._breaker = self._breaker.succeeded()
        return fetched

    async def _fetch(self, wanted: Outgoing, deadline_s: float) -> Fetched:
        asked_at = self._clock()
        async with asyncio.timeout(deadline_s):
            answer = await self._open(wanted)
            try:
                received_at = self._clock()
                body, hauled_bytes = await self._read(answer)
            finally:
                await answer.aclose()
        fields = _fields(answer)
        return Fetched(answer.status_code, fields, body, hauled_bytes, asked_at, received_at)

    @asynccontextmanager
    async def passing(
        self, wanted: Outgoing, content: AsyncIterable[bytes] | None = None
    ) -> AsyncIterator[Passing]:
        """An answer that is not to be held; the deadline is for its head."""
        async with self.gate.passage():
            try:
                async with asyncio.timeout(wanted.deadline_s):
                    answer = await self._open(wanted, content)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise _unavailable(error) from error
            try:
                fields = end_to_end(_fields(answer))
                yield Passing(answer.status_code, fields, answer.aiter_raw())
            finally:
                await answer.aclose()

    def _admit(self) -> bool:
        self._breaker, admitted = self._breaker.admit(time.monotonic())
        return admitted

    async def _open(
        self, wanted: Outgoing, content: AsyncIterable[bytes] | None = None
    ) -> httpx2.Response:
        # Field values may have bytes beyond ASCII (RFC 9110 section 5.5); they pass as they came.
        fields = (*(one for one in wanted.fields if one[0] not in TRACE_FIELDS), *onward())
        sent = [(name.encode(), value.encode("latin-1")) for name, value in fields]
        url = self._base.copy_with(raw_path=wanted.target.encode("ascii"))
        # Not by the client, which would add fields of its own to what was asked.
        timeout = {"timeout": httpx2.Timeout(wanted.deadline_s).as_dict()}
        request = httpx2.Request(
            wanted.method, url, headers=sent, content=content, extensions=timeout
        )
        try:
            return await self._client.send(request, stream=True)
        except (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
            if content is not None or wanted.method not in SAFE:
                raise
            # A kept connection that the origin was closing just then; this may be repeated.
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


def _fields(answer: httpx2.Response) -> Fields:
    """The field lines as they came, names in lower case."""
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in answer.headers.raw
    )


def _unavailable(error: Exception) -> OriginUnavailable:
    why = str(error) or type(error).__name__
    return OriginUnavailable(f"the origin did not answer ({why}); try again")
