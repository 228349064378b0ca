"""The way out: fetch from the origin over pooled connections, within a deadline."""

import asyncio
import math
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import AsyncExitStack

import httpx2

from edge.breaker import Breaker, Rules, State
from edge.forward import Outgoing
from edge.gate import Gate
from edge.passing import Passing
from edge.reply import Fetched
from edge.rules.fields import end_to_end
from edge.rules.invalidation import SAFE
from edge.rules.stored import Fields
from edge.trace import TRACE_FIELDS, onward
from kvsync.carried import answered_bytes, asked_bytes
from kvsync.errors import OriginUnavailable

Clock = Callable[[], float]
MayKeep = Callable[[int, Fields], bool]
Carried = Callable[[int, int], None]
"""Is told the bytes of a request, and those of its answer."""
# What is not to be kept is held all the same when it is small: one write to the client.
_SMALL = 64 << 10
# Past this share of the deadline a body that may pass is passed on as it comes.
_WHOLE_SHARE = 0.5


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

    async def fetch(
        self,
        wanted: Outgoing,
        may_keep: MayKeep,
        carried: Carried,
        hurry_s: float | None = None,
    ) -> Fetched | Passing:
        """The whole answer, or one that is on its way where ``may_keep`` says of its head that the
        whole is of no use, or where it is too large to be held. ``carried`` is told the bytes
        that went and those that came, whatever becomes of them, when no more do.

        ``hurry_s`` is for who has something else to show: an origin that was silent lately is not
        asked then, and gets this long at most. Without it the origin is the last way out, which no
        breaker closes. Raises :class:`OriginUnavailable` past the deadline, :class:`Overloaded`
        when too much is asked of it already.
        """
        if hurry_s is not None and not self._admit():
            raise OriginUnavailable("the origin did not answer lately; not asked")
        deadline_s = min(wanted.deadline_s, hurry_s or wanted.deadline_s)
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.gate.passage())
            try:
                fetched = await self._fetch(wanted, may_keep, carried, deadline_s, held)
            except (httpx2.HTTPError, TimeoutError) as error:
                self._breaker = self._breaker.failed(time.monotonic())
                raise _unavailable(error) from error
        self._breaker = self._breaker.succeeded()
        return fetched

    async def _fetch(
        self,
        wanted: Outgoing,
        may_keep: MayKeep,
        carried: Carried,
        deadline_s: float,
        held: AsyncExitStack,
    ) -> Fetched | Passing:
        asked_at, begun = self._clock(), time.monotonic()
        async with asyncio.timeout(deadline_s):
            answer = await self._open(wanted)
            _close_and_tell(held, answer, carried)
            received_at = self._clock()
            status, fields, pieces = answer.status_code, _fields(answer), answer.aiter_raw()
            length, body = _length(answer), bytearray()
            if self._holds(length) and (length <= _SMALL or may_keep(status, fields)):
                async for piece in pieces:
                    body += piece
                    slow = time.monotonic() > begun + deadline_s * _WHOLE_SHARE
                    if len(body) > self._limit or (slow and wanted.may_pass):
                        break
                else:
                    return Fetched(status, fields, bytes(body), asked_at, received_at)
        rest = _rest(bytes(body), pieces)
        return Passing(status, end_to_end(fields), rest, held.pop_all())

    async def pass_on(
        self, wanted: Outgoing, carried: Carried, content: AsyncIterable[bytes] | None = None
    ) -> Passing:
        """An answer that is not to be held; the deadline is for its head, from the last piece of
        ``content`` on. ``carried`` as of :meth:`fetch`."""
        async with AsyncExitStack() as held:
            await held.enter_async_context(self.gate.passage())
            try:
                async with asyncio.timeout(wanted.deadline_s) as limit:
                    sent = _Sent(content, limit, wanted.deadline_s) if content else None
                    answer = await self._open(wanted, sent)
            except (httpx2.HTTPError, TimeoutError) as error:
                raise _unavailable(error) from error
            _close_and_tell(held, answer, carried, sent)
            fields = end_to_end(_fields(answer))
            return Passing(answer.status_code, fields, answer.aiter_raw(), held.pop_all())

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

    def _holds(self, length: float) -> bool:
        return length <= self._limit or length == math.inf


class _Sent:
    """A request's content on its way: each piece renews the limit, and is counted."""

    def __init__(
        self, content: AsyncIterable[bytes], limit: asyncio.Timeout, seconds: float
    ) -> None:
        self._content, self._limit, self._seconds = content, limit, seconds
        self.bytes = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._content:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)
            self.bytes += len(piece)
            yield piece


def _close_and_tell(
    held: AsyncExitStack, answer: httpx2.Response, carried: Carried, sent: _Sent | None = None
) -> None:
    def tell() -> None:
        content = sent.bytes if sent is not None else 0
        carried(asked_bytes(answer.request) + content, answered_bytes(answer))

    held.callback(tell)
    held.push_async_callback(answer.aclose)


async def _rest(begun: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if begun:
        yield begun
    async for piece in pieces:
        yield piece


def _length(answer: httpx2.Response) -> float:
    """The body's announced length; infinite where none is announced."""
    said = answer.headers.get("content-length", "")
    return int(said) if said.isdigit() else math.inf


def _fields(answer: httpx2.Response) -> Fields:
    """The field lines as they came, names in lower case."""
    return tuple(
        (name.decode("latin-1").lower(), value.decode("latin-1"))
        for name, value in answer.headers.raw
    )


def _unavailable(error: Exception) -> OriginUnavailable:
    why = str(error) or type(error).__name__
    return OriginUnavailable(f"the origin did not answer ({why}); try again")
