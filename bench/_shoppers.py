"""A steady, bounded load of GETs over kept connections, and what came of each.

A shopper repeats a request once, on a new connection, when the old one died before the first byte
of an answer: as browsers do. Nothing else is repeated.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from deploy.layout import HOST
from kvsync.conditional import entity_tag
from kvsync.rendition import Still

PATIENCE_S = 20.0
_HEAD_LIMIT = 64 << 10


@dataclass(frozen=True, slots=True)
class Shot:
    """What to ask for; ``path`` is the asset's, ``query`` chooses the rendition. ``first_bytes``
    asks for so much of it only."""

    path: str
    query: str
    still: Still
    first_bytes: int | None = None
    accept: str = "image/*"

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one request. ``status`` is 0 where no answer did, ``error`` then says why."""

    shot: Shot
    begun: float
    ended: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = True
    retried: bool = False
    error: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.body).digest()

    @property
    def cache_status(self) -> str:
        return self.headers.get("cache-status", "")


class _Died(Exception):
    """The connection ended before the first byte of an answer."""


class Shopper:
    """One kept connection and the requests that go over it, one after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def get(self, shot: Shot) -> Seen:
        """One GET; never raises for what the network or the server did."""
        begun, retried = time.monotonic(), False
        try:
            async with asyncio.timeout(PATIENCE_S):
                try:
                    status, headers, body, whole = await self._exchange(shot)
                except _Died:
                    retried = True
                    status, headers, body, whole = await self._exchange(shot)
        except (_Died, OSError, TimeoutError, ValueError, asyncio.IncompleteReadError) as error:
            self.leave()
            why = f"{type(error).__name__}: {error}".rstrip(": ")
            return Seen(shot, begun, time.monotonic(), retried=retried, error=why)
        return Seen(
            shot,
            begun,
            time.monotonic(),
            status,
            headers,
            body,
            whole,
            retried,
            _tag_fault(status, headers, body) if whole else "",
        )

    def leave(self) -> None:
        """Close the connection, if there is one."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None

    async def _exchange(self, shot: Shot) -> tuple[int, dict[str, str], bytes, bool]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port, limit=_HEAD_LIMIT)
        reader, writer = self._streams
        head = f"GET {shot.target} HTTP/1.1\r\nHost: localhost\r\nAccept: {shot.accept}\r\n"
        if shot.first_bytes is not None:
            head += f"Range: bytes=0-{shot.first_bytes - 1}\r\n"
        try:
            writer.write(head.encode() + b"\r\n")
            first = await reader.read(1)
        except OSError as error:
            self.leave()
            raise _Died(str(error)) from error
        if not first:
            self.leave()
            raise _Died("closed")
        try:
            return await self._read_answer(first, reader)
        except (OSError, asyncio.IncompleteReadError):
            self.leave()
            return 200, {}, b"", False

    async def _read_answer(
        self, first: bytes, reader: asyncio.StreamReader
    ) -> tuple[int, dict[str, str], bytes, bool]:
        raw = first + await reader.readuntil(b"\r\n\r\n")
        status_line, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        status = int(status_line.split(" ")[1])
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection", "").lower() == "close":
            self.leave()
        return status, headers, body, True


async def steady_load(
    port: int,
    shots: Iterator[Shot],
    *,
    shoppers: int,
    per_second: float,
    until: Callable[[], bool],
    seen: Callable[[Seen], None],
) -> None:
    """``per_second`` requests by ``shoppers`` connections until told; late ones are not made up."""

    async def one(number: int) -> None:
        shopper = Shopper(port)
        due = time.monotonic() + number / per_second
        while not until():
            await asyncio.sleep(due - time.monotonic())
            seen(await shopper.get(next(shots)))
            due = max(due + shoppers / per_second, time.monotonic())
        shopper.leave()

    await asyncio.gather(*(one(number) for number in range(shoppers)))


def _tag_fault(status: int, headers: dict[str, str], body: bytes) -> str:
    """Whether a rehydrated answer carries another answer's entity tag, in words."""
    rehydrated = "rehydrated" in headers.get("cache-status", "")
    if status == 200 and rehydrated and headers.get("etag") != entity_tag(body):
        return "the entity tag is not of these bytes"
    return ""
