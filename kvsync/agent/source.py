"""The origin as a region's agent sees it: logs, snapshots, ranges, and where reports go."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx2
import msgspec

from kvsync.carried import carried_bytes
from kvsync.encoding import UNREADABLE
from kvsync.errors import (
    Forbidden,
    LogAhead,
    OriginUnavailable,
    RehydrationError,
    Trimmed,
    Truncated,
)
from kvsync.ledger import LEDGER_PATH
from kvsync.log import LOG_PATH
from kvsync.log_answer import MAX_ANSWER_BYTES, LogAnswer
from kvsync.ranges import DIGESTS_PATH, RANGES_PATH
from kvsync.replica import original_path
from kvsync.report import REGIONS_PATH, RegionReport, ReportAnswer
from kvsync.snapshot import MAX_PIECE_BYTES, SNAPSHOTS_PATH, Piece
from kvsync.wire import MSGPACK, ErrorBody

HEARTBEAT_PATH = "/v1/heartbeat"
MAX_HEARTBEAT_BYTES = 1_024
_MAX_MANIFEST_BYTES = 1 << 20
_MAX_DIGESTS_BYTES = 128 << 10
_MAX_RANGE_BYTES = 64 << 20
_SILENCE_S = 10.0
_PIECE_BYTES = 256 << 10


class NotThere(OriginUnavailable):
    """The origin has nothing under that name."""


class Origin:
    """What a region asks the origin over HTTP; the answers are signed, and not checked here.

    ``carried`` is told the bytes of each request and its answer, by property; by "" where it is of
    none. Each method raises :class:`OriginUnavailable`, :class:`Forbidden` or :class:`Truncated`.
    """

    def __init__(
        self,
        client: httpx2.AsyncClient,
        url: str,
        token: str,
        carried: Callable[[str, int], None] = lambda property, size: None,
    ) -> None:
        self._client, self._carried = client, carried
        self._url = url.rstrip("/")
        self._fields = {"authorization": f"Bearer {token}"} if token else {}

    async def log(self, property: str, after: int, wait_s: float) -> LogAnswer:
        """What follows ``after``, waited for up to ``wait_s``.

        Raises :class:`Trimmed` where the log begins later, :class:`LogAhead` where it ends before.
        """
        where = f"{LOG_PATH}/{property}?after={after}&wait_s={wait_s:g}"
        return LogAnswer.decode(
            await self._get(property, where, MAX_ANSWER_BYTES, _SILENCE_S + wait_s)
        )

    async def snapshot(self, property: str) -> bytes | None:
        """The signed manifest of the newest snapshot, None where none was made yet."""
        try:
            return await self._get(property, f"{SNAPSHOTS_PATH}/{property}", _MAX_MANIFEST_BYTES)
        except NotThere:
            return None

    async def piece(self, property: str, piece: Piece) -> bytes:
        where = f"{SNAPSHOTS_PATH}/{property}/{piece.digest.hex()}"
        return await self._get(property, where, 2 * MAX_PIECE_BYTES)

    async def digests(self, property: str, at: int) -> bytes:
        """The signed digests of all ranges as they were at a sequence."""
        where = f"{DIGESTS_PATH}/{property}?at={at}"
        return await self._get(property, where, _MAX_DIGESTS_BYTES)

    async def range(self, property: str, number: int, at: int) -> bytes:
        where = f"{RANGES_PATH}/{property}/{number}?at={at}"
        return await self._get(property, where, _MAX_RANGE_BYTES)

    async def report(self, report: RegionReport) -> ReportAnswer:
        where = f"{REGIONS_PATH}/{report.region}/report"
        return ReportAnswer.decode(await self._post(where, report.encode()))

    async def ledger(self, region: str, minutes: bytes) -> None:
        """Have minutes (:func:`kvsync.ledger.encode_minutes`) taken into the ledger."""
        await self._post(f"{LEDGER_PATH}/{region}", minutes)

    async def _post(self, where: str, content: bytes) -> bytes:
        fields = {**self._fields, "content-type": MSGPACK}
        try:
            answer = await self._client.post(
                self._url + where, content=content, headers=fields, timeout=_SILENCE_S
            )
        except httpx2.HTTPError as error:
            raise _unavailable(self._url, error) from error
        self._carried("", len(content) + carried_bytes(answer))
        if answer.status_code != 200:
            raise _refused(answer.status_code, answer.content, where)
        return answer.content

    async def _get(
        self, property: str, where: str, max_bytes: int, timeout_s: float = _SILENCE_S
    ) -> bytes:
        pieces, size = list[bytes](), 0
        begun = False
        try:
            async with self._client.stream(
                "GET", self._url + where, headers=self._fields, timeout=timeout_s
            ) as answer:
                begun = True
                try:
                    async for piece in answer.aiter_bytes():
                        pieces.append(piece)
                        size += len(piece)
                        if size > max_bytes:
                            raise Truncated(f"{where}: the answer is longer than {max_bytes} bytes")
                finally:
                    self._carried(property, carried_bytes(answer))
        except httpx2.HTTPError as error:
            if begun and isinstance(error, httpx2.RemoteProtocolError):
                raise Truncated(f"{where}: the answer was cut short: {error}") from error
            raise _unavailable(self._url, error) from error
        body = b"".join(pieces)
        if answer.status_code != 200:
            raise _refused(answer.status_code, body, where)
        return body

    @asynccontextmanager
    async def original(
        self, property: str, key: bytes, after: int, tag: str, carried: Callable[[int], None]
    ) -> AsyncIterator[tuple[int, AsyncIterator[bytes]]]:
        """An asset's original from byte ``after`` on, if ``tag`` is still its entity tag, else from
        its beginning: where the pieces begin, and the pieces. ``carried`` is told their bytes."""
        where = self._url + original_path(property, key)
        fields = {**self._fields, "accept-encoding": "identity"}
        if after:
            fields |= {"range": f"bytes={after}-", "if-range": tag}
        try:
            async with self._client.stream(
                "GET", where, headers=fields, timeout=_SILENCE_S
            ) as answer:
                try:
                    if answer.status_code not in (200, 206):
                        raise _refused(answer.status_code, await answer.aread(), where)
                    begin = after if answer.status_code == 206 else 0
                    yield begin, answer.aiter_raw(_PIECE_BYTES)
                finally:
                    carried(carried_bytes(answer))
        except httpx2.HTTPError as error:
            raise _unavailable(self._url, error) from error


async def heartbeat_of(client: httpx2.AsyncClient, url: str, property: str) -> bytes:
    """The signed heartbeat that another region's agent holds, empty where it has none; raises
    :class:`OriginUnavailable`."""
    where = f"{url.rstrip('/')}{HEARTBEAT_PATH}/{property}"
    try:
        answer = await client.get(where, timeout=_SILENCE_S)
    except httpx2.HTTPError as error:
        raise _unavailable(url, error) from error
    of_use = answer.status_code == 200 and len(answer.content) <= MAX_HEARTBEAT_BYTES
    return answer.content if of_use else b""


def _refused(status: int, body: bytes, where: str) -> RehydrationError:
    try:
        why = msgspec.json.decode(body, type=ErrorBody).detail
    except UNREADABLE:
        why = body[:200].decode(errors="replace")
    told = f"{where}: the origin answers {status}: {why}"
    if status in (401, 403):
        return Forbidden(f"{told}; set SYNC_TOKEN to this region's token")
    if status == Trimmed.status:
        return Trimmed(told)
    if status == LogAhead.status:
        return LogAhead(told)
    return NotThere(told) if status == 404 else OriginUnavailable(told)


def _unavailable(url: str, error: Exception) -> OriginUnavailable:
    return OriginUnavailable(f"{url}: {error or type(error).__name__}")
