"""Ask regions to rehydrate: nearest first, within one deadline, each behind a breaker."""

import asyncio
import time
from collections.abc import Callable, Sequence

import httpx2
import msgspec

from edge.breaker import Breaker, Rules, State
from edge.reply import Generated
from edge.respond import parse_server_timing
from edge.rules.fields import seconds
from kvsync.encoding import UNREADABLE
from kvsync.errors import (
    BadSignature,
    Busy,
    ExpiredRecord,
    FingerprintMismatch,
    KeyNotAllowed,
    MalformedRecord,
    ModelError,
    RegionUnavailable,
    RehydrationError,
    RevokedRecord,
    Unavailable,
    Unsupported,
    WrongAsset,
)
from kvsync.property import Property
from kvsync.record import Record
from kvsync.rendition import Still
from kvsync.wire import MSGPACK, REHYDRATE_PATH, ErrorBody, RehydrateRequest

# What a region may say of a record or model; its word is taken, the record was verified here.
_SAYINGS: dict[str, type[RehydrationError]] = {
    kind.reason: kind
    for kind in (
        BadSignature,
        ExpiredRecord,
        FingerprintMismatch,
        KeyNotAllowed,
        MalformedRecord,
        ModelError,
        RevokedRecord,
        Unsupported,
        WrongAsset,
    )
}
_CONNECT_SHARE = 0.5
_WORTHWHILE_S = 0.02

Counted = Callable[[str, str], None]


class Region:
    """One region's address and what is known of its health."""

    def __init__(self, url: str, rules: Rules) -> None:
        self.url = url.rstrip("/")
        self._breaker = Breaker(rules)

    def state(self) -> State:
        return self._breaker.state(time.monotonic())

    def admit(self) -> bool:
        self._breaker, admitted = self._breaker.admit(time.monotonic())
        return admitted

    def note(self, error: RehydrationError | None) -> None:
        """Only silence and breakage count against a region: to refuse is to be there."""
        if isinstance(error, RegionUnavailable):
            self._breaker = self._breaker.failed(time.monotonic())
        else:
            self._breaker = self._breaker.succeeded()


class Regions:
    """``counted`` is told (region, result) of every call."""

    def __init__(
        self, urls: Sequence[str], rules: Rules, client: httpx2.AsyncClient, counted: Counted
    ) -> None:
        self.all = tuple(Region(url, rules) for url in urls)
        self._client = client
        self._counted = counted

    async def rehydrate(self, site: Property, record: Record, rendition: Still) -> Generated:
        """The approved image from the nearest region that can, within the property's deadline.

        Raises what the last region asked said; :class:`RegionUnavailable` when none was asked.
        """
        until = time.monotonic() + site.region_deadline_ms / 1000
        last: RehydrationError = RegionUnavailable("no region is up; not asked")
        for region in self.all:
            left_s = until - time.monotonic()
            if left_s < _WORTHWHILE_S or not region.admit():
                continue
            try:
                return await self._ask(region, site, record, rendition, left_s)
            except (Unavailable, ModelError) as error:
                last = error
        raise last

    async def _ask(
        self, region: Region, site: Property, record: Record, rendition: Still, left_s: float
    ) -> Generated:
        error: RehydrationError | None = RegionUnavailable(f"region {region.url}: cut short")
        try:
            made = await self._call(region.url, site, record, rendition, left_s)
            error = None
            return made
        except RehydrationError as raised:
            error = raised
            raise
        finally:
            region.note(error)
            self._counted(region.url, "ok" if error is None else error.reason)

    async def _call(
        self, url: str, site: Property, record: Record, rendition: Still, left_s: float
    ) -> Generated:
        wanted = RehydrateRequest.make(
            site.id, record.body.key, record.signed, rendition, int(left_s * 1000)
        )
        try:
            async with asyncio.timeout(left_s):
                answer = await self._client.post(
                    url + REHYDRATE_PATH,
                    content=wanted.encode(),
                    headers={"content-type": MSGPACK},
                    timeout=httpx2.Timeout(left_s, connect=left_s * _CONNECT_SHARE),
                )
        except (httpx2.HTTPError, TimeoutError) as error:
            why = str(error) or type(error).__name__
            raise RegionUnavailable(f"region {url}: {why}") from error
        return read_answer(url, answer.status_code, answer.headers, answer.content, rendition)


def read_answer(
    url: str, status: int, headers: httpx2.Headers, body: bytes, rendition: Still
) -> Generated:
    """An image of the type asked for, or the error that the region means."""
    if status == 200:
        media_type = headers.get("content-type", "").partition(";")[0].strip()
        if media_type != rendition.media_type or not body:
            raise RegionUnavailable(f"region {url}: {len(body)} bytes of {media_type!r}")
        timings = parse_server_timing(headers.get("server-timing", ""))
        return Generated(body, seconds(headers.get("age")) or 0, timings)
    try:
        said = msgspec.json.decode(body, type=ErrorBody)
    except UNREADABLE:
        said = ErrorBody("region", "no error body")
    if said.error == Busy.reason:
        raise Busy(f"region {url}: {said.detail}", seconds(headers.get("retry-after")) or 1)
    kind = _SAYINGS.get(said.error, RegionUnavailable)
    raise kind(f"region {url}: {status} {said.error}: {said.detail}")
